/**
 * Which ECGs a cine may be drawn from: what the API asks before it takes a job, and the CLI before it draws.
 * @module
 */
import { LEADS } from '../domain/leads.ts'
import type { Result } from '../domain/result.ts'
import { CodedError } from '../errors.ts'

/** What screening said of the window that is to be drawn from. */
export type Screened = Pick<Result, 'status' | 'quality' | 'ood'>

/**
 * @param rules the bundle's `synthesis`, where it can draw
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
