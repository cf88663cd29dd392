import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { CmrJob, Drawing } from '../../../shared/domain/cmr-job.ts'
import { fileEcgId } from '../../../shared/domain/ecg-id.ts'
import { CmrJobStore, WORK_LEASE_MS } from '../../../shared/store/cmr-jobs.ts'
import { ResultStore } from '../../../shared/store/results.ts'
import { startTestAws, TABLE, type TestAws } from '../../helpers/aws.ts'

let aws: TestAws
let jobs: CmrJobStore
let tenant: string
let tenants = 0
let drawing: Drawing

beforeAll(async () => {
  aws = await startTestAws()
  jobs = new CmrJobStore(aws.dynamo, TABLE)
})
afterAll(() => aws.stop())

beforeEach(() => {
  tenant = `clinic${++tenants}`
  drawing = { ecgId: fileEcgId({ tenant, sha256: 'f' }), version: 1, bundleSha256: 'b', seed: 0, sampler: 'distilled' }
})

const start = Date.UTC(2026, 0, 2)
const at = (seconds: number) => new Date(start + 1000 * seconds)
const workerOf = ({ jobId }: CmrJob, worker = 'w1') => ({ tenant, jobId, worker })

/** A job that a worker draws since second 2. */
async function running(): Promise<CmrJob> {
  const queued = await jobs.submit(tenant, drawing, at(0))
  const claimed = await jobs.claimDispatch(queued, at(1))
  await jobs.dispatched(claimed!, 'batch-1')
  return (await jobs.begin(workerOf(queued), drawing.ecgId, at(2)))!
}

describe('CmrJobStore.submit', () => {
  it('returns one job for the same drawing, also when submitted concurrently', async () => {
    const [first, second] = await Promise.all([
      jobs.submit(tenant, drawing, at(0)),
      jobs.submit(tenant, drawing, at(0)),
    ])

    expect(second).toEqual(first)
    expect(first).toMatchObject({ status: 'queued', seed: 0, sampler: 'distilled', dispatches: 0 })
    expect(await jobs.ofEcg(tenant, drawing.ecgId)).toEqual([first])
  })

  it('returns another job for another seed, sampler, bundle or version of the ECG', async () => {
    const others = [{ seed: 1 }, { sampler: 'full' }, { bundleSha256: 'other' }, { version: 2 }]

    const all = await Promise.all([{}, ...others].map((part) => jobs.submit(tenant, { ...drawing, ...part }, at(0))))

    expect(new Set(all.map(({ jobId }) => jobId)).size).toBe(5)
    expect(all.map(({ version }) => version)).toEqual([1, 1, 1, 1, 2])
  })

  it('hides the job from another tenant', async () => {
    const { jobId } = await jobs.submit(tenant, drawing, at(0))

    expect(await jobs.get('another', jobId)).toBeUndefined()
    expect(await jobs.ofEcg('another', drawing.ecgId)).toEqual([])
  })

  it.each(['failed', 'cancelled'] as const)('restarts a %s job', async (status) => {
    const job = await running()
    if (status === 'failed') await jobs.finish(workerOf(job), job.ecgId, { reason: 'internal' }, at(3))
    else await jobs.cancel(tenant, job.jobId, job.ecgId, at(3))

    const again = await jobs.submit(tenant, drawing, at(4))

    expect(again).toMatchObject({ jobId: job.jobId, status: 'queued', dispatches: 0, updatedAt: at(4).toISOString() })
    expect(again).not.toHaveProperty('reason')
    expect(again).not.toHaveProperty('batchJobId')
  })

  it('leaves a running or finished job unchanged', async () => {
    const job = await running()

    const whileDrawn = await jobs.submit(tenant, drawing, at(3))
    await jobs.finish(workerOf(job), job.ecgId, { artifacts: [] }, at(4))
    const whenDone = await jobs.submit(tenant, drawing, at(5))

    expect(whileDrawn).toEqual(job)
    expect(whenDone).toMatchObject({ status: 'done', artifacts: [], updatedAt: at(4).toISOString() })
  })

  it('requeues a job whose worker sends no heartbeat', async () => {
    const job = await running()

    const again = await jobs.submit(tenant, drawing, at(3 + WORK_LEASE_MS / 1000))

    expect(again).toMatchObject({ jobId: job.jobId, status: 'queued' })
  })
})

