/**
 * The quality verdict of a lead and of a window.
 * @module
 */
import type { LeadName } from './leads.ts'

/** Why a lead or a window cannot be analysed. */
export const QUALITY_REASONS = ['lead-off', 'flat', 'saturated', 'noise', 'gap', 'too-short', 'paced'] as const

export type QualityReason = (typeof QUALITY_REASONS)[number]

/** `missing`: the source does not have this lead, and it cannot be derived. */
export type LeadVerdict = 'acceptable' | 'missing' | QualityReason

export interface Quality {
  readonly verdict: 'acceptable' | 'refused'
  /** Why the window is refused, most frequent reason first; empty when it is acceptable. */
  readonly reasons: readonly QualityReason[]
  readonly leads: Readonly<Record<LeadName, LeadVerdict>>
  /** Limb leads that were calculated from two other leads. */
  readonly derived: readonly LeadName[]
  /** Beats per minute; `null` when neither the device nor the R-peak detector provides a rate. */
  readonly heartRateBpm: number | null
}
