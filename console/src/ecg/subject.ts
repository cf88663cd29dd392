/**
 * Whose an ECG is, as far as the site lets the page know.
 * @module
 */
import type { Schemas } from '../../../streams/client/index.ts'

export type Subject = Schemas['Subject']

/** Whether another ECG of the device was taken while the device was on the same patient; never where no patient is known. */
export const isSamePatient = ({ spans = [] }: Subject, startedAt: string) => {
  const at = Date.parse(startedAt)
  return spans.some(({ from, to }) => Date.parse(from) <= at && (to === undefined || at < Date.parse(to)))
}
