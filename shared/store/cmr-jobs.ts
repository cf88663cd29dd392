/**
 * CMR synthesis jobs in the results table. Every change is one conditional write of one row, so a worker that arrives twice, late or at the
 * same time as another changes nothing. A worker holds the row by a lease, so that the job of a dead worker can be taken over.
 *
 * In the index `byArrival` jobs have a part of their own (`tenant` = tenant#cmr), in which a job moves to the end when it changes.
 * @module
 */
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import * as z from 'zod'
import { type ArtifactEntry, CMR_STATUSES, type CmrJob, type CmrProgress, type Drawing } from '../domain/cmr-job.ts'
import { type CmrJobId, cmrJobId, type EcgId } from '../domain/ecg-id.ts'
import { CodedError } from '../errors.ts'
import {
  CMR_POINTERS,
  cmrJobKey,
  cmrJobOfRow,
  cmrPart,
  cmrPointerKey,
  ecgPk,
  jobArrival,
  jobArrivalOf,
  jobIdOfPk,
  ownEcgId,
} from './keys.ts'
import { type IndexEntry, type News, readNews } from './news.ts'
import { type Change, IS_NEW, type Row, Table } from './table.ts'

/** A worker's lease without a sign of life, ms. It renews the lease several times as often. */
export const WORK_LEASE_MS = 60_000

/** Longest time for handing a job to a machine. */
const DISPATCH_LEASE_MS = 60_000

/** Job rows that are read at once. */
const JOBS_A_PAGE = 25

/** Most machines that a job is handed to; after five failures another would not help. */
export const MAX_DISPATCHES = 5

const Stored = z.object({
  pk: z.string(),
  ecgId: z.string(),
  // Jobs from before there were versions have none.
  version: z.number().default(1),
  bundleSha256: z.string(),
  seed: z.number(),
  sampler: z.string(),
  status: z.enum(CMR_STATUSES),
  step: z.number().optional(),
  steps: z.number().optional(),
  reason: z.string().optional(),
  field: z.string().optional(),
  artifacts: z
    .array(z.object({ name: z.string(), contentType: z.string(), bytes: z.number(), sha256: z.string() }))
    .optional(),
  submittedAt: z.string(),
  updatedAt: z.string(),
  batchJobId: z.string().optional(),
  dispatches: z.number(),
})

/** Attributes of one attempt, removed when the next one begins. */
const OF_AN_ATTEMPT = ['step', 'steps', 'reason', 'field', 'batchJobId', 'worker', 'leaseUntil'] as const

const OPEN = '#status IN (:queued, :starting, :running)'
const MINE = '#status = :running AND #worker = :worker'

/** The process that draws a job. */
export interface JobHolder {
  readonly tenant: string
  readonly jobId: CmrJobId
  /** Unique to this process. */
  readonly worker: string
}

interface JobChange extends Change {
  /** Attributes are written `#name`, states `:state`. */
  readonly condition: string
  readonly values?: Row
}

const STATES = Object.fromEntries(CMR_STATUSES.map((status) => [status, status]))

export class CmrJobStore {
  readonly #table: Table

  constructor(dynamo: DynamoDBClient, table: string) {
    this.#table = new Table(dynamo, table)
  }

