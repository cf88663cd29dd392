import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type SandboxEhr, startSandboxEhr } from '../../../cdk/local/sandbox-ehr/index.ts'
import { withdrawCommand } from '../../../functions/cli/fhir-withdraw.ts'
import { Cines } from '../../../functions/report/cines.ts'
import { Reporter } from '../../../functions/report/reporter.ts'
import { SessionStore } from '../../../functions/report/session-store.ts'
import { Sessions } from '../../../functions/report/sessions.ts'
import { artifactKey, readObject } from '../../../shared/aws/payloads.ts'
import { parseSiteConfig } from '../../../shared/config/site.ts'
import type { CmrJob } from '../../../shared/domain/cmr-job.ts'
import { type EcgId, fileEcgId } from '../../../shared/domain/ecg-id.ts'
import { CodedError } from '../../../shared/errors.ts'
import type { Origin, SessionCheck } from '../../../shared/messages.ts'
import { AssociationStore } from '../../../shared/store/associations.ts'
import { AuditStore } from '../../../shared/store/audit.ts'
import { CmrJobStore } from '../../../shared/store/cmr-jobs.ts'
import { ResultStore } from '../../../shared/store/results.ts'
import { createEhrClient } from '../../../streams/fhir/client.ts'
import { AUDIT_TABLE, BUCKET, startTestAws, TABLE, type TestAws } from '../../helpers/aws.ts'
import { makeResult } from '../../helpers/results.ts'
import { storedDrawing } from '../../helpers/stored-drawing.ts'

let aws: TestAws
let ehr: SandboxEhr
let folder: string
let patient: string
const AT = new Date('2026-01-02T03:04:05.000Z')

beforeAll(async () => {
  ;[aws, ehr] = await Promise.all([startTestAws(), startSandboxEhr()])
  patient = `Patient/${ehr.create({ resourceType: 'Patient' }).id}`
  folder = await mkdtemp(join(tmpdir(), 'withdraw-'))
  const site = {
    ehr: { tenant: 'hospital', baseUrl: ehr.baseUrl, auth: { kind: 'none' } },
    deployment: { tenants: ['hospital', 'b'] },
  }
  const outputs = {
    ResultsTable: TABLE,
    AuditTable: AUDIT_TABLE,
    AuditDays: '30',
    LocalEndpoint: aws.env.AWS_ENDPOINT_URL_S3,
    LocalDynamoEndpoint: aws.env.AWS_ENDPOINT_URL_DYNAMODB,
  }
  await writeFile(join(folder, 'site.json'), JSON.stringify(site))
  await writeFile(join(folder, 'outputs.json'), JSON.stringify({ stack: outputs }))
})
afterAll(() => Promise.all([aws.stop(), ehr.stop(), rm(folder, { recursive: true })]))

/** What the command prints. */
async function withdraw(...options: string[]): Promise<string> {
  let printed = ''
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += text
    return true
  })
  const at = ['--site', join(folder, 'site.json'), '--outputs', join(folder, 'outputs.json'), '--by', 'operator:x']
  try {
    await withdrawCommand().parseAsync([...at, ...options], { from: 'user' })
  } finally {
    write.mockRestore()
  }
  return printed
}

