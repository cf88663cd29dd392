import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Resource, type SandboxEhr, startSandboxEhr } from '../../cdk/local/sandbox-ehr/index.ts'
import { Cines } from '../../functions/report/cines.ts'
import { Reporter } from '../../functions/report/reporter.ts'
import { SessionStore } from '../../functions/report/session-store.ts'
import { Sessions } from '../../functions/report/sessions.ts'
import { whoseResource } from '../../functions/report/whose.ts'
import { artifactKey, putObject, readObject } from '../../shared/aws/payloads.ts'
import { parseSiteConfig } from '../../shared/config/site.ts'
import { fileEcgId, streamEcgId } from '../../shared/domain/ecg-id.ts'
import type { Result } from '../../shared/domain/result.ts'
import { CodedError } from '../../shared/errors.ts'
import { type Origin, parseMessage, ReportMessage, type ResultMessage } from '../../shared/messages.ts'
import { AssociationStore } from '../../shared/store/associations.ts'
import { CmrJobStore } from '../../shared/store/cmr-jobs.ts'
import { ResultStore } from '../../shared/store/results.ts'
import { createEhrClient, type EhrClient } from '../../streams/fhir/client.ts'
import { BUCKET, startTestAws, TABLE, type TestAws } from '../helpers/aws.ts'
import { makeRefusal, makeResult } from '../helpers/results.ts'

let aws: TestAws
let ehr: SandboxEhr
/** Tests share the table, not a tenant. */
let tenant: string
let tenants = 0
let nowMs: number
let checks: { check: ReportMessage; delayS: number }[]
let putOff: unknown[]
let stays: string[]
let patient: string

beforeAll(async () => {
  aws = await startTestAws()
})
afterAll(() => aws.stop())

beforeEach(async () => {
  ehr = await startSandboxEhr()
  tenant = `clinic${++tenants}`
  nowMs = Date.UTC(2026, 0, 2, 3, 5)
  checks = []
  putOff = []
  stays = []
  patient = `Patient/${ehr.create({ resourceType: 'Patient' }).id}`
  return () => ehr.stop()
})

const client = () => createEhrClient({ baseUrl: ehr.baseUrl, transport: { attempts: 1 } })
const start = Date.UTC(2026, 0, 2, 3, 0)
const associations = () => new AssociationStore(aws.dynamo, TABLE)
const results = () => new ResultStore(aws.dynamo, TABLE)

const RULES = { report: { virtual: true, session: { silenceS: 60, sustainedWindows: 3, changeIntervalS: 60 } } }

/** @param changed calls that an EHR answers in another way */
function reporter(site: object = RULES, changed: Partial<EhrClient> = {}) {
  const { report: rules } = parseSiteConfig(JSON.stringify(site))
  const common = {
    ehr: client(),
    results: results(),
    associations: associations(),
    rules,
    serverId: 'ehr',
    ehrTenant: tenant,
    tenants: new Set([tenant]),
    now: () => new Date(nowMs),
  }
  const sessions = new Sessions({
    ...common,
    store: new SessionStore(aws.dynamo, TABLE),
    // By way of its text, as through the queue.
    sendCheck: async (check, delayS) =>
      void checks.push({ check: parseMessage(ReportMessage, JSON.stringify(check)), delayS }),
    onPutOff: (error) => putOff.push(error),
  })
  const cines = new Cines({
    ...common,
    ehr: { ...common.ehr, ...changed },
    onStays: ({ code }) => stays.push(code),
    jobs: new CmrJobStore(aws.dynamo, TABLE),
    readArtifact: ({ ecgId, jobId }, name) => readObject(aws.s3, BUCKET, artifactKey(tenant, ecgId, jobId, name)),
  })
  return new Reporter({ ...common, sessions, cines })
}

/** A result as `screen` stores and publishes it. */
async function published(origin: Origin, result: Result): Promise<ResultMessage> {
  const stored = await results().putOnce(tenant, origin, result, new Date(nowMs))
  if (stored.kind === 'deleted') throw new Error('the ECG was deleted')
  return { schema: 1, tenant, origin, result: stored.json }
}

const inChart = (type: string) => [...ehr.store.all(type)]
const current = (type = 'DiagnosticReport') => inChart(type).filter(({ status }) => status === 'preliminary')

