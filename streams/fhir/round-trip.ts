/**
 * Sends an ECG through the EHR and waits for its report, for the demo and the smoke test.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Recording } from '../../shared/domain/recording.ts'
import { CodedError } from '../../shared/errors.ts'
import type { EhrClient, FhirResource } from './client.ts'
import { ecgObservation } from './ecg-observation.ts'

/** Interval between checks for the report. The measured time does not depend on it. */
const POLL_MS = 50

/** One ECG and its report. Times are by the EHR's own clock, if it provides them. */
export interface RoundTrip {
  readonly patient: string
  readonly ecg: string
  readonly report: FhirResource
  /** From the ECG in the EHR (when the notification is sent) to the report in the EHR, ms. */
  readonly reportedMs: number
}

/**
 * Stores a virtual patient and an ECG in the EHR and waits for the report.
 * @throws CodedError `unavailable` when none arrives in time
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

/** @throws CodedError `unavailable` when none arrives in time */
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
