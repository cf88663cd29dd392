/**
 * Content of a report: the result of one ECG, or the summary of a live session.
 * @module
 */
import type { ConditionId } from '../../../shared/domain/conditions.ts'
import type { Measurements } from '../../../shared/domain/measurements.ts'
import type { Quality } from '../../../shared/domain/quality.ts'
import type { Finding, IndexEstimate, OutOfDistribution, Provenance, Result } from '../../../shared/domain/result.ts'
import type { ResultWarning } from '../../../shared/domain/warnings.ts'
import { ECG_ID } from './codes.ts'

export interface Screening {
  /** The subject of the report, shared by all its versions. */
  readonly about: { readonly system: string; readonly value: string }
  /** Identifies this version among all that we ever write. */
  readonly version: string
  readonly status: Result['status']
  /** When the signal was recorded, ISO 8601; `undefined` when the source does not state it. */
  readonly startedAt: string | undefined
  readonly endedAt: string | undefined
  readonly findings: readonly Finding[]
  readonly indices: readonly IndexEstimate[]
  readonly quality: Pick<Quality, 'verdict' | 'heartRateBpm'> & {
    readonly reasons: readonly string[]
    /** Only for a single ECG. */
    readonly leads?: Quality['leads']
  }
  /** Only for a single ECG. */
  readonly ood?: OutOfDistribution
  /** Only for a single ECG. */
  readonly warnings?: readonly ResultWarning[]
  readonly measurements?: Measurements
  readonly provenance: Provenance
  /** For a session: the number of windows that it summarises, and more. */
  readonly session?: SessionFacts
}

export interface SessionFacts {
  readonly screenedWindows: number
  readonly refusedWindows: number
  /** Number of windows over which the indices are averaged. */
  readonly indexWindows: number
  /** Share of the screened windows in which a condition was flagged, in the order of the findings. */
  readonly flaggedShare: readonly number[]
  /** Periods in which a condition stayed flagged for as long as the site's rule requires. */
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

/** The part that a site allows in its charts, and how much is withheld. */
export interface Allowed {
  readonly findings: readonly Finding[]
  readonly indices: readonly IndexEstimate[]
  readonly withheld: number
}

/** Values that were not learned from real patients' labels are withheld unless the site allows them. */
export function allowed(
  { findings, indices }: Pick<Screening, 'findings' | 'indices'>,
  allowsVirtual: boolean,
): Allowed {
  const isAllowed = ({ evidence }: Pick<Finding, 'evidence'>) => allowsVirtual || evidence === 'real'
  const kept = { findings: findings.filter(isAllowed), indices: indices.filter(isAllowed) }
  const withheld = findings.length + indices.length - kept.findings.length - kept.indices.length
  return { ...kept, withheld }
}
