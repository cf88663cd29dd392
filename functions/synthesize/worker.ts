/**
 * Draws one job, from its row in the table to its artifacts in the bucket.
 *
 * The worker holds the job by a lease. Each renewal also tells it whether the job is still its own: once the job is cancelled, deleted or
 * taken over by another worker, nothing of the drawing is kept.
 * @module
 */
import { randomUUID } from 'node:crypto'
import type { S3Client } from '@aws-sdk/client-s3'
import type { SQSClient } from '@aws-sdk/client-sqs'
import { removeArtifacts } from '../../shared/aws/payloads.ts'
import { sendMessage } from '../../shared/aws/queues.ts'
import type { CmrJob } from '../../shared/domain/cmr-job.ts'
import type { CmrJobId } from '../../shared/domain/ecg-id.ts'
import { CodedError, toCodedError } from '../../shared/errors.ts'
import { judgedWindow } from '../../shared/inference/judged-window.ts'
import type { CineMessage, SynthesisMessage } from '../../shared/messages.ts'
import { METRICS, type ServiceMetrics } from '../../shared/observe/metrics.ts'
import { pause } from '../../shared/pause.ts'
import { type CmrJobStore, type JobHolder, type Steps, WORK_LEASE_MS } from '../../shared/store/cmr-jobs.ts'
import type { ResultStore } from '../../shared/store/results.ts'
import type { Drawer } from './draw.ts'
import { uploadArtifacts } from './upload.ts'

export interface WorkerOptions {
  readonly jobs: CmrJobStore
  readonly results: Pick<ResultStore, 'judged' | 'isDeleted'>
  readonly s3: S3Client
  readonly bucket: string
  readonly sqs: SQSClient
  /** Queue for a job that must be given back. */
  readonly queueUrl: string
  /** Queue of the function that writes drawn cines into the EHR; absent without an EHR. */
  readonly reportQueueUrl?: string | undefined
  /** SHA-256 of the manifest of the local bundle. */
  readonly bundleSha256: string
  /** Opens the models of a sampler, after checking where they will run. */
  readonly open: (sampler: string) => Promise<Pick<Drawer, 'draw' | 'release'>>
  readonly onError: (error: unknown) => void
  readonly metrics?: ServiceMetrics
  /** Interval at which progress is reported and the lease is checked. */
  readonly beatMs?: number
}

/** `nothing`: the job was not, or no longer, to be drawn here. */
export type Ended = 'done' | 'failed' | 'given-back' | 'nothing'

/** Interval of lease renewals while no step completes: several per lease. */
const SILENT_MS = WORK_LEASE_MS / 6

/** A worker without its machine counts as dead after its lease; the job is tried again this much later. */
const SLACK_MS = 1_000

/** The message for the report is sent just before the job is done, so it is delayed. */
const REPORT_DELAY_S = 2

/**
 * Draws a job.
 * @param signal ends the work at once and gives the job back
 * @throws errors of the stores when they are unavailable; the job is then taken over after its lease
 */
export async function work(
  options: WorkerOptions,
  of: { readonly tenant: string; readonly jobId: CmrJobId },
  signal: AbortSignal,
): Promise<Ended> {
  const { jobs, sqs, queueUrl, onError, metrics } = options
  const mine: JobHolder = { ...of, worker: randomUUID() }
  const job = await begin(options, mine, signal)
  if (job === undefined) return 'nothing'
  const { ecgId } = job
  const begunAtMs = Date.now()
  const lost = new AbortController()
  const rest = new AbortController()
  const beat = new Beat()
  const beating = beats(options, mine, job, { beat, lost, signal: rest.signal })
  const stopped = new Promise<'stopped'>((resolve) => {
    const stop = () => resolve('stopped')
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
  })
  try {
    const drawing = draw(options, job, lost.signal, beat)
    drawing.catch(() => {}) // for a drawing that is abandoned
    // A step cannot be interrupted, and a machine that is reclaimed does not wait for it.
    const drawn = await Promise.race([drawing, stopped])
    if (drawn !== 'stopped') {
      const isDone = await finish(options, mine, job, drawn)
      if (isDone) metrics?.add(METRICS.cineS, (Date.now() - begunAtMs) / 1000)
      return isDone ? 'done' : 'nothing'
    }
    if (!(await jobs.giveBack(mine, ecgId, new Date()))) return 'nothing'
    const message: SynthesisMessage = { schema: 1, kind: 'draw', ...of }
    await sendMessage(sqs, queueUrl, JSON.stringify(message))
    return 'given-back'
  } catch (error) {
    if (lost.signal.aborted) {
      await cleared(options, job)
      return 'nothing'
    }
    onError(error)
    const { code, detail } = toCodedError(error)
    const { field } = detail
    const reason = { reason: code, ...(field === undefined ? {} : { field: String(field) }) }
    if (!(await jobs.finish(mine, ecgId, reason, new Date()))) return 'nothing'
    metrics?.add(METRICS.cinesFailed)
    metrics?.addBy('reason', code, [METRICS.cineFailures, 1])
    return 'failed'
  } finally {
    metrics?.publish()
    // Also ends a drawing that was abandoned.
    lost.abort()
    rest.abort()
    await beating
  }
}

