import { createHash, randomUUID } from 'node:crypto'
import { ListObjectsV2Command } from '@aws-sdk/client-s3'
import { ScanCommand } from '@aws-sdk/lib-dynamodb'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { type SandboxEhr, startSandboxEhr } from '../../../cdk/local/sandbox-ehr/index.ts'
import { type ErasureParts, erase } from '../../../functions/cli/erase/erase.ts'
import { ecgsOfEhr, ecgsOfSpan, spansOfPatient } from '../../../functions/cli/erase/find.ts'
import { SessionStore } from '../../../functions/report/session-store.ts'
import { documents } from '../../../shared/aws/clients.ts'
import { artifactKey, putObject, waveformKey } from '../../../shared/aws/payloads.ts'
import { type EcgId, fileEcgId } from '../../../shared/domain/ecg-id.ts'
import type { Result } from '../../../shared/domain/result.ts'
import type { Origin } from '../../../shared/messages.ts'
import { AssociationStore } from '../../../shared/store/associations.ts'
import { AuditStore } from '../../../shared/store/audit.ts'
import { CmrJobStore } from '../../../shared/store/cmr-jobs.ts'
import { patientPk } from '../../../shared/store/keys.ts'
import { ResultList } from '../../../shared/store/result-list.ts'
import { ResultStore } from '../../../shared/store/results.ts'
import { createEhrClient } from '../../../streams/fhir/client.ts'
import { digestOf } from '../../../streams/fhir/report/session.ts'
import { AUDIT_TABLE, BUCKET, startTestAws, TABLE, type TestAws } from '../../helpers/aws.ts'
import { makeResult } from '../../helpers/results.ts'

const at = (minute: number) => new Date(Date.UTC(2026, 0, 2, 3, minute))
const NOW = at(50)

let aws: TestAws
let ehr: SandboxEhr
/** Tests share the table, not a tenant. */
let tenant: string
let tenants = 0
let parts: ErasureParts
let patients: { jane: string; joe: string }

beforeAll(async () => {
  ;[aws, ehr] = await Promise.all([startTestAws(), startSandboxEhr()])
})
afterAll(() => Promise.all([aws.stop(), ehr.stop()]))

beforeEach(() => {
  tenant = `clinic${++tenants}`
  const patient = () => `Patient/${ehr.create({ resourceType: 'Patient' }).id}`
  patients = { jane: patient(), joe: patient() }
  parts = {
    dynamo: aws.dynamo,
    table: TABLE,
    results: new ResultStore(aws.dynamo, TABLE),
    associations: new AssociationStore(aws.dynamo, TABLE),
    jobs: new CmrJobStore(aws.dynamo, TABLE),
    audit: new AuditStore(aws.dynamo, AUDIT_TABLE, 2192),
    s3: aws.s3,
    bucket: BUCKET,
    sqs: aws.sqs,
    synthesisQueueUrl: aws.synthesisUrl,
  }
})

/** An ECG as all functions leave it, with a drawing. */
async function anEcg(origin: Origin, minute: number): Promise<EcgId> {
  const ecgId = fileEcgId({ tenant, sha256: randomUUID() })
  const result = makeResult({
    ecgId,
    span: { startedAt: at(minute).toISOString(), firstSample: minute * 5000, durationMs: 10_000 },
  })
  await parts.results.markReceived(tenant, ecgId, origin)
  await parts.results.putOnce(tenant, origin, result, at(minute))
  for (const key of [waveformKey('raw', tenant, ecgId), waveformKey('clean', tenant, ecgId)]) {
    await putObject(aws.s3, BUCKET, key, Buffer.from('samples'))
  }
  const job = await parts.jobs.submit(
    tenant,
    { ecgId, version: 1, bundleSha256: 'c'.repeat(64), seed: 0, sampler: 'full' },
    at(minute),
  )
  await putObject(aws.s3, BUCKET, artifactKey(tenant, ecgId, job.jobId, 'sax.dcm'), Buffer.from('cine'))
  if (origin.kind === 'mqtt') await inSession(result, origin)
  if ('device' in origin && origin.device !== undefined) {
    for (const when of [at(minute), NOW]) {
      await parts.associations.markUnidentified(tenant, { device: origin.device, at: when, ecgId, origin })
    }
  }
  return ecgId
}