/** An upload, a live session and a drawing of a tenant in the chart, as a version before the list of tenants wrote them. */
async function reported(tenant: string, seeds: readonly number[] = [7]) {
  const checks: SessionCheck[] = []
  let now = AT
  const { report: rules } = parseSiteConfig('{"report":{"virtual":true,"session":{"silenceS":20}}}')
  const results = new ResultStore(aws.dynamo, TABLE)
  const associations = new AssociationStore(aws.dynamo, TABLE)
  const jobs = new CmrJobStore(aws.dynamo, TABLE)
  const common = {
    ehr: createEhrClient({ baseUrl: ehr.baseUrl }),
    serverId: 'ehr',
    ehrTenant: tenant,
    tenants: new Set([tenant]),
    results,
    associations,
    rules,
    now: () => now,
  }
  const sessions = new Sessions({
    ...common,
    store: new SessionStore(aws.dynamo, TABLE),
    sendCheck: async (check) => void checks.push(check),
    onPutOff: () => {},
  })
  const readArtifact = ({ jobId }: CmrJob, name: string) =>
    readObject(aws.s3, BUCKET, artifactKey(tenant, ecgId, jobId, name))
  // The function itself withdraws nothing: its token may not search.
  const searchPages = () => {
    throw new CodedError('ehr-forbidden')
  }
  const cineEhr = { ...common.ehr, searchPages }
  const cines = new Cines({ ...common, ehr: cineEhr, jobs, readArtifact, onStays: () => {} })
  const reporter = new Reporter({ ...common, sessions, cines })
  await associations.put(tenant, 'd1', { patient, from: new Date(0) })
  const upload: Origin = { kind: 'upload', device: 'd1' }
  const ecgId = fileEcgId({ tenant, sha256: randomUUID() })
  const draw = (version: number) =>
    Promise.all(
      seeds.map((seed) =>
        storedDrawing({ jobs, s3: aws.s3 }, tenant, { ecgId, version, bundleSha256: 'c', seed, sampler: 'full' }, AT),
      ),
    )
  const screened = async (id: EcgId, origin: Origin, version = 1) => {
    const stored = await results.putOnce(tenant, origin, makeResult({ ecgId: id, version }), AT)
    if (stored.kind === 'deleted') throw new Error('nobody deleted it')
    await reporter.report({ schema: 1, tenant, origin, result: stored.json })
  }
  await draw(1)
  const live: Origin = { kind: 'mqtt', device: 'd1', session: randomUUID() }
  const window = fileEcgId({ tenant, sha256: randomUUID() })
  await screened(ecgId, upload)
  await screened(window, live)
  now = new Date(AT.getTime() + 60_000)
  expect(await reporter.report(checks[0]!)).toBe('written')
  return {
    ecgId,
    /** The ECG is corrected and screened again, and the new version drawn. */
    correct: async () => {
      await draw(2)
      await screened(ecgId, upload, 2)
    },
  }
}

/** Outcomes of the withdrawals in the audit trail of a tenant. */
async function audited(tenant: string, ecgId?: EcgId): Promise<readonly unknown[]> {
  const audit = new AuditStore(aws.dynamo, AUDIT_TABLE, 30)
  const period = { since: new Date(Date.now() - 600_000), until: new Date() }
  const entries = await Array.fromAsync(audit.entries({ tenant, ...period }))
  expect(new Set(entries.map(({ action }) => action))).toEqual(new Set(['report.withdraw']))
  const ofEcg = entries.filter(({ ecgIds }) => ecgId === undefined || ecgIds.includes(ecgId))
  return ofEcg.map(({ outcome }) => outcome)
}

const TYPES = ['DiagnosticReport', 'RiskAssessment', 'Observation', 'ImagingStudy', 'DocumentReference']
const statuses = () => {
  const all = TYPES.flatMap((type) => [...ehr.store.all(type)])
  return Object.groupBy(all, ({ status }) => String(status))
}

