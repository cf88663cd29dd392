import type { Bundle, DiagnosticReport, Observation, Provenance, RiskAssessment } from '@medplum/fhirtypes'
import { beforeEach, describe, expect, it } from 'vitest'
import {
  problemsOf,
  type SandboxEhr,
  type StoredResource,
  startSandboxEhr,
} from '../../../../cdk/local/sandbox-ehr/index.ts'
import { NOTICE } from '../../../../shared/domain/result.ts'
import { isOurs } from '../../../../streams/fhir/ours.ts'
import { type Replaceable, type ReportOptions, reportBundle } from '../../../../streams/fhir/report/bundle.ts'
import { screeningOf } from '../../../../streams/fhir/report/screening.ts'
import { makeRefusal, makeResult } from '../../../helpers/results.ts'

const report = (overrides: Partial<ReportOptions> = {}) =>
  reportBundle({
    screening: screeningOf(makeResult()),
    patient: 'Patient/p1',
    issuedAt: new Date('2026-01-02T03:05:00Z'),
    allowsVirtual: true,
    ...overrides,
  })

/** The resources of a type, as the test knows them. */
function resourcesOf<T extends { resourceType: string }>(bundle: Bundle, type: T['resourceType']): T[] {
  const all = bundle.entry!.map(({ resource }) => resource!)
  return all.filter(({ resourceType }) => resourceType === type) as unknown as T[] // just filtered
}
const reports = (bundle: Bundle) => resourcesOf<DiagnosticReport>(bundle, 'DiagnosticReport')
const risks = (bundle: Bundle) => resourcesOf<RiskAssessment>(bundle, 'RiskAssessment')
const observations = (bundle: Bundle) => resourcesOf<Observation>(bundle, 'Observation')

