/**
 * A result: what screening says of one window. Immutable, and the same bytes whenever the same window meets the same bundle.
 * @module
 */
import type { ConditionId } from './conditions.ts'
import type { EcgId } from './ecg-id.ts'
import type { Quality } from './quality.ts'

/** What a number learned from: `real` labels of real people, a `proxy` label, or the `virtual` cohort. */
export type Evidence = 'real' | 'proxy' | 'virtual'

export const NOTICE = 'Investigational. Not a medical device; not for diagnosis or treatment.'

export interface Finding {
  readonly condition: ConditionId
  readonly probability: number
  readonly threshold: number
  readonly flagged: boolean
  readonly evidence: Evidence
}

export interface IndexEstimate {
  readonly id: string
  readonly name: string
  readonly value: number
  /** UCUM. */
  readonly unit: string
  /** The 90% interval (split conformal). */
  readonly low: number
  readonly high: number
  /** Pearson correlation with the truth on held-out people: how much to believe `value`. */
  readonly correlation: number
  readonly evidence: Evidence
}

/** Does the window look like the ECGs that the model knows? Other signals, and ECGs with their leads or beats in disorder, score high. */
export interface OutOfDistribution {
  readonly score: number
  readonly threshold: number
  /** The findings and indices are not to be believed. */
  readonly flagged: boolean
}

export interface Provenance {
  readonly modelBundle: string
  /** sha256 of the bundle's manifest, which holds the sha256 of each of its files. */
  readonly modelSha256: string
  /** sha256 of the site calibration that corrected the findings, where there is one. */
  readonly site?: string
  readonly profile: string
  readonly codeVersion: string
  /** sha256 of the encoded window as stored. */
  readonly inputSha256: string
}

/** The piece of a recording that was screened. */
export interface ScreenedSpan {
  /** ISO 8601 in UTC; `null` when the source does not say. */
  readonly startedAt: string | null
  readonly firstSample: number
  readonly durationMs: number
}

export interface Result {
  readonly ecgId: EcgId
  readonly status: 'screened' | 'refused'
  readonly span: ScreenedSpan
  readonly quality: Quality
  /** Empty when refused. */
  readonly findings: readonly Finding[]
  /** Empty when refused. */
  readonly indices: readonly IndexEstimate[]
  /** Absent when refused, and where the bundle cannot tell. */
  readonly ood?: OutOfDistribution
  readonly provenance: Provenance
  readonly notice: string
}
