/**
 * Dispatches messages of the queue `synthesis` to AWS Batch: hands a job to a machine once, cancels it, and handles machines that
 * disappeared.
 *
 * Batch accepts any number of jobs with the same name, so the job's row prevents a drawing from being dispatched twice. A batch job from a
 * message that was handled twice finds its job taken.
 * @module
 */

import type { CmrJob } from '../../shared/domain/cmr-job.ts'
import { CodedError } from '../../shared/errors.ts'
import type { SynthesisMessage } from '../../shared/messages.ts'
import { type CmrJobStore, MAX_DISPATCHES } from '../../shared/store/cmr-jobs.ts'

/** The part of AWS Batch that the dispatcher uses. */
export interface BatchQueue {
  /** @returns id of the batch job */
  submit(job: Pick<CmrJob, 'tenant' | 'jobId'>): Promise<string>
  /** Terminates a batch job. One that has already ended is not an error. */
  terminate(batchJobId: string): Promise<void>
}

export interface DispatcherOptions {
  readonly jobs: CmrJobStore
  readonly batch: BatchQueue
  readonly now: () => Date
}

/** Outcome of a message; `known`: there was nothing to do. */
export type Dispatched = 'submitted' | 'terminated' | 'failed' | 'known'

export class Dispatcher {
  readonly #options: DispatcherOptions

  constructor(options: DispatcherOptions) {
    this.#options = options
  }

  /**
   * Handles a message. Resolves when it has had its effect; a repeat has none.
   * @throws CodedError `worker-lost` for a job that was dispatched too often, `unavailable` while another process dispatches it
   */
  async dispatch(message: SynthesisMessage): Promise<Dispatched> {
    const { jobs, batch } = this.#options
    if (message.kind === 'cancel') {
      await batch.terminate(message.batchJobId)
      return 'terminated'
    }
    const job = await jobs.get(message.tenant, message.jobId)
    if (job === undefined) return 'known'
    return message.kind === 'draw' ? this.#draw(job) : this.#ended(job, message.batchJobId)
  }

  async #draw(job: CmrJob): Promise<Dispatched> {
    const { jobs, batch, now } = this.#options
    const isWaiting = job.status === 'queued' || (job.status === 'starting' && job.batchJobId === undefined)
    if (!isWaiting) return 'known'
    if (job.dispatches >= MAX_DISPATCHES) {
      await jobs.fail(job, { reason: 'worker-lost', field: 'dispatches' }, now())
      throw new CodedError('worker-lost', { field: 'dispatches', dispatches: job.dispatches })
    }
    const claimed = await jobs.claimDispatch(job, now())
    // Another process is dispatching the job. If that one fails, this message must come again.
    if (claimed === undefined) throw new CodedError('unavailable', { field: 'job' })
    const batchJobId = await batch.submit(claimed)
    if (await jobs.dispatched(claimed, batchJobId)) return 'submitted'
    await batch.terminate(batchJobId)
    return 'known'
  }

  /** Batch reports every job that did not succeed. Most have stored their own reason, and then this changes nothing. */
  async #ended(job: CmrJob, batchJobId: string): Promise<Dispatched> {
    const { jobs, now } = this.#options
    if (job.status === 'starting' && job.batchJobId === undefined) throw new CodedError('unavailable', { field: 'job' })
    const failed = await jobs.fail({ ...job, batchJobId }, { reason: 'worker-lost', field: 'batch' }, now())
    return failed === undefined ? 'known' : 'failed'
  }
}
