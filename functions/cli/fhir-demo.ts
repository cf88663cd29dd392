/**
 * `cardiacnets fhir demo`: stores a virtual patient and an ECG in the EHR, and waits for the report to appear there.
 * @module
 */

import { join } from 'node:path'
import { styleText } from 'node:util'
import { Command, InvalidArgumentError } from 'commander'
import { readSiteConfigFile } from '../../shared/config/site.ts'
import { CodedError } from '../../shared/errors.ts'
import { quantile, round } from '../../shared/statistics.ts'
import { type RoundTrip, roundTrip } from '../../streams/fhir/round-trip.ts'
import { ehrOfSite } from '../../streams/fhir/site.ts'
import { readRecording } from '../../streams/formats/index.ts'

const VIRTUAL_ECG = join(import.meta.dirname, 'demo', 'virtual-ecg.hea')

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
    .description('write a virtual patient and an ECG to the EHR and print the report that returns')
    .argument('[file]', 'ECG file (default: a virtual ECG). Never use a real patient’s ECG on an EHR that others read')
    .option('--site <file>', 'site configuration file', '.local/site.json')
    .option('--count <n>', 'number of ECGs, in sequence; more than one prints percentiles', count, 1)
    .option('--timeout <seconds>', 'maximum wait for a report', count, 30)
    .option('--json', 'print one JSON document')
    .action(async (file: string | undefined, options: DemoOptions) => {
      await demo(file ?? VIRTUAL_ECG, options)
    })
}

async function demo(file: string, { site, count, timeout, json }: DemoOptions): Promise<void> {
  const config = readSiteConfigFile(site).ehr
  if (config === undefined) throw new CodedError('site-config-invalid', { field: 'site.ehr' })
  const ehr = ehrOfSite(config)
  // The recording time is removed, so that the ECG counts as recorded just now.
  const { startedAt: _, ...recording } = await readRecording(file)
  const trips: RoundTrip[] = []
  for (let i = 0; i < count; i++) trips.push(await roundTrip(ehr, recording, 1000 * timeout))
  const times = trips.map(({ reportedMs }) => reportedMs)
  const timings = { count, p50Ms: round(quantile(times, 0.5)), p95Ms: round(quantile(times, 0.95)) }
  if (json) process.stdout.write(`${JSON.stringify({ trips, timings })}\n`)
  else process.stdout.write(describe(trips[0]!, timings))
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