describe('reporting an ECG of the EHR', () => {
  const ecgId = () => fileEcgId({ tenant, sha256: 'f'.repeat(64) })
  const ecg = (fields: Partial<Resource> = { subject: { reference: patient } }) =>
    ehr.create({ resourceType: 'Observation', status: 'final', code: { text: 'ECG' }, ...fields })
  const origin = (id: string, server = 'ehr'): Origin => ({ kind: 'fhir', server, source: `Observation/${id}` })

  it('writes to the patient and encounter that the ECG names, and refers to the ECG', async () => {
    const encounter = ehr.create({ resourceType: 'Encounter', status: 'finished', class: { code: 'AMB' } })
    const { id } = ecg({ subject: { reference: patient }, encounter: { reference: `Encounter/${encounter.id}` } })

    const outcome = await reporter().report(await published(origin(id), makeResult({ ecgId: ecgId() })))

    expect(outcome).toBe('written')
    expect(current()).toMatchObject([
      { subject: { reference: patient }, encounter: { reference: `Encounter/${encounter.id}` } },
    ])
    expect(inChart('RiskAssessment')[0]!.basis).toContainEqual({ reference: `Observation/${id}` })
  })

  it('accepts a patient reference as an absolute URL', async () => {
    const { id } = ecg({ subject: { reference: `${ehr.baseUrl}/${patient}` } })

    const outcome = await reporter().report(await published(origin(id), makeResult({ ecgId: ecgId() })))

    expect(outcome).toBe('written')
    expect(current()).toMatchObject([{ subject: { reference: patient } }])
  })

  it('accepts a patient reference with a version', async () => {
    const base = 'https://ehr.example/fhir'
    const versions = ['Patient/1/_history/2', `${base}/Patient/1/_history/2`]

    const whose = versions.map((reference) =>
      whoseResource({ resourceType: 'Observation', subject: { reference } }, 'Observation/1', base),
    )

    expect(whose).toMatchObject([{ patient: 'Patient/1' }, { patient: 'Patient/1' }])
  })

  it.each(['entered-in-error', 'cancelled'])('writes nothing for an ECG that became %s meanwhile', async (status) => {
    const { id } = ecg({ subject: { reference: patient }, status })

    const outcome = await reporter().report(await published(origin(id), makeResult({ ecgId: ecgId() })))

    expect(outcome).toBe('withdrawn')
    expect(inChart('DiagnosticReport')).toEqual([])
  })

  it('writes a repeated result once', async () => {
    const message = await published(origin(ecg().id), makeResult({ ecgId: ecgId() }))
    await reporter().report(message)
    const before = inChart('Provenance')

    const outcome = await reporter().report(message)

    expect(outcome).toBe('exists')
    expect(inChart('Provenance')).toEqual(before)
  })

  it('replaces the result of an older model for good', async () => {
    const from = origin(ecg().id)
    const old = await published(from, makeResult({ ecgId: ecgId() }))
    await reporter().report(old)
    nowMs += 1000
    const { provenance } = makeResult()
    const newer = makeResult({ ecgId: ecgId(), provenance: { ...provenance, modelSha256: 'd'.repeat(64) } })

    const outcomes = [await reporter().report(await published(from, newer)), await reporter().report(old)]

    expect(outcomes).toEqual(['written', 'outdated'])
    expect(inChart('DiagnosticReport').map(({ status }) => status)).toEqual(['cancelled', 'preliminary'])
    expect(current('RiskAssessment')).toHaveLength(1)
    expect(JSON.stringify(current()[0]!.identifier)).toContain('d'.repeat(64))
  })

  it('writes nothing for a deleted ECG', async () => {
    const message = await published(origin(ecg().id), makeResult({ ecgId: ecgId() }))

    await results().markDeleted(tenant, ecgId())
    await results().removeRows(tenant, ecgId())

    const outcome = await reporter().report(message)

    expect(outcome).toBe('outdated')
    expect(inChart('DiagnosticReport')).toEqual([])
  })

  it('leaves out findings learned from simulated people by default', async () => {
    await reporter({}).report(await published(origin(ecg().id), makeResult({ ecgId: ecgId() })))

    expect(inChart('RiskAssessment')[0]!.prediction).toHaveLength(1)
    expect(JSON.stringify(inChart('Observation'))).not.toContain('urn:cardiacnets:index')
  })

  it.each([
    ['whose ECG names no patient', 'field-invalid', () => origin(ecg({}).id)],
    [
      'whose ECG names a patient of another server',
      'origin-foreign',
      () => origin(ecg({ subject: { reference: `https://other.example/fhir/${patient}` } }).id),
    ],
    [
      'whose ECG names a patient of another path on the server',
      'origin-foreign',
      () => origin(ecg({ subject: { reference: `${new URL(ehr.baseUrl).origin}/other/${patient}` } }).id),
    ],
    ['whose ECG is gone', 'not-found', () => origin('nowhere')],
    ['of another EHR', 'origin-foreign', () => origin(ecg().id, 'other')],
  ])('permanently refuses a result %s', async (_, code, from) => {
    const reporting = reporter().report(await published(from(), makeResult({ ecgId: ecgId() })))

    await expect(reporting).rejects.toMatchObject({ code, kind: { permanent: true } })
  })

  it('retries while the EHR is down', async () => {
    const message = await published(origin(ecg().id), makeResult({ ecgId: ecgId() }))
    ehr.outage = 503

    const reporting = reporter().report(message)

    await expect(reporting).rejects.toMatchObject({ code: 'ehr-unavailable', kind: { permanent: false } })
    ehr.outage = undefined
    expect(await reporter().report(message)).toBe('written')
  })
})

