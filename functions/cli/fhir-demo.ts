/**
 * `cardiacnets fhir demo`: puts a virtual patient and an ECG into the EHR, and waits for the report that comes back into it.
 * @module
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { styleText } from 'node:util'
import { Command, InvalidArgumentError } from 'commander'
import type { Recording } from '../../shared/domain/recording.ts'
import { CodedError } from '../../shared/errors.ts'
import { readSiteConfigFile } from '../../shared/site-config.ts'
import type { EhrClient, FhirResource } from '../../streams/fhir/client.ts'
import { ecgObservation } from '../../streams/fhir/ecg-observation.ts'
import { ehrOfSite } from '../../streams/fhir/site.ts'
import { readRecording } from '../../streams/formats/index.ts'
import { quantile, round } from './bench/statistics.ts'

const VIRTUAL_ECG = join(import.meta.dirname, 'demo', 'virtual-ecg.hea')

/** How often we look whether the report is there; what is timed does not depend on it. */
const POLL_MS = 50

interface DemoOptions {
  readonly site: string
  readonly count: number
  readonly timeout: number
  readonly json?: boolean
}

const count = (text: string): number => {
  const value = Number(text)
  if (Number.isInteger(value) && value > 0) return value
  throw new InvalidArgumentError('a whole number above 0')
}

export function demoCommand(): Command {
  return new Command('demo')
    .description('put a virtual patient and an ECG into the EHR, and print the report that comes back')
    .argument('[file]', 'the ECG (default: a virtual one). Do not use a real patient’s on an EHR that others read')
    .option('--site <file>', "the site's configuration", '.local/site.json')
    .option('--count <n>', 'so many one after another; more than one prints percentiles', count, 1)
    .option('--timeout <seconds>', 'how long to wait for a report', count, 30)
    .option('--json', 'one JSON document')
    .action(async (file: string | undefined, options: DemoOptions) => {
      await demo(file ?? VIRTUAL_ECG, options)
    })
}

/** One ECG's way through the EHR and back. Times are by the EHR's own clock, where it gives one. */
export interface RoundTrip {
  readonly patient: string
  readonly ecg: string
  readonly report: FhirResource
  /** From the ECG in the EHR, which is when the notification leaves, to the report in the EHR, ms. */
  readonly reportedMs: number
}

async function demo(file: string, { site, count, timeout, json }: DemoOptions): Promise<void> {
  const config = readSiteConfigFile(site).ehr
  if (config === undefined) throw new CodedError('site-config-invalid', { field: 'site.ehr' })
  const ehr = ehrOfSite(config)
  // As if it had just been taken.
  const { startedAt: _, ...recording } = await readRecording(file)
  const trips: RoundTrip[] = []
  for (let i = 0; i < count; i++) trips.push(await roundTrip(ehr, recording, 1000 * timeout))
  const times = trips.map(({ reportedMs }) => reportedMs)
  const timings = { count, p50Ms: round(quantile(times, 0.5)), p95Ms: round(quantile(times, 0.95)) }
  if (json) process.stdout.write(`${JSON.stringify({ trips, timings })}\n`)
  else process.stdout.write(describe(trips[0]!, timings))
}

/**
 * Puts a virtual patient and an ECG into the EHR and waits for the report.
 * @throws CodedError `unavailable` when none comes in time
 */
export async function roundTrip(ehr: EhrClient, recording: Recording, timeoutMs: number): Promise<RoundTrip> {
  const name = [{ family: 'Demo', given: ['Virtual'] }]
  const { id: patientId } = await ehr.create({ resourceType: 'Patient', ...({ name } as object) })
  const patient = `Patient/${String(patientId)}`
  const askedAt = new Date()
  const ecg = await ehr.create(ecgObservation(recording, { patient, now: askedAt }))
  const report = await reportOf(ehr, patient, askedAt.getTime() + timeoutMs)
  const reportedMs = updatedAt(report, new Date()).getTime() - updatedAt(ecg, askedAt).getTime()
  return { patient, ecg: `Observation/${String(ecg.id)}`, report, reportedMs }
}

/** @throws CodedError `unavailable` when none comes in time */
async function reportOf(ehr: EhrClient, patient: string, untilMs: number): Promise<FhirResource> {
  while (Date.now() < untilMs) {
    const { entry } = await ehr.search('DiagnosticReport', { subject: patient })
    const [first] = (Array.isArray(entry) ? entry : []) as readonly { resource?: FhirResource }[] // a searchset
    if (first?.resource?.resourceType === 'DiagnosticReport') return first.resource
    await sleep(POLL_MS)
  }
  throw new CodedError('unavailable', { field: 'DiagnosticReport', hint: 'is the stack running? see `fhir check`' })
}

function updatedAt({ meta }: FhirResource, fallback: Date): Date {
  const text = typeof meta === 'object' && meta !== null && 'lastUpdated' in meta ? String(meta.lastUpdated) : ''
  return Number.isNaN(Date.parse(text)) ? fallback : new Date(text)
}

function describe(
  { patient, ecg, report }: RoundTrip,
  timings: { count: number; p50Ms: number; p95Ms: number },
): string {
  const results = Array.isArray(report.result) ? report.result.length : 0
  const conclusion = String(report.conclusion).split('\n')
  const lines = [
    styleText('bold', `DiagnosticReport/${String(report.id)} (${String(report.status)})`),
    `  of ${ecg}, for ${patient}, with ${results} Observations`,
    '',
    ...conclusion.map((line) => `  ${line}`),
    '',
    timings.count === 1
      ? `  reported in ${timings.p50Ms} ms, from the ECG in the EHR to the report in the EHR`
      : `  ${timings.count} ECGs one after another, from the ECG in the EHR to the report in the EHR: p50 ${timings.p50Ms} ms, p95 ${timings.p95Ms} ms`,
  ]
  return `${lines.join('\n')}\n`
}
