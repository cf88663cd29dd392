/**
 * Patient and device of an ECG, as far as the site allows.
 * @module
 */
import type { Schemas } from '../../../streams/client/index.ts'
import { api, wanted } from '../api/client.ts'
import type { Summary } from '../api/events.ts'

export type Subject = Schemas['Subject']

/** ECGs of a device, or of the patient of an ECG whatever the device; newest arrival first. */
export async function ecgsOf(query: {
  readonly device?: string
  readonly samePatientAs?: string
  readonly limit: number
}): Promise<readonly Summary[]> {
  return (await wanted(api.GET('/v1/ecgs', { params: { query } }))).items
}

/** Whether another ECG of the device was recorded while the device was assigned to the same patient; false if no patient is known. */
export const isSamePatient = ({ spans = [] }: Subject, startedAt: string) => {
  const at = Date.parse(startedAt)
  return spans.some(({ from, to }) => Date.parse(from) <= at && (to === undefined || at < Date.parse(to)))
}
