/**
 * A result: what screening reports about one window. Immutable: the same window and the same bundle always give the same bytes.
 * @module
 */
import type { BlockId } from './bundle-branch-blocks.ts'
import type { ConditionId } from './conditions.ts'
import type { EcgId } from './ecg-id.ts'
import type { Measurements } from './measurements.ts'
import type { Quality } from './quality.ts'
import type { ResultWarning, WarningCode } from './warnings.ts'

/**
 * `real`: labels of people. `teacher`: a published model's reading of real ECGs. `proxy`: a substitute label. `virtual`: simulated people.
 */
export const EVIDENCES = ['real', 'teacher', 'proxy', 'virtual'] as const

/** Kind of data that a value was learned from. */
export type Evidence = (typeof EVIDENCES)[number]

export const NOTICE = 'Investigational. Not a medical device; not for diagnosis or treatment.'

/**
 * Predictive values at the site's stated prevalence, from the bundle's sensitivity and specificity. They hold for real or virtual people,
 * as `evidence` says.
 */
export interface PredictiveValue {
  readonly prevalence: number
  /** Share of flagged people who have the condition. */
  readonly positive: number
  /** Share of unflagged people who do not have the condition. */
  readonly negative: number
}

export interface Finding {
  readonly condition: ConditionId
  readonly probability: number
  readonly threshold: number
  /** The network reads this block in the ECG, and `threshold` is therefore higher than the person's. */
  readonly raisedBy?: BlockId
  /** Never true for a withheld finding. */
  readonly flagged: boolean
  /** The probability is close to the threshold. Never changes `flagged`. */
  readonly borderline: boolean
  readonly evidence: Evidence
  /** Absent where the site states no prevalence, or where sensitivity and specificity are unknown. */
  readonly predictiveValue?: PredictiveValue
  /** Why this finding must not be used. The reason is shown in place of "flagged" or "not flagged". */
  readonly withheld?: { readonly reason: WarningCode }
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
  /** Pearson correlation with the truth on held-out people: how reliable `value` is. */
  readonly correlation: number
  readonly evidence: Evidence
}

/**
 * Whether the window resembles the ECGs that the model was trained on. Other signals, and ECGs with exchanged leads or disordered beats,
 * score high.
 */
export interface OutOfDistribution {
  readonly score: number
  readonly threshold: number
  /** The findings and indices are unreliable. */
  readonly flagged: boolean
}

export interface Provenance {
  readonly modelBundle: string
  /** SHA-256 of the bundle's manifest, which holds the SHA-256 of each of its files. */
  readonly modelSha256: string
  /** SHA-256 of the site calibration that corrected the findings; absent without one. */
  readonly site?: string
  readonly profile: string
  readonly codeVersion: string
  /** SHA-256 of the encoded window as stored. */
  readonly inputSha256: string
}

/** The part of a recording that was screened. */
export interface ScreenedSpan {
  /** ISO 8601 in UTC; `null` when the source does not state it. */
  readonly startedAt: string | null
  readonly firstSample: number
  readonly durationMs: number
}

export interface Result {
  readonly ecgId: EcgId
  /** 1 for the first result of an ECG; each correction has the next number. */
  readonly version: number
  /** The version that this result replaces. */
  readonly supersedes?: number
  /** Conditions that the previous version flagged and this version does not; absent when there are none. */
  readonly noLongerFlagged?: readonly Pick<Finding, 'condition' | 'evidence'>[]
  readonly status: 'screened' | 'refused'
  readonly span: ScreenedSpan
  readonly quality: Quality
  readonly warnings: readonly ResultWarning[]
  /** Absent when the window is refused or nothing could be measured. */
  readonly measurements?: Measurements
  /** Empty when the window is refused. */
  readonly findings: readonly Finding[]
  /** Empty when the window is refused. */
  readonly indices: readonly IndexEstimate[]
  /** Absent when the window is refused or the bundle has no such output. */
  readonly ood?: OutOfDistribution
  readonly provenance: Provenance
  readonly notice: string
}

/** Adds to a correction which flags it removed. */
export function correcting(result: Result, before: Result | undefined): Result {
  const flaggedIn = ({ findings }: Result) =>
    findings.filter(({ flagged, withheld }) => flagged && withheld === undefined)
  const still = flaggedIn(result).map(({ condition }) => condition)
  const gone = (before === undefined ? [] : flaggedIn(before))
    .filter(({ condition }) => !still.includes(condition))
    .map(({ condition, evidence }) => ({ condition, evidence }))
  if (gone.length === 0) return result
  // Placed beside the field that it explains, because people read results too.
  const { ecgId, version, supersedes, ...rest } = result
  return { ecgId, version, ...(supersedes === undefined ? {} : { supersedes }), noLongerFlagged: gone, ...rest }
}

/** Results stored before version 1.0 have no version, no warnings and no borderline findings. */
type Stored = Omit<Result, 'version' | 'warnings' | 'findings'> &
  Partial<Pick<Result, 'version' | 'warnings'>> & {
    readonly findings: readonly (Omit<Finding, 'borderline'> & Partial<Pick<Finding, 'borderline'>>)[]
  }

/**
 * Parses a result that any version of this product wrote.
 * @throws SyntaxError for text that is not JSON
 */
export function parseResult(json: string): Result {
  const stored = JSON.parse(json) as Stored // our own JSON, so its shape is known
  return {
    ...stored,
    version: stored.version ?? 1,
    warnings: stored.warnings ?? [],
    findings: stored.findings.map((finding) => ({ ...finding, borderline: finding.borderline ?? false })),
  }
}
