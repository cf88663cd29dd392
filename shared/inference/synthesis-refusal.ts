/**
 * Which ECGs a cine may be drawn from. The API checks before it accepts a job, and the CLI before it draws.
 * @module
 */
import { LEADS } from '../domain/leads.ts'
import type { Result } from '../domain/result.ts'
import { CodedError } from '../errors.ts'

/** The screening result of the window to draw from. */
export type Screened = Pick<Result, 'status' | 'quality' | 'ood'>

/**
 * Checks that a cine may be drawn.
 * @param rules the bundle's `synthesis`; `undefined` for a bundle that cannot draw
 * @throws CodedError `synthesis-unavailable` for a bundle that cannot draw, `ecg-refused`, `leads-too-few`, `ecg-unfamiliar`
 * @example
 * checkDrawable(result, bundle.manifest.synthesis)
 */
export function checkDrawable(
  { status, quality, ood }: Screened,
  rules: { readonly minimumLeads: number } | undefined,
): void {
  if (rules === undefined) throw new CodedError('synthesis-unavailable', { field: 'synthesis' })
  if (status === 'refused') throw new CodedError('ecg-refused', { field: 'quality' })
  const { minimumLeads } = rules
  const leads = LEADS.filter((lead) => quality.leads[lead] === 'acceptable').length
  if (leads < minimumLeads) throw new CodedError('leads-too-few', { field: 'quality.leads', leads, minimumLeads })
  if (ood?.flagged) throw new CodedError('ecg-unfamiliar', { field: 'ood' })
}
