/**
 * From the queue `synthesis` to AWS Batch: hands a job to a machine once, takes it back, and hears of machines that are gone.
 *
 * Batch takes any number of jobs of one name, so what keeps a drawing from being handed over twice is the job's row: who may is decided there, and
 * a batch job that came of a message which was handled twice finds its job taken.
 * @module
 */

import type { CmrJob } from '../../shared/domain/cmr-job.ts'
import { CodedError } from '../../shared/errors.ts'
import type { SynthesisMessage } from '../../shared/messages.ts'
import { type CmrJobStore, MAX_DISPATCHES } from '../../shared/store/cmr-jobs.ts'

/** What the dispatcher needs of AWS Batch. */
export interface BatchQueue {
  /** @returns the batch job's id */
  submit(job: Pick<CmrJob, 'tenant' | 'jobId'>): Promise<string>
  /** One that has ended already is no error. */
  terminate(batchJobId: string): Promise<void>
}

export interface DispatcherOptions {
  readonly jobs: CmrJobStore
  readonly batch: BatchQueue
  readonly now: () => Date
}

/** What came of a message; `known`: there was nothing to do. */
export type Dispatched = 'submitted' | 'terminated' | 'failed' | 'known'

export class Dispatcher {
  readonly #options: DispatcherOptions

  constructor(options: DispatcherOptions) {
    this.#options = options
  }

  /**
   * Resolves when the message has had its effect; a repeat has none.
   * @throws CodedError `worker-lost` for a job that was handed over too often, `unavailable` while another hands it over
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
    // Another is at it. Should that one fail, this message is to be there.
    if (claimed === undefined) throw new CodedError('unavailable', { field: 'job' })
    const batchJobId = await batch.submit(claimed)
    if (await jobs.dispatched(claimed, batchJobId)) return 'submitted'
    await batch.terminate(batchJobId)
    return 'known'
  }

  /** Batch says so of every job that did not succeed; most have told why themselves, and then this changes nothing. */
  async #ended(job: CmrJob, batchJobId: string): Promise<Dispatched> {
    const { jobs, now } = this.#options
    if (job.status === 'starting' && job.batchJobId === undefined) throw new CodedError('unavailable', { field: 'job' })
    const failed = await jobs.fail({ ...job, batchJobId }, { reason: 'worker-lost', field: 'batch' }, now())
    return failed === undefined ? 'known' : 'failed'
  }
}