describe('the FHIR transaction of a result', () => {
  it.each([
    ['a complete result', {}],
    ['a result without findings learned from simulated people', { allowsVirtual: false }],
    ['a refusal', { screening: screeningOf(makeRefusal()) }],
    ['a result of an ECG from an EHR', { source: 'Observation/ecg1', encounter: 'Encounter/e1' }],
    [
      'a result of unknown time',
      { screening: screeningOf(makeResult({ span: { startedAt: null, firstSample: 0, durationMs: 1e4 } })) },
    ],
  ])('is valid FHIR R4: %s', (_, overrides) => {
    expect(problemsOf(report(overrides))).toEqual([])
  })

  it('contains measurements as members of the EKG panel, with their method, and only those measured', () => {
    const measurements = { method: 'm-1', heartRateBpm: 71.5, qrsMs: 96, qtMs: 402, qtcBazettMs: 439, axisDegrees: -31 }

    const bundle = report({ screening: screeningOf(makeResult({ measurements })), allowsVirtual: false })

    expect(problemsOf(bundle)).toEqual([])
    const panel = observations(bundle).find(({ code }) => code.coding?.[0]?.code === '34534-8')!
    const members = panel.component!.map(({ code, valueQuantity }) => [
      code.coding![0]!.code,
      valueQuantity!.value,
      valueQuantity!.code,
    ])
    expect(members).toEqual([
      ['8867-4', 71.5, '/min'],
      ['8633-0', 96, 'ms'],
      ['8634-8', 402, 'ms'],
      ['8636-3', 439, 'ms'],
      ['8632-6', -31, 'deg'],
    ])
    expect(panel.method!.text).toContain('m-1')
    expect(reports(bundle)[0]!.result).toHaveLength(observations(bundle).length)
  })

  it('contains no panel when nothing was measured', () => {
    const panels = observations(report()).filter(({ code }) => code.coding?.[0]?.code === '34534-8')

    expect(panels).toEqual([])
  })

  it('contains a preliminary EKG study that begins with the notice', () => {
    const [diagnostic] = reports(report())

    expect(diagnostic).toMatchObject({
      status: 'preliminary',
      code: { coding: [{ system: 'http://loinc.org', code: '11524-6' }] },
      subject: { reference: 'Patient/p1' },
      effectiveDateTime: '2026-01-02T03:04:05.000Z',
    })
    expect(diagnostic!.conclusion!.startsWith(NOTICE)).toBe(true)
    expect(diagnostic!.conclusion).toContain('Coronary artery disease 41% (threshold 30%, learned from real patients')
  })

  it('gives each condition its SNOMED code, its probability in percent and its threshold', () => {
    const [risk] = risks(report())

    const predictions = risk!.prediction!.map(({ outcome, probabilityDecimal, qualitativeRisk }) => [
      outcome!.coding![0]!.code,
      probabilityDecimal,
      qualitativeRisk!.coding![0]!.code,
    ])
    expect(predictions).toEqual([
      ['53741008', 41, 'above-threshold'],
      ['85898001', 33, 'above-threshold'],
      ['3238004', 25, 'below-threshold'],
      ['84114007', 17, 'below-threshold'],
      ['70995007', 9, 'below-threshold'],
    ])
  })

  it('names the bundle branch block that raised the threshold of a finding', () => {
    const [finding] = makeResult().findings
    const findings = [{ ...finding!, raisedBy: 'rbbb' as const }]

    const bundle = report({ screening: screeningOf(makeResult({ findings })) })

    expect(problemsOf(bundle)).toEqual([])
    expect(risks(bundle)[0]!.prediction![0]!.rationale).toContain(
      'Threshold 30%, raised because the ECG shows a complete right bundle branch block;',
    )
  })

  it('gives each index its unit, interval, correlation and evidence', () => {
    const bundle = report()

    const ejection = observations(bundle).find(({ code }) => code!.coding!.some(({ code }) => code === 'lvEf'))!
    expect(ejection.code!.coding![0]).toMatchObject({ system: 'http://loinc.org', code: '10230-1' })
    expect(ejection.valueQuantity).toMatchObject({ value: 51, unit: '%', system: 'http://unitsofmeasure.org' })
    expect(ejection.component![0]!.valueRange).toMatchObject({ low: { value: 41, code: '%' }, high: { value: 61 } })
    expect(ejection.note![0]!.text).toMatch(/simulated people.*r = 0\.32/s)
    const codes = observations(bundle).flatMap(({ code, component = [] }) => [
      code!,
      ...component.map((part) => part.code!),
    ])
    const own = codes
      .flatMap(({ coding }) => coding!)
      .filter(({ system, code }) => system === 'urn:cardiacnets:index' && !/interval|correlation|Segments/.test(code!))
    expect(new Set(own.map(({ code }) => code)).size).toBe(82)
  })

  it('leaves out findings learned from simulated people unless the site allows them, and says so', () => {
    const bundle = report({ allowsVirtual: false })

    expect(risks(bundle)[0]!.prediction).toHaveLength(1)
    expect(observations(bundle)).toHaveLength(1)
    expect(reports(bundle)[0]!.conclusion).toContain(
      "Not shown, as they did not learn from real patients' labels: 86 numbers.",
    )
  })

  it('states the reason of a refusal, and no predictions', () => {
    const bundle = report({ screening: screeningOf(makeRefusal()) })

    const [quality] = observations(bundle)
    const reasons = quality!.dataAbsentReason!.coding!.map(({ code }) => code)
    expect(reasons).toEqual(['not-performed', 'flat', 'lead-off'])
    expect(quality!.component!.find(({ code }) => code!.coding![0]!.code === 'lead-I')).toHaveProperty(
      'dataAbsentReason',
    )
    expect(risks(bundle)).toEqual([])
    expect(reports(bundle)[0]!.conclusion).toContain('Not judged')
  })

  it('warns of a signal that does not look like an ECG', () => {
    const ood = { score: 3, threshold: 0, flagged: true }

    const bundle = report({ screening: screeningOf(makeResult({ ood })) })

    expect(reports(bundle)[0]!.conclusion).toContain('UNLIKE the ECGs')
  })

  it('names the model and the provenance', () => {
    const bundle = report({ source: 'Observation/ecg1' })

    const [device] = resourcesOf<{ resourceType: 'Device' }>(bundle, 'Device')
    const [provenance] = resourcesOf<Provenance>(bundle, 'Provenance')
    expect(device).toMatchObject({
      identifier: [{ value: 'a'.repeat(64) }],
      deviceName: [{ name: 'cardiacnets-compact' }],
      version: [{ value: '0.1.0' }],
    })
    expect(provenance!.entity).toMatchObject([{ role: 'source', what: { reference: 'Observation/ecg1' } }])
    expect(provenance!.target).toHaveLength(bundle.entry!.length - 2)
  })

  it('is marked as machine-made, so that our own subscription ignores it', () => {
    const resources = report().entry!.map(({ resource }) => resource!)

    expect(resources.every((resource) => isOurs(resource))).toBe(true)
    expect(resources.every(({ meta }) => meta!.security!.some(({ code }) => code === 'AIAST'))).toBe(true)
    expect(isOurs({ resourceType: 'Observation', identifier: [{ system: 'urn:x', value: '1' }] })).toBe(false)
  })
})

