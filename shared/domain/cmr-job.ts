/**
 * A job that draws the cines of one ECG. queued → starting (given to a machine) → running → done, failed or cancelled.
 * @module
 */
import type { CmrJobId, EcgId } from './ecg-id.ts'

export const CMR_STATUSES = ['queued', 'starting', 'running', 'done', 'failed', 'cancelled'] as const
export type CmrStatus = (typeof CMR_STATUSES)[number]

/** What a job is of: the same drawing is the same job. */
export interface Drawing {
  readonly ecgId: EcgId
  /** sha256 of the manifest of the bundle that draws. */
  readonly bundleSha256: string
  readonly seed: number
  readonly sampler: string
}

/** What was made, as it lies in the bucket below `artifactPrefix`. */
export interface ArtifactEntry {
  readonly name: string
  readonly contentType: string
  readonly bytes: number
  readonly sha256: string
}

export interface CmrJob extends Drawing {
  readonly tenant: string
  readonly jobId: CmrJobId
  readonly status: CmrStatus
  /** Sampler steps that are behind it, of `steps`; while it runs. */
  readonly step?: number | undefined
  readonly steps?: number | undefined
  /** Coded (`shared/errors.ts`), of a failed one; `field` says where. */
  readonly reason?: string | undefined
  readonly field?: string | undefined
  /** Of one that is done. */
  readonly artifacts?: readonly ArtifactEntry[] | undefined
  /** ISO 8601 in UTC. */
  readonly submittedAt: string
  readonly updatedAt: string
  /** The batch job that is to draw it. */
  readonly batchJobId?: string | undefined
  /** How often it was given to a machine. */
  readonly dispatches: number
}

/** What an event says of a job. */
export type CmrProgress = Pick<CmrJob, 'jobId' | 'ecgId' | 'status' | 'step' | 'steps'>
