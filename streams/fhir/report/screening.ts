/**
 * What a report says: one ECG's result, or the summary of a live session.
 * @module
 */
import type { ConditionId } from '../../../shared/domain/conditions.ts'
import type { Measurements } from '../../../shared/domain/measurements.ts'
import type { Quality } from '../../../shared/domain/quality.ts'
import type { Finding, IndexEstimate, OutOfDistribution, Provenance, Result } from '../../../shared/domain/result.ts'
import type { ResultWarning } from '../../../shared/domain/warnings.ts'
import { ECG_ID } from './codes.ts'

export interface Screening {
  /** What it is about; all versions share it. */
  readonly about: { readonly system: string; readonly value: string }
  /** Names this version among all that we ever write. */
  readonly version: string
  readonly status: Result['status']
  /** When the signal was taken, ISO 8601; unknown when the source does not say. */
  readonly startedAt: string | undefined
  readonly endedAt: string | undefined
  readonly findings: readonly Finding[]
  readonly indices: readonly IndexEstimate[]
  readonly quality: Pick<Quality, 'verdict' | 'heartRateBpm'> & {
    readonly reasons: readonly string[]
    /** Of one ECG only. */
    readonly leads?: Quality['leads']
  }
  /** Of one ECG only. */
  readonly ood?: OutOfDistribution
  /** Of one ECG only. */
  readonly warnings?: readonly ResultWarning[]
  readonly measurements?: Measurements
  readonly provenance: Provenance
  /** Of a session: how many windows it sums up. */
  readonly session?: SessionFacts
}

export interface SessionFacts {
  readonly screenedWindows: number
  readonly refusedWindows: number
  /** Windows that the indices are the mean of. */
  readonly indexWindows: number
  /** Share of the screened windows in which a condition was flagged, in the order of the findings. */
  readonly flaggedShare: readonly number[]
  /** Where a condition stayed above its threshold for as long as the site's rule asks. */
  readonly episodes: readonly Episode[]
  readonly isOver: boolean
}

export interface Episode {
  readonly condition: ConditionId
  readonly from: string
  readonly to: string
  readonly windows: number
}

export function screeningOf(result: Result): Screening {
  const { ecgId, version, status, span, quality, warnings, measurements, findings, indices, ood, provenance } = result
  const startMs = span.startedAt === null ? undefined : Date.parse(span.startedAt)
  return {
    about: { system: ECG_ID, value: ecgId },
    version: `${ecgId}/${provenance.modelSha256}/${provenance.profile}${version === 1 ? '' : `/v${version}`}`,
    status,
    startedAt: span.startedAt ?? undefined,
    endedAt: startMs === undefined ? undefined : new Date(startMs + span.durationMs).toISOString(),
    findings,
    indices,
    quality,
    ...(ood === undefined ? {} : { ood }),
    warnings,
    ...(measurements === undefined ? {} : { measurements }),
    provenance,
  }
}

/** What a site lets into its charts, and how much it holds back. */
export interface Allowed {
  readonly findings: readonly Finding[]
  readonly indices: readonly IndexEstimate[]
  readonly withheld: number
}

/** Numbers that did not learn from real patients' labels are held back unless the site says otherwise. */
export function allowed(
  { findings, indices }: Pick<Screening, 'findings' | 'indices'>,
  allowsVirtual: boolean,
): Allowed {
  const isAllowed = ({ evidence }: Pick<Finding, 'evidence'>) => allowsVirtual || evidence === 'real'
  const kept = { findings: findings.filter(isAllowed), indices: indices.filter(isAllowed) }
  const withheld = findings.length + indices.length - kept.findings.length - kept.indices.length
  return { ...kept, withheld }
}