describe('sending the FHIR transaction of a result', () => {
  let ehr: SandboxEhr

  beforeEach(async () => {
    ehr = await startSandboxEhr()
    await fetch(`${ehr.baseUrl}/Patient/p1`, {
      method: 'PUT',
      body: JSON.stringify({ resourceType: 'Patient', id: 'p1' }),
      headers: { 'content-type': 'application/fhir+json' },
    })
    return () => ehr.stop()
  })

  async function send(bundle: Bundle) {
    const response = await fetch(ehr.baseUrl, {
      method: 'POST',
      body: JSON.stringify(bundle),
      headers: { 'content-type': 'application/fhir+json' },
    })
    return { status: response.status, text: await response.text() }
  }
  const all = (type: string) => [...ehr.store.all(type)]

  it('stores each resource once when it is sent twice', async () => {
    await send(report())
    const before = ['DiagnosticReport', 'RiskAssessment', 'Observation', 'Device', 'Provenance'].map(all)

    const { status } = await send(report({ issuedAt: new Date() }))

    expect(status).toBe(200)
    expect(['DiagnosticReport', 'RiskAssessment', 'Observation', 'Device', 'Provenance'].map(all)).toEqual(before)
    expect(before.map((resources) => resources.length)).toEqual([1, 1, 33, 1, 1])
  })

  it('stores a correction beside the cancelled report that it replaces', async () => {
    await send(report())
    const replaces = [
      ...all('DiagnosticReport'),
      ...all('RiskAssessment'),
      ...all('Observation'),
    ] as unknown as Replaceable[] // ours
    const { provenance } = makeResult()
    const corrected = makeResult({ provenance: { ...provenance, modelSha256: 'c'.repeat(64) } })

    const bundle = report({ screening: screeningOf(corrected), replaces })
    const { status, text } = await send(bundle)

    expect(problemsOf(bundle)).toEqual([])
    expect([status, text]).toEqual([200, expect.anything()])
    const [old, current] = all('DiagnosticReport') as unknown as (StoredResource & DiagnosticReport)[] // of this type
    expect([old!.status, current!.status]).toEqual(['cancelled', 'preliminary'])
    const pointer = current!.extension!.find(({ url }) => url!.endsWith('/diagnosticReport-replaces'))
    expect(pointer!.valueReference!.reference).toBe(`DiagnosticReport/${old!.id}`)
    expect(all('Observation').filter(({ status }) => status === 'preliminary')).toHaveLength(33)
    expect(all('Provenance').at(-1)).toMatchObject({ entity: [{ role: 'source' }, { role: 'revision' }] })
  })

  it('stores nothing for an unknown patient', async () => {
    const { status } = await send(report({ patient: 'Patient/nobody' }))

    expect(status).toBe(422)
    expect([...all('DiagnosticReport'), ...all('Observation'), ...all('Provenance')]).toEqual([])
  })
})