describe('reporting an upload', () => {
  const upload = (device?: string) =>
    published(
      { kind: 'upload', ...(device ? { device } : {}) },
      makeResult({ ecgId: fileEcgId({ tenant, sha256: 'e' }) }),
    )
  const list = async () => (await associations().unidentified(tenant, { limit: 10 })).items

  it('waits for the association of its device', async () => {
    const message = await upload('scanner')
    const first = await reporter().report(message)
    const waiting = await list()
    await associations().put(tenant, 'scanner', { patient, from: new Date(start) })

    const second = await reporter().report(message)

    expect([first, second]).toEqual(['waiting', 'written'])
    expect(waiting).toMatchObject([{ device: 'scanner' }])
    expect(await list()).toEqual([])
    expect(current()).toMatchObject([{ subject: { reference: patient } }])
  })

  it('looks up the patient of an ECG without a time by its arrival, however late it is reported', async () => {
    const span = { startedAt: null, firstSample: 0, durationMs: 10_000 }
    const other = `Patient/${ehr.create({ resourceType: 'Patient' }).id}`
    const message = await published(
      { kind: 'upload', device: 'scanner' },
      makeResult({ ecgId: fileEcgId({ tenant, sha256: 'e' }), span }),
    )
    const first = await reporter().report(message)
    nowMs += 3_600_000
    const moved = new Date(nowMs - 1_800_000)
    await associations().put(tenant, 'scanner', { patient: other, from: moved })
    const second = await reporter().report(message)
    await associations().put(tenant, 'scanner', { patient, from: new Date(start), to: moved })

    const third = await reporter().report(message)

    expect([first, second, third]).toEqual(['waiting', 'waiting', 'written'])
    expect(current()).toMatchObject([{ subject: { reference: patient } }])
    expect(await list()).toEqual([])
  })

  it('finds no patient without a device', async () => {
    expect(await reporter().report(await upload())).toBe('nobody')
    expect(await list()).toEqual([])
  })
})