/** Takes the job; if another worker has it, waits until that lease has expired. */
async function begin(options: WorkerOptions, mine: JobHolder, signal: AbortSignal): Promise<CmrJob | undefined> {
  const { jobs, metrics } = options
  const { tenant, jobId } = mine
  const known = await jobs.get(tenant, jobId)
  if (known === undefined) return undefined
  const now = new Date()
  const begun = await jobs.begin(mine, known.ecgId, now)
  if (known.status !== 'running') {
    // Its last change was the dispatch.
    if (begun !== undefined) metrics?.add(METRICS.cineWaitS, (now.getTime() - Date.parse(known.updatedAt)) / 1000)
    return begun
  }
  if (begun !== undefined) return begun
  await pause(WORK_LEASE_MS + SLACK_MS, signal)
  return signal.aborted ? undefined : jobs.begin(mine, known.ecgId, new Date())
}

class Beat {
  steps: Steps | undefined
}

/** Reports progress, and aborts `lost` when the job is no longer this worker's. */
async function beats(
  { jobs, onError, beatMs = 1_000 }: WorkerOptions,
  mine: JobHolder,
  { ecgId }: CmrJob,
  { beat, lost, signal }: { beat: Beat; lost: AbortController; signal: AbortSignal },
): Promise<void> {
  let told: Steps | undefined
  let toldAtMs = performance.now()
  for (;;) {
    await pause(beatMs, signal)
    if (signal.aborted) return
    const { steps } = beat
    const isNews = steps !== told
    if (!isNews && performance.now() - toldAtMs < Math.min(SILENT_MS, 3 * beatMs)) continue
    try {
      if (!(await jobs.progress(mine, ecgId, isNews ? steps : undefined, new Date()))) return lost.abort()
      told = steps
      toldAtMs = performance.now()
    } catch (error) {
      onError(error) // the lease tolerates a missed renewal
    }
  }
}

async function draw(options: WorkerOptions, job: CmrJob, signal: AbortSignal, beat: Beat) {
  const { bundleSha256, open } = options
  const { tenant, ecgId, version, seed, sampler } = job
  if (bundleSha256 !== job.bundleSha256) throw new CodedError('bundle-mismatch', { field: 'bundleSha256' })
  const drawable = await judgedWindow(options, tenant, ecgId, version)
  const drawer = await open(sampler)
  try {
    const onProgress = (step: number, steps: number) => {
      beat.steps = { step, steps }
    }
    const artifacts = await drawer.draw(drawable, { seed, signal, onProgress })
    signal.throwIfAborted()
    return await uploadArtifacts(options, job, artifacts)
  } finally {
    await drawer.release()
  }
}

/** @returns false, with all artifacts removed, when the job is no longer this worker's */
async function finish(
  options: WorkerOptions,
  mine: JobHolder,
  job: CmrJob,
  artifacts: Awaited<ReturnType<typeof uploadArtifacts>>,
): Promise<boolean> {
  const { jobs, results, sqs, reportQueueUrl } = options
  const { tenant, ecgId, jobId } = job
  if (reportQueueUrl !== undefined) {
    // Sent before the job is finished: a worker that dies in between leaves one message too many rather than one too few.
    const message: CineMessage = { schema: 1, kind: 'cine', tenant, jobId }
    await sendMessage(sqs, reportQueueUrl, JSON.stringify(message), {}, REPORT_DELAY_S)
  }
  const isDone = await jobs.finish(mine, ecgId, { artifacts }, new Date())
  // A deletion first sets its mark and then removes objects, so one of the two always sees the other.
  if (isDone && !(await results.isDeleted(tenant, ecgId))) return true
  await cleared(options, job)
  return false
}

/** Removes the uploaded artifacts, unless another worker has the job now and will upload the same. */
async function cleared({ jobs, s3, bucket }: WorkerOptions, { tenant, ecgId, jobId }: CmrJob): Promise<void> {
  const now = await jobs.get(tenant, jobId)
  if (now === undefined || now.status === 'cancelled') await removeArtifacts(s3, bucket, tenant, ecgId, jobId)
}