  /**
   * Returns the job of a drawing: a new one, or the existing one. A job that failed, was cancelled or lost its worker starts again. The
   * caller must check afterwards that the ECG was not deleted meanwhile, and remove the job if it was.
   */
  async submit(tenant: string, drawing: Drawing, now: Date): Promise<CmrJob> {
    const jobId = cmrJobId(drawing)
    // Written first: a job that no row points to would outlive its ECG.
    await this.#table.put(cmrPointerKey(tenant, drawing.ecgId, jobId))
    const { ecgId, version, bundleSha256, seed, sampler } = drawing
    const row = { ...cmrJobKey(tenant, jobId), ecgId, version, bundleSha256, seed, sampler, dispatches: 0 }
    const isNew = await this.#table.putIf(
      { ...row, tenant: cmrPart(tenant), submittedAt: now.toISOString(), ...changed('queued', ecgId, now) },
      IS_NEW,
    )
    if (!isNew) {
      const isLost = '(#status = :running AND #leaseUntil < :now)'
      await this.#change(tenant, jobId, {
        set: { ...changed('queued', ecgId, now), dispatches: 0 },
        remove: OF_AN_ATTEMPT,
        condition: `#status IN (:failed, :cancelled) OR ${isLost}`,
        values: { now: now.getTime() },
      })
    }
    const job = await this.get(tenant, jobId)
    if (job === undefined) throw new CodedError('not-found', { field: 'id' })
    return job
  }

  /** A job, or `undefined`. Another tenant's job looks like one that never existed. */
  async get(tenant: string, jobId: CmrJobId): Promise<CmrJob | undefined> {
    const row = await this.#table.get(cmrJobKey(tenant, jobId))
    return row && toJob(tenant, row)
  }

  /** All jobs of an ECG, in pages, because an ECG may have thousands of jobs with different seeds. */
  async *pagesOfEcg(tenant: string, ecgId: EcgId): AsyncGenerator<readonly CmrJob[]> {
    for await (const rows of this.#table.pages(ecgPk(tenant, ecgId), CMR_POINTERS, { limit: JOBS_A_PAGE })) {
      const ids = rows.map(({ sk }) => cmrJobOfRow(sk)).filter((jobId) => jobId !== undefined)
      const jobs = await Promise.all(ids.map((jobId) => this.get(tenant, jobId)))
      yield jobs.filter((job) => job !== undefined)
    }
  }

  /** All jobs of an ECG. */
  async ofEcg(tenant: string, ecgId: EcgId): Promise<readonly CmrJob[]> {
    const all: CmrJob[] = []
    for await (const page of this.pagesOfEcg(tenant, ecgId)) all.push(...page)
    return all
  }

  /**
   * Jobs of an ECG that were requested last, newest first.
   * @param most number of jobs
   */
  async newestOfEcg(tenant: string, ecgId: EcgId, most: number): Promise<readonly CmrJob[]> {
    const all = await this.ofEcg(tenant, ecgId)
    const newest = all.toSorted((a, b) => Date.parse(b.submittedAt) - Date.parse(a.submittedAt) || b.seed - a.seed)
    return newest.slice(0, most)
  }

  /** Removes a job whose ECG was deleted. */
  async remove(tenant: string, { ecgId, jobId }: Pick<CmrJob, 'ecgId' | 'jobId'>): Promise<void> {
    await this.#table.delete(cmrJobKey(tenant, jobId))
    await this.#table.delete(cmrPointerKey(tenant, ecgId, jobId))
  }

  /**
   * Cancels a job.
   * @returns the cancelled job; `undefined` when it had ended or never existed
   */
  cancel(tenant: string, jobId: CmrJobId, ecgId: EcgId, now: Date): Promise<CmrJob | undefined> {
    return this.#change(tenant, jobId, {
      set: changed('cancelled', ecgId, now),
      remove: ['step', 'steps', 'worker', 'leaseUntil'],
      condition: OPEN,
    })
  }

  /**
   * Claims the right to hand a queued job to a machine. Only one process has it at a time; it lapses when that process is not heard of
   * again.
   * @returns the job as it is now, or `undefined` when there is nothing to hand over
   */
  claimDispatch(job: CmrJob, now: Date): Promise<CmrJob | undefined> {
    const isForgotten = '(#status = :starting AND attribute_not_exists(#batchJobId) AND #leaseUntil < :now)'
    return this.#change(job.tenant, job.jobId, {
      set: {
        ...changed('starting', job.ecgId, now),
        leaseUntil: now.getTime() + DISPATCH_LEASE_MS,
        dispatches: job.dispatches + 1,
      },
      condition: `#dispatches = :dispatches AND (#status = :queued OR ${isForgotten})`,
      values: { dispatches: job.dispatches, now: now.getTime() },
    })
  }

  /**
   * Records the batch job.
   * @returns false when the job was cancelled, deleted or handed over again meanwhile, so that nobody waits for this batch job
   */
  async dispatched({ tenant, jobId, dispatches }: CmrJob, batchJobId: string): Promise<boolean> {
    const change = { set: { batchJobId }, condition: '#dispatches = :dispatches AND #status <> :cancelled' }
    return (await this.#change(tenant, jobId, { ...change, values: { dispatches } })) !== undefined
  }

  /** Fails a job whose machine disappeared, or for which no machine was available. */
  fail(job: CmrJob, { reason, field }: Failure, now: Date): Promise<CmrJob | undefined> {
    const { batchJobId } = job
    return this.#change(job.tenant, job.jobId, {
      set: { ...changed('failed', job.ecgId, now), reason, field },
      remove: ['step', 'steps', 'worker', 'leaseUntil'],
      // Ignores a failure of an earlier attempt.
      condition: `${OPEN} AND ${batchJobId === undefined ? 'attribute_not_exists(#batchJobId)' : '#batchJobId = :batchJobId'}`,
      ...(batchJobId === undefined ? {} : { values: { batchJobId } }),
    })
  }

  /**
   * Claims the right to draw, for one worker.
   * @returns `undefined` while another worker has it, or when there is nothing to draw
   */
  begin({ tenant, jobId, worker }: JobHolder, ecgId: EcgId, now: Date): Promise<CmrJob | undefined> {
    return this.#change(tenant, jobId, {
      set: { ...changed('running', ecgId, now), worker, leaseUntil: now.getTime() + WORK_LEASE_MS },
      remove: ['step', 'steps'],
      condition: '#status IN (:queued, :starting) OR (#status = :running AND #leaseUntil < :now)',
      values: { now: now.getTime() },
    })
  }

  /**
   * Renews the lease and records progress.
   * @returns false when the job is no longer this worker's: cancelled, deleted, or given to another worker
   */
  async progress(mine: JobHolder, ecgId: EcgId, steps: Steps | undefined, now: Date): Promise<boolean> {
    const leaseUntil = now.getTime() + WORK_LEASE_MS
    // Without a step there is no change to report.
    const set = steps === undefined ? { leaseUntil } : { ...changed('running', ecgId, now, steps), leaseUntil }
    return this.#ofHolder(mine, { set })
  }

  /** Returns a job to the queue as if it had never been handed over. */
  async giveBack(mine: JobHolder, ecgId: EcgId, now: Date): Promise<boolean> {
    return this.#ofHolder(mine, { set: changed('queued', ecgId, now), remove: OF_AN_ATTEMPT })
  }

  /**
   * Ends a job.
   * @returns false when the job is no longer this worker's
   */
  async finish(mine: JobHolder, ecgId: EcgId, end: JobEnd, now: Date): Promise<boolean> {
    const status = 'artifacts' in end ? 'done' : 'failed'
    return this.#ofHolder(mine, {
      set: { ...changed(status, ecgId, now), ...end },
      remove: ['step', 'steps', 'worker', 'leaseUntil'],
    })
  }

  /** Changes since a position (`news.ts`): each job once, in the state that it then had. */
  news(tenant: string, after: string | undefined, now: Date = new Date()): Promise<News<CmrProgress>> {
    const read = async (floor: string, limit: number | undefined) => {
      const { rows, next } = await this.#table.arrivals({ part: cmrPart(tenant), floor, limit })
      return { items: rows, isAll: next === undefined }
    }
    return readNews({ read, toItem: toProgress, nameOf: ({ pk, arrival }) => `${pk}#${arrival}` }, after, now)
  }

  async #ofHolder({ tenant, jobId, worker }: JobHolder, change: Change): Promise<boolean> {
    const job = await this.#change(tenant, jobId, { ...change, condition: MINE, values: { worker } })
    return job !== undefined
  }

  /** @returns the job as it is now, or `undefined` when the condition is not met */
  async #change(
    tenant: string,
    jobId: CmrJobId,
    { condition, values, ...change }: JobChange,
  ): Promise<CmrJob | undefined> {
    const row = await this.#table.update(cmrJobKey(tenant, jobId), change, {
      expression: `attribute_exists(pk) AND (${condition})`,
      values: { ...STATES, ...values },
    })
    return row && toJob(tenant, row)
  }
}

export interface Failure {
  readonly reason: string
  readonly field?: string | undefined
}

/** How a job ended. */
export type JobEnd = { readonly artifacts: readonly ArtifactEntry[] } | Failure

export interface Steps {
  readonly step: number
  readonly steps: number
}

/** Attributes of every change that is reported. The index has nothing else of a job except its keys and `status`. */
function changed(status: CmrJob['status'], ecgId: EcgId, now: Date, { step, steps }: Partial<Steps> = {}) {
  const updatedAt = now.toISOString()
  return { status, updatedAt, arrival: jobArrival(updatedAt, ecgId, step, steps), step, steps }
}

function toJob(tenant: string, row: Row): CmrJob {
  const { pk, ecgId, ...job } = Stored.parse(row)
  return { ...job, tenant, jobId: jobIdOfPk(pk), ecgId: ownEcgId(ecgId) }
}

function toProgress({ pk, arrival, status }: IndexEntry): CmrProgress {
  return {
    jobId: jobIdOfPk(pk),
    status: status as CmrJob['status'], // as it was written
    ...jobArrivalOf(arrival),
  }
}
