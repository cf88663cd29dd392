/**
 * Deletion of an ECG: its results, samples with all versions, jobs and their artifacts, and its entries in lists and sessions. Only the
 * mark of the deletion stays, so that a repeated message does not bring the ECG back.
 * @module
 */
import type { S3Client } from '@aws-sdk/client-s3'
import type { SQSClient } from '@aws-sdk/client-sqs'
import { removeEcgObjects } from '../aws/payloads.ts'
import { sendMessage } from '../aws/queues.ts'
import type { CmrJob } from '../domain/cmr-job.ts'
import type { EcgId } from '../domain/ecg-id.ts'
import type { SynthesisMessage } from '../messages.ts'
import type { AssociationStore } from './associations.ts'
import type { CmrJobStore } from './cmr-jobs.ts'
import type { ResultStore } from './results.ts'

export interface JobCancelling {
  readonly jobs: CmrJobStore
  readonly sqs: SQSClient
  /** Absent where no cines are drawn. */
  readonly synthesisQueueUrl: string | undefined
}

export interface EcgDeletion extends JobCancelling {
  readonly results: ResultStore
  readonly associations: AssociationStore
  readonly s3: S3Client
  readonly bucket: string
}

/**
 * Cancels a job and stops the machine that draws it.
 * @returns the cancelled job; `undefined` when it had ended
 */
export async function cancelJob(
  { tenant, jobId, ecgId }: CmrJob,
  { jobs, sqs, synthesisQueueUrl }: JobCancelling,
): Promise<CmrJob | undefined> {
  const cancelled = await jobs.cancel(tenant, jobId, ecgId, new Date())
  const { batchJobId } = cancelled ?? {}
  if (batchJobId !== undefined && synthesisQueueUrl !== undefined) {
    const message: SynthesisMessage = { schema: 1, kind: 'cancel', tenant, jobId, batchJobId }
    await sendMessage(sqs, synthesisQueueUrl, JSON.stringify(message))
  }
  return cancelled
}

/** Numbers of what was removed. */
export interface Removed {
  readonly rows: number
  readonly jobs: number
  /** Object versions, including markers of earlier deletions. */
  readonly objectVersions: number
}

/** Removes everything of an ECG that is marked as deleted. Each step may be repeated, so an interrupted removal can continue. */
export async function removeEcg(parts: EcgDeletion, tenant: string, ecgId: EcgId): Promise<Removed> {
  const { results, associations, jobs, s3, bucket } = parts
  let drawings = 0
  for await (const page of jobs.pagesOfEcg(tenant, ecgId)) {
    drawings += page.length
    // A worker that finds its job gone removes its own artifacts.
    await Promise.all(page.map(async (job) => jobs.remove(tenant, (await cancelJob(job, parts)) ?? job)))
  }
  const objectVersions = await removeEcgObjects(s3, bucket, tenant, ecgId)
  for (const device of await results.devicesOf(tenant, ecgId)) await associations.forgetWaiting(tenant, device, ecgId)
  const rows = await results.removeRows(tenant, ecgId)
  await results.endDeletion(tenant, ecgId)
  return { rows, jobs: drawings, objectVersions }
}

/**
 * Marks an ECG as deleted and removes it at once, for callers that can wait.
 * @returns `undefined` when the tenant does not have, and never had, this ECG
 */
export async function deleteEcg(parts: EcgDeletion, tenant: string, ecgId: EcgId): Promise<Removed | undefined> {
  // The mark comes first: work in progress finds it and cleans up after itself.
  return (await parts.results.markDeleted(tenant, ecgId)) ? removeEcg(parts, tenant, ecgId) : undefined
}
