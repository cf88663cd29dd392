/**
 * The end of an ECG: of its results, samples with all their versions, jobs and what they made, and of its place in lists and sessions. What stays is
 * the mark that it was deleted, so that no message which comes again brings it back.
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
  /** Absent where nothing is drawn. */
  readonly synthesisQueueUrl: string | undefined
}

export interface EcgDeletion extends JobCancelling {
  readonly results: ResultStore
  readonly associations: AssociationStore
  readonly s3: S3Client
  readonly bucket: string
}

/** Ends a job, and the machine that draws it. @returns the job, cancelled; `undefined` where it had ended */
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

/** What was removed. */
export interface Removed {
  readonly rows: number
  readonly jobs: number
  /** Versions of objects, markers of earlier deletions among them. */
  readonly objectVersions: number
}

/**
 * Removes all of an ECG that is marked as deleted. Each step may be done again, and what was done need not be: who was broken off goes on.
 */
export async function removeEcg(parts: EcgDeletion, tenant: string, ecgId: EcgId): Promise<Removed> {
  const { results, associations, jobs, s3, bucket } = parts
  let drawings = 0
  for await (const page of jobs.pagesOfEcg(tenant, ecgId)) {
    drawings += page.length
    // A worker that finds its job gone removes what it has left.
    await Promise.all(page.map(async (job) => jobs.remove(tenant, (await cancelJob(job, parts)) ?? job)))
  }
  const objectVersions = await removeEcgObjects(s3, bucket, tenant, ecgId)
  for (const device of await results.devicesOf(tenant, ecgId)) await associations.forgetWaiting(tenant, device, ecgId)
  const rows = await results.removeRows(tenant, ecgId)
  await results.endDeletion(tenant, ecgId)
  return { rows, jobs: drawings, objectVersions }
}

/** Marks and removes at once, for who has the time. @returns `undefined` when the tenant has, and had, no such ECG */
export async function deleteEcg(parts: EcgDeletion, tenant: string, ecgId: EcgId): Promise<Removed | undefined> {
  // The mark first: what is under way meets it, and removes itself.
  return (await parts.results.markDeleted(tenant, ecgId)) ? removeEcg(parts, tenant, ecgId) : undefined
}