async function inSession(result: Result, { device, session }: { device: string; session: string }) {
  const store = new SessionStore(aws.dynamo, TABLE)
  const key = { tenant, device, session }
  const digest = digestOf(result, NOW, true)
  await store.addWindow(key, digest, NOW, async () => digest)
  await store.begin(key, 'token', NOW)
  const reported = { [patients.jane]: [], [patients.joe]: [] }
  await store.release(key, { reported, lastReportAt: 0, waiting: undefined })
}

/** Jane's and Joe's: the monitor goes from one to the other within a session, and the EHR has an ECG of each. */
async function twoPatients() {
  const { jane, joe } = patients
  await parts.associations.put(tenant, 'monitor', { patient: jane, from: at(0), to: at(10) })
  await parts.associations.put(tenant, 'monitor', { patient: joe, from: at(10) })
  await parts.associations.put(tenant, 'holter', { patient: jane, from: at(0) })
  const live = { kind: 'mqtt', device: 'monitor', session: 's1' } as const
  const ecgOf = (patient: string) =>
    ehr.create({ resourceType: 'Observation', status: 'final', code: { text: 'ECG' }, subject: { reference: patient } })
      .id
  const inEhr = (id: string): Origin => ({ kind: 'fhir', server: 'ehr', source: `Observation/${id}` })
  return {
    jane: [
      await anEcg(live, 1),
      await anEcg(live, 2),
      await anEcg({ kind: 'upload', device: 'holter' }, 20),
      await anEcg({ kind: 'mqtt', device: 'holter', session: 'alone' }, 30),
      await anEcg(inEhr(ecgOf(jane)), 5),
    ],
    joe: [await anEcg(live, 10), await anEcg(inEhr(ecgOf(joe)), 5)],
    nobody: [await anEcg({ kind: 'upload' }, 5)],
  }
}

async function find(patient: string) {
  const spans = await spansOfPatient(parts.associations, tenant, patient)
  const list = new ResultList(aws.dynamo, TABLE)
  const ecgIds = new Set<EcgId>()
  for (const span of spans) for (const ecgId of await ecgsOfSpan(list, tenant, span)) ecgIds.add(ecgId)
  const client = createEhrClient({ baseUrl: ehr.baseUrl, transport: { attempts: 1 } })
  for (const ecgId of await ecgsOfEhr({ ehr: client, server: 'ehr' }, { ...parts, tenant }, patient)) ecgIds.add(ecgId)
  return { spans, ecgIds: [...ecgIds] }
}

const eraseJane = async () =>
  erase(parts, { tenant, patient: patients.jane, ...(await find(patients.jane)), by: 'operator:ann', now: NOW })

/** All rows of the tenant and keys of its objects, as text. */
async function everything(): Promise<readonly string[]> {
  const { Items = [] } = await documents(aws.dynamo).send(new ScanCommand({ TableName: TABLE }))
  const { Contents = [] } = await aws.s3.send(new ListObjectsV2Command({ Bucket: BUCKET }))
  const rows = Items.filter(({ pk }) => String(pk).startsWith(`${tenant}#`)).map((item) => JSON.stringify(item))
  return [...rows, ...Contents.map(({ Key }) => Key!).filter((key) => key.includes(`/${tenant}/`))]
}