describe('reporting a live session', () => {
  const stream = { device: 'd1', session: 's1' }
  const WINDOW_MS = 10_000

  /** Window `k` of the session; `cad` is the probability of coronary artery disease, whose threshold is 0.3. */
  const windowResult = (k: number, cad: number | 'refused' = 0.1): Result => {
    const common = {
      ecgId: streamEcgId({ tenant, source: 'mqtt', ...stream, firstSample: k * 5000 }),
      span: { startedAt: new Date(start + k * WINDOW_MS).toISOString(), firstSample: k * 5000, durationMs: WINDOW_MS },
    }
    if (cad === 'refused') return makeRefusal(common)
    const findings = makeResult().findings.map((finding) => {
      const probability = finding.condition === 'cad' ? cad : 0.05
      return { ...finding, probability, flagged: probability >= finding.threshold }
    })
    return makeResult({ ...common, findings })
  }

  const arrive = async (k: number, cad?: number | 'refused') => {
    nowMs = start + (k + 1) * WINDOW_MS
    return reporter().report(await published({ kind: 'mqtt', ...stream }, windowResult(k, cad)))
  }
  /** The newest check runs after its delay; earlier ones are outdated or done. */
  const checkAfterDelay = async () => {
    const { check, delayS } = checks.at(-1)!
    nowMs += 1000 * delayS
    return reporter().report(check)
  }
  const associate = (to: Date | undefined = undefined, whose = patient) =>
    associations().put(tenant, stream.device, { patient: whose, from: new Date(start), to })

  it('writes one report at the end, whatever the length', async () => {
    await associate()
    for (let k = 0; k < 20; k++) await arrive(k, k === 7 ? 'refused' : 0.2)
    const during = inChart('DiagnosticReport')

    const outcome = await checkAfterDelay()

    expect(during).toEqual([])
    expect(outcome).toBe('written')
    expect(current()).toMatchObject([
      {
        effectivePeriod: { start: new Date(start).toISOString(), end: new Date(start + 20 * WINDOW_MS).toISOString() },
      },
    ])
    expect(current()[0]!.conclusion).toContain('mean of 19 windows of ten seconds; 1 more could not be judged')
    expect(inChart('RiskAssessment')[0]).toMatchObject({ prediction: [{ probabilityDecimal: 20 }, {}, {}, {}, {}] })
  })

  it('waits while windows arrive, with one scheduled check at a time', async () => {
    await associate()
    await arrive(0)
    await arrive(5)

    nowMs = start + 1 * WINDOW_MS + 60_000
    const outcome = await reporter().report(checks[0]!.check)
    const again = await reporter().report(checks[0]!.check)

    expect([outcome, again]).toEqual(['collected', 'outdated'])
    expect(checks.map(({ delayS }) => delayS)).toEqual([60, 50])
    expect(await checkAfterDelay()).toBe('written')
  })

  it('gives a window in which the device passed to another patient to neither', async () => {
    const other = `Patient/${ehr.create({ resourceType: 'Patient' }).id}`
    const passed = new Date(start + 1.5 * WINDOW_MS)
    await associate(passed)
    await associations().put(tenant, stream.device, { patient: other, from: passed })
    for (const [k, cad] of [0.2, 0.9, 0.1].entries()) await arrive(k, cad)

    await checkAfterDelay()

    const probabilities = inChart('RiskAssessment').map(({ subject, prediction }) => [
      subject,
      (prediction as { probabilityDecimal: number }[])[0]!.probabilityDecimal,
    ])
    expect(probabilities).toEqual([
      [{ reference: patient }, 20],
      [{ reference: other }, 10],
    ])
    expect((await associations().unidentified(tenant, { limit: 10 })).items).toEqual([])
  })

  it('gives the same summary for repeated and reordered windows', async () => {
    await associate()
    for (const k of [1, 0, 2, 1, 0]) await arrive(k)

    await checkAfterDelay()

    expect(current()[0]!.conclusion).toContain('mean of 3 windows')
    expect(inChart('DiagnosticReport')).toHaveLength(1)
  })

  it('reports a lasting change, and no shorter one', async () => {
    await associate()
    for (const [k, cad] of [0.1, 0.9, 0.9, 0.1, 0.9].entries()) await arrive(k, cad)
    const before = inChart('DiagnosticReport')

    for (const [i, cad] of [0.8, 'refused' as const, 0.9].entries()) await arrive(5 + i, cad)

    expect(before).toEqual([])
    expect(current()).toHaveLength(1)
    expect(current()[0]!.conclusion).toMatch(
      /A change in a session that goes on: mean of 3 windows.*Above threshold: Coronary/s,
    )
    expect(current('RiskAssessment')[0]).toMatchObject({ prediction: [{ probabilityDecimal: 86.7 }, {}, {}, {}, {}] })
  })

  it('reports a change once and its reversal after a delay; the final report replaces both and lists them', async () => {
    await associate()
    for (let k = 0; k < 8; k++) await arrive(k, 0.9)
    const once = inChart('DiagnosticReport').length
    for (let k = 8; k < 40; k++) await arrive(k, 0.1)
    const back = current().map(({ conclusion }) => String(conclusion))

    await checkAfterDelay()

    expect(once).toBe(1)
    expect(inChart('DiagnosticReport').map(({ status }) => status)).toEqual(['cancelled', 'cancelled', 'preliminary'])
    expect(back).toHaveLength(1)
    expect(back[0]).not.toContain('Above threshold')
    expect(current()[0]!.conclusion).toContain(
      `Coronary artery disease stayed above its threshold from ${new Date(start).toISOString()} to ${new Date(start + 8 * WINDOW_MS).toISOString()} (8 windows)`,
    )
  })

  it('reports no change of a finding that the site does not allow', async () => {
    await associate()
    nowMs = start
    for (let k = 0; k < 5; k++) {
      const result = windowResult(k)
      const findings = result.findings.map((finding) => ({
        ...finding,
        probability: 0.9,
        flagged: true,
        evidence: 'virtual' as const,
      }))
      const site = { report: { session: RULES.report.session } }
      await reporter(site).report(await published({ kind: 'mqtt', ...stream }, { ...result, findings }))
    }

    expect(inChart('DiagnosticReport')).toEqual([])
  })

  it('waits for a known patient, and reports once an association is made', async () => {
    for (let k = 0; k < 3; k++) await arrive(k)
    const atEnd = await checkAfterDelay()
    const { items } = await associations().unidentified(tenant, { limit: 10 })
    await associate()

    const released = await arrive(0)

    expect([atEnd, released]).toEqual(['waiting', 'written'])
    expect(items).toMatchObject([{ device: 'd1', at: new Date(start), ecgId: windowResult(0).ecgId }])
    expect((await associations().unidentified(tenant, { limit: 10 })).items).toEqual([])
    expect(current()[0]!.conclusion).toContain('mean of 3 windows')
  })

  it('writes one report per patient when the device changes patients, each of their own windows', async () => {
    const next = `Patient/${ehr.create({ resourceType: 'Patient' }).id}`
    await associate(new Date(start + 2 * WINDOW_MS))
    await associations().put(tenant, stream.device, { patient: next, from: new Date(start + 3 * WINDOW_MS) })
    for (let k = 0; k < 8; k++) await arrive(k)

    const outcome = await checkAfterDelay()

    const counts = current().map(({ subject, conclusion }) => [
      (subject as { reference: string }).reference, // of our report
      /mean of (\d+) windows/.exec(String(conclusion))![1],
    ])
    expect(outcome).toBe('waiting')
    expect(counts).toEqual([
      [patient, '2'],
      [next, '5'],
    ])
    expect((await associations().unidentified(tenant, { limit: 10 })).items).toMatchObject([
      { at: new Date(start + 2 * WINDOW_MS) },
    ])
  })

  it('retries at the end while the EHR is down', async () => {
    await associate()
    for (let k = 0; k < 5; k++) await arrive(k, 0.9)
    const told = inChart('DiagnosticReport').length
    ehr.outage = 503

    const failing = checkAfterDelay()

    await expect(failing).rejects.toMatchObject({ code: 'ehr-unavailable' })
    ehr.outage = undefined
    expect(await reporter().report(checks.at(-1)!.check)).toBe('written')
    expect([told, current().length]).toEqual([1, 1])
  })

  it('reports a change with the next window after the EHR was down', async () => {
    await associate()
    ehr.outage = 500
    for (let k = 0; k < 4; k++) await arrive(k, 0.9)

    ehr.outage = undefined
    const outcome = await arrive(4, 0.9)

    expect(putOff).toHaveLength(2)
    expect(outcome).toBe('written')
  })

  it('replaces the report when the session resumes after its end', async () => {
    await associate()
    await arrive(0)
    await checkAfterDelay()

    await arrive(30)
    await checkAfterDelay()

    expect(inChart('DiagnosticReport').map(({ status }) => status)).toEqual(['cancelled', 'preliminary'])
    expect(current()[0]!.conclusion).toContain('mean of 2 windows')
  })

  it('reports a session of refused windows as refused', async () => {
    await associate()
    for (let k = 0; k < 3; k++) await arrive(k, 'refused')

    await checkAfterDelay()

    expect(current()[0]!.conclusion).toContain('Not judged: the quality gate refused the signal (flat, lead-off)')
    expect(inChart('RiskAssessment')).toEqual([])
  })
})

