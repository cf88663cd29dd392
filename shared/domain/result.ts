/**
 * A result: what screening says of one window. Immutable, and the same bytes whenever the same window meets the same bundle.
 * @module
 */
import type { ConditionId } from './conditions.ts'
import type { EcgId } from './ecg-id.ts'
import type { Measurements } from './measurements.ts'
import type { Quality } from './quality.ts'
import type { ResultWarning, WarningCode } from './warnings.ts'

/** `real`: labels of people. `teacher`: a published model's reading of real ECGs. `proxy`: a stand-in label. `virtual`: simulated people. */
export const EVIDENCES = ['real', 'teacher', 'proxy', 'virtual'] as const

/** What a number learned from. */
export type Evidence = (typeof EVIDENCES)[number]

export const NOTICE = 'Investigational. Not a medical device; not for diagnosis or treatment.'

/** What flags mean at the site's stated prevalence, by the bundle's sensitivity and specificity: of people, or of virtual ones, as `evidence` says. */
export interface PredictiveValue {
  readonly prevalence: number
  /** Of those who are flagged, the share with the condition. */
  readonly positive: number
  /** Of those who are not, the share without it. */
  readonly negative: number
}

export interface Finding {
  readonly condition: ConditionId
  readonly probability: number
  readonly threshold: number
  /** Never true for a withheld finding. */
  readonly flagged: boolean
  /** The probability is close to the threshold. Never changes `flagged`. */
  readonly borderline: boolean
  readonly evidence: Evidence
  /** Absent where the site states no prevalence, or where sensitivity and specificity are not known. */
  readonly predictiveValue?: PredictiveValue
  /** Why this finding must not be read: an outlet shows the reason in place of "flagged" or "not flagged". */
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
  /** 1 for the first result of an ECG; a correction has the next number. */
  readonly version: number
  /** The version that this result replaces. */
  readonly supersedes?: number
  /** Conditions that the version before had above their threshold and this one has not; absent where there are none. */
  readonly noLongerFlagged?: readonly Pick<Finding, 'condition' | 'evidence'>[]
  readonly status: 'screened' | 'refused'
  readonly span: ScreenedSpan
  readonly quality: Quality
  readonly warnings: readonly ResultWarning[]
  /** Absent when refused, and where nothing could be measured. */
  readonly measurements?: Measurements
  /** Empty when refused. */
  readonly findings: readonly Finding[]
  /** Empty when refused. */
  readonly indices: readonly IndexEstimate[]
  /** Absent when refused, and where the bundle cannot tell. */
  readonly ood?: OutOfDistribution
  readonly provenance: Provenance
  readonly notice: string
}

/** A correction that says which flags went away with it. */
export function correcting(result: Result, before: Result | undefined): Result {
  const flaggedIn = ({ findings }: Result) =>
    findings.filter(({ flagged, withheld }) => flagged && withheld === undefined)
  const still = flaggedIn(result).map(({ condition }) => condition)
  const gone = (before === undefined ? [] : flaggedIn(before))
    .filter(({ condition }) => !still.includes(condition))
    .map(({ condition, evidence }) => ({ condition, evidence }))
  if (gone.length === 0) return result
  // Beside what it explains: results are read by people too.
  const { ecgId, version, supersedes, ...rest } = result
  return { ecgId, version, ...(supersedes === undefined ? {} : { supersedes }), noLongerFlagged: gone, ...rest }
}

/** Results stored before version 1.0 have no version, no warnings and no borderline findings. */
type Stored = Omit<Result, 'version' | 'warnings' | 'findings'> &
  Partial<Pick<Result, 'version' | 'warnings'>> & {
    readonly findings: readonly (Omit<Finding, 'borderline'> & Partial<Pick<Finding, 'borderline'>>)[]
  }

/**
 * Reads a result that this product wrote, of any age.
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