describe('CmrJobStore.claimDispatch', () => {
  it('lets exactly one dispatcher claim a job, once', async () => {
    const job = await jobs.submit(tenant, drawing, at(0))

    const claims = await Promise.all([jobs.claimDispatch(job, at(1)), jobs.claimDispatch(job, at(1))])

    const [claimed] = claims.filter((claim) => claim !== undefined)
    expect(claims).toContain(undefined)
    expect(claimed).toMatchObject({ status: 'starting', dispatches: 1 })
    expect(await jobs.dispatched(claimed!, 'batch-1')).toBe(true)
    expect(await jobs.claimDispatch((await jobs.get(tenant, job.jobId))!, at(3600))).toBeUndefined()
  })

  it('lets another dispatcher take over after a timeout; only the newer batch job counts', async () => {
    const lost = await jobs.claimDispatch(await jobs.submit(tenant, drawing, at(0)), at(1))

    const tooSoon = await jobs.claimDispatch(lost!, at(2))
    const taken = await jobs.claimDispatch(lost!, at(120))
    const late = await jobs.dispatched(lost!, 'batch-1')

    expect(tooSoon).toBeUndefined()
    expect(taken).toMatchObject({ status: 'starting', dispatches: 2 })
    expect(late).toBe(false)
  })

  it('has no effect once the job is cancelled', async () => {
    const claimed = await jobs.claimDispatch(await jobs.submit(tenant, drawing, at(0)), at(1))
    await jobs.cancel(tenant, claimed!.jobId, drawing.ecgId, at(2))

    expect(await jobs.dispatched(claimed!, 'batch-1')).toBe(false)
  })
})

describe('CmrJobStore during a drawing', () => {
  it('admits one worker until its lease expires', async () => {
    const job = await running()

    const second = await jobs.begin(workerOf(job, 'w2'), job.ecgId, at(3))
    const later = await jobs.begin(workerOf(job, 'w2'), job.ecgId, at(3 + WORK_LEASE_MS / 1000))
    const awake = await jobs.progress(workerOf(job), job.ecgId, { step: 1, steps: 8 }, at(70))

    expect(second).toBeUndefined()
    expect(later).toMatchObject({ status: 'running' })
    expect(awake).toBe(false)
  })

  it('extends the lease with each heartbeat, but publishes only progress', async () => {
    const job = await running()
    const { position } = await jobs.news(tenant, undefined, at(30))

    await jobs.progress(workerOf(job), job.ecgId, undefined, at(40))
    const silent = await jobs.news(tenant, position, at(41))
    await jobs.progress(workerOf(job), job.ecgId, { step: 3, steps: 8 }, at(50))
    const told = await jobs.news(tenant, silent.position, at(51))
    const other = await jobs.begin(workerOf(job, 'w2'), job.ecgId, at(100))

    expect(silent.items).toEqual([])
    expect(told.items.map(({ item }) => item)).toEqual([
      { jobId: job.jobId, ecgId: job.ecgId, status: 'running', step: 3, steps: 8 },
    ])
    expect(other).toBeUndefined()
  })

  it('refuses progress and completion once the job is cancelled', async () => {
    const job = await running()
    await jobs.cancel(tenant, job.jobId, job.ecgId, at(3))

    const goesOn = await jobs.progress(workerOf(job), job.ecgId, { step: 1, steps: 8 }, at(4))
    const finished = await jobs.finish(workerOf(job), job.ecgId, { artifacts: [] }, at(5))

    expect([goesOn, finished]).toEqual([false, false])
    expect(await jobs.get(tenant, job.jobId)).toMatchObject({ status: 'cancelled' })
  })

  it('queues a job again when its worker gives it back', async () => {
    const job = await running()

    const given = await jobs.giveBack(workerOf(job), job.ecgId, at(3))

    expect(given).toBe(true)
    const waiting = (await jobs.get(tenant, job.jobId))!
    expect(waiting).toMatchObject({ status: 'queued', dispatches: 1 })
    expect(await jobs.claimDispatch(waiting, at(4))).toMatchObject({ status: 'starting', dispatches: 2 })
  })

  it('fails the job with the reason of its own batch job, not of an earlier one', async () => {
    const job = await running()
    const failure = { reason: 'worker-lost', field: 'batch' }

    const early = await jobs.fail({ ...job, batchJobId: 'batch-0' }, failure, at(3))
    const own = await jobs.fail(job, failure, at(3))

    expect(early).toBeUndefined()
    expect(own).toMatchObject({ status: 'failed', ...failure })
  })
})

it('deleting an ECG deletes its jobs', async () => {
  const results = new ResultStore(aws.dynamo, TABLE)
  const { jobId } = await jobs.submit(tenant, drawing, at(0))

  await results.removeRows(tenant, drawing.ecgId)

  expect(await jobs.get(tenant, jobId)).toBeUndefined()
  expect(await jobs.ofEcg(tenant, drawing.ecgId)).toEqual([])
})