describe('reporting a synthetic cine', () => {
  const ecgId = () => fileEcgId({ tenant, sha256: 'f'.repeat(64) })
  const device = { kind: 'upload', device: 'd1' } as const
  const live = { kind: 'mqtt', device: 'd1', session: 's1' } as const

  /** A result from `origin` and a job that drew from it, or is about to be done. */
  async function drawn(origin: Origin, { isDone = true, seed = 7 } = {}) {
    const jobs = new CmrJobStore(aws.dynamo, TABLE)
    const message = await published(origin, makeResult({ ecgId: ecgId() }))
    const drawing = { ecgId: ecgId(), version: 1, bundleSha256: 'c'.repeat(64), seed, sampler: 'distilled' }
    const { jobId } = await jobs.submit(tenant, drawing, new Date(nowMs))
    const mine = { tenant, jobId, worker: 'w1' }
    await jobs.begin(mine, ecgId(), new Date(nowMs))
    const manifest = {
      drawing: { ...drawing, modelSha256: drawing.bundleSha256, steps: 8, guidance: 1 },
      model: 'cardiacnets-compact@0.3.0',
      evidence: 'virtual',
      studyUid: '2.25.1',
      views: ['sax', '4ch'].map((view, i) => ({
        view,
        seriesUid: `2.25.10${i}`,
        instanceUid: `2.25.20${i}`,
        frames: 50,
      })),
      files: ['sax', '4ch'].flatMap((view) => [
        { name: `${view}.dcm`, contentType: 'application/dicom' },
        { name: `${view}.webp`, contentType: 'image/webp' },
      ]),
    }
    const files = { 'sax.webp': 'picture', '4ch.webp': 'picture', 'manifest.json': JSON.stringify(manifest) }
    for (const [name, text] of Object.entries(files)) {
      await putObject(aws.s3, BUCKET, artifactKey(tenant, ecgId(), jobId, name), Buffer.from(text))
    }
    const finish = () => jobs.finish(mine, ecgId(), { artifacts: [] }, new Date(nowMs))
    if (isDone) await finish()
    const cine = parseMessage(ReportMessage, JSON.stringify({ schema: 1, kind: 'cine', tenant, jobId }))
    return { message, cine, finish }
  }

  const associate = () => associations().put(tenant, 'd1', { patient, from: new Date(start) })

  it('writes a cine of an ECG in the EHR once to its patient, marked SYNTHETIC', async () => {
    const code = { text: 'ECG' }
    const source = ehr.create({ resourceType: 'Observation', status: 'final', code, subject: { reference: patient } })
    const { cine } = await drawn({ kind: 'fhir', server: 'ehr', source: `Observation/${source.id}` })

    const outcomes = [await reporter().report(cine), await reporter().report(cine)]

    expect(outcomes).toEqual(['written', 'written'])
    expect(inChart('ImagingStudy')).toMatchObject([{ subject: { reference: patient }, numberOfSeries: 2 }])
    const documents = inChart('DocumentReference')
    expect(documents).toHaveLength(2)
    for (const document of documents) {
      expect(document).toMatchObject({ subject: { reference: patient }, meta: { tag: [{ code: 'synthetic' }] } })
      expect(document.description).toContain('SYNTHETIC')
      expect(document.context).toMatchObject({ related: [{}, { reference: `Observation/${source.id}` }] })
    }
  })

  it('writes no cine of an ECG that was withdrawn in the EHR', async () => {
    const source = ehr.create({
      resourceType: 'Observation',
      status: 'entered-in-error',
      code: { text: 'ECG' },
      subject: { reference: patient },
    })
    const { cine } = await drawn({ kind: 'fhir', server: 'ehr', source: `Observation/${source.id}` })

    expect(await reporter().report(cine)).toBe('withdrawn')
    expect(inChart('ImagingStudy')).toEqual([])
  })

  it('writes a cine of a device to the device’s patient', async () => {
    await associate()
    const { cine } = await drawn(live)

    expect(await reporter().report(cine)).toBe('written')
    expect(inChart('ImagingStudy')).toMatchObject([{ subject: { reference: patient } }])
  })

  it.each([
    ['a live stream', live],
    ['an upload', device],
    ['an upload without a device', { kind: 'upload' } as const],
  ])('writes nothing without an association for %s', async (_what, origin) => {
    const { cine } = await drawn(origin)

    expect(await reporter().report(cine)).toBe('nobody')
    expect(inChart('ImagingStudy')).toEqual([])
  })

  it('writes a cine of an upload after its result, once the patient is known', async () => {
    const { message, cine } = await drawn(device)
    const before = [await reporter().report(message), await reporter().report(cine)]
    await associate()

    const after = await reporter().report(message)

    expect([...before, after]).toEqual(['waiting', 'nobody', 'written'])
    expect(inChart('ImagingStudy')).toHaveLength(1)
  })

  it('writes nothing unless the site allows findings learned from simulated people', async () => {
    await associate()
    const { cine } = await drawn(device)

    expect(await reporter({}).report(cine)).toBe('withheld')
    expect(inChart('ImagingStudy')).toEqual([])
  })

  it('writes no cine of an ECG that was corrected since', async () => {
    await associate()
    const { cine } = await drawn(device)
    await published(device, makeResult({ ecgId: ecgId(), version: 2 }))

    expect(await reporter().report(cine)).toBe('outdated')
    expect(inChart('ImagingStudy')).toEqual([])
  })

  describe('when its ECG is corrected', () => {
    const ours = () => [...inChart('ImagingStudy'), ...inChart('DocumentReference')]
    const valid = () => ours().filter(({ status }) => status !== 'entered-in-error')
    const correction = (origin: Origin) => published(origin, makeResult({ ecgId: ecgId(), version: 2 }))
    const isWithdrawal = (bundle: unknown) => JSON.stringify(bundle).includes('entered-in-error')

    /** Cines of version 1 in the chart: a study and two previews each. */
    async function written(origin: Origin, seeds: readonly number[] = [7]) {
      await associate()
      for (const seed of seeds) await reporter().report((await drawn(origin, { seed })).cine)
      expect(valid()).toHaveLength(3 * seeds.length)
    }

    it.each([
      ['an upload', device],
      ['a live stream', live],
    ])('is withdrawn from the chart once (%s)', async (_what, origin) => {
      await written(origin)
      const corrected = await correction(origin)

      await reporter().report(corrected)
      const after = ours()
      await reporter().report(corrected)

      expect(valid()).toEqual([])
      expect(ours()).toEqual(after)
      expect(stays).toEqual([])
    })

    it('is withdrawn later if the EHR is unavailable', async () => {
      await written(device)
      const corrected = await correction(device)
      const away: EhrClient['transaction'] = (bundle) =>
        isWithdrawal(bundle) ? Promise.reject(new CodedError('ehr-unavailable')) : client().transaction(bundle)

      const early = reporter(RULES, { transaction: away }).report(corrected)
      await expect(early).rejects.toMatchObject({ code: 'ehr-unavailable' })
      const outcome = await reporter().report(corrected)

      expect(outcome).toBe('exists')
      expect(valid()).toEqual([])
    })

    it('is withdrawn if it is written at the same moment', async () => {
      await associate()
      const { cine } = await drawn(device)
      const late: EhrClient['transaction'] = async (bundle) => {
        if (!isWithdrawal(bundle)) await reporter().report(await correction(device))
        return client().transaction(bundle)
      }

      await reporter(RULES, { transaction: late }).report(cine)

      expect(ours()).toHaveLength(3)
      expect(valid()).toEqual([])
    })

    it('stays if the EHR refuses, and then stops neither the result nor another cine', async () => {
      await written(device, [7, 8])
      const corrected = await correction(device)
      const strict: EhrClient['transaction'] = (bundle) =>
        isWithdrawal(bundle) && JSON.stringify(bundle).includes('/7/distilled')
          ? Promise.reject(new CodedError('ehr-refused', { status: 422 }))
          : client().transaction(bundle)

      const outcome = await reporter(RULES, { transaction: strict }).report(corrected)

      expect(outcome).toBe('written')
      expect(valid()).toHaveLength(3)
      for (const { identifier } of valid()) expect(JSON.stringify(identifier)).toContain('/7/distilled')
      expect(stays).toEqual(['ehr-refused'])
    })

    it('stays if our token may not search for it', async () => {
      await written(device)
      const searchPages: EhrClient['searchPages'] = () => {
        throw new CodedError('ehr-forbidden', { status: 403 })
      }

      const outcome = await reporter(RULES, { searchPages }).report(await correction(device))

      expect(outcome).toBe('written')
      expect(valid()).toHaveLength(3)
      expect(stays).toEqual(['ehr-forbidden'])
    })
  })

  it('retries until the job is done, and writes nothing for a deleted ECG', async () => {
    await associate()
    const { cine, finish } = await drawn(device, { isDone: false })

    const early = reporter().report(cine)
    await expect(early).rejects.toMatchObject({ code: 'unavailable', kind: { permanent: false } })
    await finish()
    await results().removeRows(tenant, ecgId())

    expect(await reporter().report(cine)).toBe('outdated')
    expect(inChart('ImagingStudy')).toEqual([])
  })
})
