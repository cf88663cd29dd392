/**
 * A job that draws the cines of one ECG. Its states: queued → starting (handed to a machine) → running → done, failed or cancelled.
 * @module
 */
import type { CmrJobId, EcgId } from './ecg-id.ts'

export const CMR_STATUSES = ['queued', 'starting', 'running', 'done', 'failed', 'cancelled'] as const
export type CmrStatus = (typeof CMR_STATUSES)[number]

/** What identifies a job: the same drawing is the same job. */
export interface Drawing {
  readonly ecgId: EcgId
  /** Version of the ECG that is drawn from: a corrected ECG is another drawing. */
  readonly version: number
  /** SHA-256 of the manifest of the bundle that draws. */
  readonly bundleSha256: string
  readonly seed: number
  readonly sampler: string
}

/** One artifact of a job, stored below `artifactPrefix`. */
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
  /** Sampler steps completed, of `steps`. Only while the job runs. */
  readonly step?: number | undefined
  readonly steps?: number | undefined
  /** Error code (`shared/errors.ts`) of a failed job; `field` names the field at fault. */
  readonly reason?: string | undefined
  readonly field?: string | undefined
  /** Only of a job that is done. */
  readonly artifacts?: readonly ArtifactEntry[] | undefined
  /** ISO 8601 in UTC. */
  readonly submittedAt: string
  readonly updatedAt: string
  /** Id of the AWS Batch job that draws it. */
  readonly batchJobId?: string | undefined
  /** How often the job was handed to a machine. */
  readonly dispatches: number
}

/** What an event reports about a job. */
export type CmrProgress = Pick<CmrJob, 'jobId' | 'ecgId' | 'status' | 'step' | 'steps'>