describe('erasing a patient', () => {
  it('leaves only the markers that prevent the ECGs from coming back', async () => {
    const { jane } = await twoPatients()

    const receipt = await eraseJane()

    const all = await everything()
    expect(new Set(receipt.ecgIds)).toEqual(new Set(jane))
    expect(receipt.left).toEqual([])
    expect(all.filter((text) => text.includes(patients.jane))).toEqual([])
    expect(all.filter((text) => text.includes(patientPk(tenant, patients.jane)))).toEqual([])
    const ofJane = all.filter((text) => jane.some((ecgId) => text.includes(ecgId)))
    expect(ofJane.map((text) => JSON.parse(text).sk)).toEqual(jane.map(() => 'deleted'))
    expect(receipt.removed).toMatchObject({ ecgs: 5, jobs: 5, objectVersions: 15, associations: 2, sessions: 2 })
  })

  it('affects no data of anybody else', async () => {
    const { joe, nobody } = await twoPatients()
    const before = (await everything()).filter((text) => [...joe, ...nobody].some((ecgId) => text.includes(ecgId)))

    await eraseJane()

    const after = await everything()
    expect(after).toEqual(expect.arrayContaining(before))
    expect(await parts.associations.patientOf(tenant, 'monitor', at(15))).toBe(patients.joe)
    const head = await new SessionStore(aws.dynamo, TABLE).head({ tenant, device: 'monitor', session: 's1' })
    expect(head?.reported).toEqual({ [patients.joe]: [] })
  })

  it('removes the patient from all searches, and the receipt covers late device data', async () => {
    await twoPatients()
    const receipt = await eraseJane()
    const late = await anEcg({ kind: 'mqtt', device: 'monitor', session: 's1' }, 3)
    const list = new ResultList(aws.dynamo, TABLE)

    const [again, bySpan] = [
      await find(patients.jane),
      await ecgsOfSpan(list, tenant, {
        device: receipt.spans[0]!.device,
        from: new Date(receipt.spans[0]!.from),
        to: receipt.spans[0]!.to === null ? undefined : new Date(receipt.spans[0]!.to),
      }),
    ]

    expect(again).toEqual({ spans: [], ecgIds: [] })
    expect([...bySpan, ...(await ecgsOfSpan(list, tenant, { device: 'monitor', from: at(0), to: at(10) }))]).toContain(
      late,
    )
  })

  it('prevents a late message from restoring an ECG', async () => {
    const { jane } = await twoPatients()
    await eraseJane()

    const stored = await parts.results.putOnce(tenant, { kind: 'upload' }, makeResult({ ecgId: jane[0]! }), NOW)

    expect(stored).toEqual({ kind: 'deleted' })
  })

  it('completes in the next run after an interruption', async () => {
    const { jane } = await twoPatients()
    const broken = vi.spyOn(parts.associations, 'forgetWaiting').mockRejectedValueOnce(new Error('no table'))
    onTestFinished(() => broken.mockRestore())

    await expect(eraseJane()).rejects.toThrow('no table')
    const receipt = await eraseJane()

    expect(receipt.left).toEqual([])
    const all = await everything()
    expect(all.filter((text) => text.includes(`"${patients.jane}"`))).toEqual([])
    expect(all.filter((text) => jane.some((id) => text.includes(id)) && !text.includes('"deleted"'))).toEqual([])
  })

  it('names the patient neither in the receipt nor in the audit trail; the reference verifies the receipt', async () => {
    const { jane } = await twoPatients()

    const receipt = await eraseJane()

    const trail = []
    for await (const entry of new AuditStore(aws.dynamo, AUDIT_TABLE, 1).entries({
      tenant,
      since: at(0),
      until: new Date(),
    }))
      trail.push(entry)
    const { salt, sha256 } = receipt.patient!
    expect(sha256).toBe(createHash('sha256').update(`${salt}${patients.jane}`).digest('hex'))
    expect(JSON.stringify([receipt, trail])).not.toContain(patients.jane)
    expect(trail).toMatchObject(
      ['begun', 'done'].map((outcome) => ({ action: 'patient.erase', outcome, subject: 'operator:ann' })),
    )
    expect(new Set(trail[0]!.ecgIds)).toEqual(new Set(jane))
    expect(receipt.notCovered.map(({ goneBy }) => goneBy?.slice(0, 10))).toEqual(
      expect.arrayContaining(['2026-01-06', '2026-01-16', '2026-02-06']),
    )
  })

  it('does not start without an audit trail', async () => {
    await twoPatients()
    const before = await everything()
    parts = { ...parts, audit: { append: () => Promise.reject(new Error('no table')) } }

    await expect(eraseJane()).rejects.toThrow('no table')

    expect(await everything()).toEqual(before)
  })

  it('does not start while the EHR is unavailable', async () => {
    await twoPatients()
    ehr.outage = 503
    onTestFinished(() => {
      ehr.outage = undefined
    })

    await expect(find(patients.jane)).rejects.toMatchObject({ code: 'ehr-unavailable' })
  })
})