it('cardiacnets withdraw lists and withdraws only chart entries of tenants without reporting rights', async () => {
  await reported('hospital')
  const own = statuses()
  const ownCount = Object.values(own).flat().length
  await reported('b')
  const all = Object.values(statuses()).flat().length

  const listed = await withdraw()
  const untouched = statuses()['entered-in-error']
  const done = await withdraw('--yes')
  const again = await withdraw()

  expect(listed).toContain(`${all - ownCount} resources`)
  expect(listed).toMatch(/^b {2}DiagnosticReport\/\S+ {2}ecg /m)
  expect(listed).toMatch(/^b {2}DiagnosticReport\/\S+ {2}session /m)
  expect(listed).toMatch(/^b {2}ImagingStudy\//m)
  expect(listed).toMatch(/^b {2}DocumentReference\//m)
  expect(listed).not.toMatch(/^hospital/m)
  expect(listed + done).not.toContain(patient)
  expect(untouched).toBeUndefined()
  expect(done).toContain('withdrawn')
  const after = statuses()
  expect(after['entered-in-error']).toHaveLength(all - ownCount)
  const stillThere = Object.values(after)
    .flat()
    .filter((resource) => resource?.status !== 'entered-in-error')
  expect(stillThere).toEqual(expect.arrayContaining(Object.values(own).flat()))
  expect(again).toBe('0 resources of tenants that may not report; nothing to withdraw\n')
  expect(await audited('b')).toEqual(['begun', 'done', 'begun', 'done'])
})

/** Types and versions of the cines in the chart that are valid. */
function validCines() {
  const all = ['ImagingStudy', 'DocumentReference'].flatMap((type) => [...ehr.store.all(type)])
  return all
    .filter(({ status }) => status !== 'entered-in-error')
    .map(({ id, description }) => [id, /version (\d)/.exec(String(description))?.[1]])
}

describe('cardiacnets withdraw --outdated-cines', () => {
  it('lists and withdraws only cines of an earlier version of a corrected ECG', async () => {
    const { ecgId, correct } = await reported('hospital')
    await reported('hospital')
    const before = validCines()
    await correct()
    const cines = validCines()
    const reports = [...ehr.store.all('DiagnosticReport')]

    const listed = await withdraw('--outdated-cines')
    const untouched = validCines()
    const done = await withdraw('--outdated-cines', '--yes')
    const again = await withdraw('--outdated-cines', '--yes')

    const outdated = listed.match(/^hospital {2}(ImagingStudy|DocumentReference)\/\S+ {2}ecg \S+$/gm)
    expect(outdated).toHaveLength(3)
    for (const line of outdated!) expect(line).toContain(ecgId)
    expect(listed).toContain('3 resources of cines of an earlier version; nothing was changed')
    expect(untouched).toEqual(cines)
    expect(done).toContain('3 resources of cines of an earlier version; withdrawn')
    expect(again).toBe('0 resources of cines of an earlier version; nothing to withdraw\n')
    expect(listed + done).not.toContain(patient)
    const left = validCines()
    expect(left).toHaveLength(cines.length - 3)
    expect(left.filter(([, version]) => version === '2')).toHaveLength(cines.length - before.length)
    expect([...ehr.store.all('DiagnosticReport')]).toEqual(reports)
    expect(await audited('hospital', ecgId)).toEqual(['begun', 'done'])
  })

  it('withdraws the previews of a study that somebody withdrew by hand', async () => {
    const { ecgId, correct } = await reported('hospital')
    await correct()
    const name = `${ecgId}/7/full/c`
    const study = [...ehr.store.all('ImagingStudy')].find(({ identifier }) =>
      JSON.stringify(identifier).includes(`"${name}"`),
    )!
    const byHand = { ...study, id: String(study.id), status: 'entered-in-error' }
    await createEhrClient({ baseUrl: ehr.baseUrl }).update(byHand)

    const done = await withdraw('--outdated-cines', '--yes')

    expect(done).toContain('2 resources of cines of an earlier version; withdrawn')
  })

  it('withdraws the other cines of an ECG if the EHR refuses one, and then fails', async () => {
    const { ecgId, correct } = await reported('hospital', [7, 8])
    await correct()
    const study = [...ehr.store.all('ImagingStudy')].find(({ identifier }) =>
      JSON.stringify(identifier).includes(`"${ecgId}/8/full/c"`),
    )!
    // Not valid, so that the EHR does not take it back with another status.
    ehr.store.change((writer) => writer.put({ ...study, subject: undefined }))

    const failing = withdraw('--outdated-cines', '--yes')
    await expect(failing).rejects.toMatchObject({ code: 'ehr-refused' })
    const left = await withdraw('--outdated-cines')
    ehr.store.change((writer) => writer.put(study))
    const again = await withdraw('--outdated-cines', '--yes')

    expect(left).toContain('3 resources of cines of an earlier version; nothing was changed')
    expect(again).toContain('3 resources of cines of an earlier version; withdrawn')
    expect(await audited('hospital', ecgId)).toEqual(['begun', 'ehr-refused', 'begun', 'done'])
  })

  it('leaves a cine whose ECG was not corrected', async () => {
    await reported('hospital')

    expect(await withdraw('--outdated-cines')).toBe('0 resources of cines of an earlier version; nothing to withdraw\n')
  })
})
