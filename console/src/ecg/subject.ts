/**
 * Patient and device of an ECG, as far as the site allows.
 * @module
 */
import type { Schemas } from '../../../streams/client/index.ts'

export type Subject = Schemas['Subject']

/** Whether another ECG of the device was recorded while the device was assigned to the same patient; false if no patient is known. */
export const isSamePatient = ({ spans = [] }: Subject, startedAt: string) => {
  const at = Date.parse(startedAt)
  return spans.some(({ from, to }) => Date.parse(from) <= at && (to === undefined || at < Date.parse(to)))
}
