import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type BatchQueue, Dispatcher } from '../../functions/synthesis-dispatch/dispatcher.ts'
import type { CmrJob } from '../../shared/domain/cmr-job.ts'
import { fileEcgId } from '../../shared/domain/ecg-id.ts'
import type { SynthesisMessage } from '../../shared/messages.ts'
import { CmrJobStore, MAX_DISPATCHES } from '../../shared/store/cmr-jobs.ts'
import { startTestAws, TABLE, type TestAws } from '../helpers/aws.ts'

let aws: TestAws
let jobs: CmrJobStore
let job: CmrJob
let tenants = 0
let nowMs: number
let submitted: string[]
let terminated: string[]
let submit: BatchQueue['submit']

beforeAll(async () => {
  aws = await startTestAws()
  jobs = new CmrJobStore(aws.dynamo, TABLE)
})
afterAll(() => aws.stop())

beforeEach(async () => {
  nowMs = Date.UTC(2026, 0, 2)
  submitted = []
  terminated = []
  submit = async ({ jobId }) => `batch-${submitted.push(jobId)}`
  const tenant = `clinic${++tenants}`
  const ecgId = fileEcgId({ tenant, sha256: 'f' })
  const drawing = { ecgId, version: 1, bundleSha256: 'b', seed: 0, sampler: 'distilled' }
  job = await jobs.submit(tenant, drawing, new Date(nowMs))
})

function dispatch(message: Partial<SynthesisMessage> & { kind: SynthesisMessage['kind'] }) {
  const batch: BatchQueue = {
    submit: (each) => submit(each),
    terminate: async (batchJobId) => void terminated.push(batchJobId),
  }
  const dispatcher = new Dispatcher({ jobs, batch, now: () => new Date(nowMs) })
  const { tenant, jobId } = job
  // Each test adds the fields of its kind.
  return dispatcher.dispatch({ schema: 1, tenant, jobId, ...message } as SynthesisMessage)
}

const state = () => jobs.get(job.tenant, job.jobId)

describe('dispatching a job', () => {
  it('submits it to Batch once, however often its message arrives', async () => {
    const outcomes = [await dispatch({ kind: 'draw' }), await dispatch({ kind: 'draw' })]

    expect(outcomes).toEqual(['submitted', 'known'])
    expect(submitted).toEqual([job.jobId])
    expect(await state()).toMatchObject({ status: 'starting', batchJobId: 'batch-1' })
  })

  it('submits it once for two concurrent messages; the other waits', async () => {
    const outcomes = await Promise.allSettled([dispatch({ kind: 'draw' }), dispatch({ kind: 'draw' })])

    const [fulfilled, rejected] = outcomes.toSorted((a, b) => (a.status < b.status ? -1 : 1))
    expect(fulfilled).toMatchObject({ value: 'submitted' })
    expect(rejected).toMatchObject({ reason: { code: 'unavailable' } })
    expect(submitted).toHaveLength(1)
  })

  it('submits it again with a later message after Batch did not answer', async () => {
    const answering = submit
    submit = async () => Promise.reject(new Error('no answer'))
    const first = dispatch({ kind: 'draw' })
    await expect(first).rejects.toThrow('no answer')
    submit = answering

    const tooSoon = dispatch({ kind: 'draw' })
    await expect(tooSoon).rejects.toMatchObject({ code: 'unavailable' })
    nowMs += 61_000
    const later = await dispatch({ kind: 'draw' })

    expect(later).toBe('submitted')
    expect(await state()).toMatchObject({ dispatches: 2 })
  })

  it('fails it with a reason, and moves the message to the DLQ, after too many submissions', async () => {
    for (let i = 0; i < MAX_DISPATCHES; i++) {
      await dispatch({ kind: 'draw' })
      const mine = { tenant: job.tenant, jobId: job.jobId, worker: `w${i}` }
      await jobs.begin(mine, job.ecgId, new Date(nowMs))
      await jobs.giveBack(mine, job.ecgId, new Date(nowMs))
    }

    const oneMore = dispatch({ kind: 'draw' })

    await expect(oneMore).rejects.toMatchObject({ code: 'worker-lost', kind: { permanent: true } })
    expect(submitted).toHaveLength(MAX_DISPATCHES)
    expect(await state()).toMatchObject({ status: 'failed', reason: 'worker-lost', field: 'dispatches' })
  })

  it('terminates the batch job when the job is cancelled meanwhile', async () => {
    const answering = submit
    submit = async (each) => {
      await jobs.cancel(job.tenant, job.jobId, job.ecgId, new Date(nowMs))
      return answering(each)
    }

    const outcome = await dispatch({ kind: 'draw' })

    expect(outcome).toBe('known')
    expect(terminated).toEqual(['batch-1'])
    expect(await state()).toMatchObject({ status: 'cancelled' })
  })

  it('ignores a job of a deleted ECG', async () => {
    await jobs.remove(job.tenant, job)

    expect(await dispatch({ kind: 'draw' })).toBe('known')
    expect(submitted).toEqual([])
  })
})

it('dispatching a cancellation terminates the batch job', async () => {
  const outcome = await dispatch({ kind: 'cancel', batchJobId: 'batch-7' })

  expect(outcome).toBe('terminated')
  expect(terminated).toEqual(['batch-7'])
})

describe('dispatching the end of a batch job', () => {
  it('fails the job when its worker did not report the end', async () => {
    await dispatch({ kind: 'draw' })

    const outcome = await dispatch({ kind: 'ended', batchJobId: 'batch-1' })

    expect(outcome).toBe('failed')
    expect(await state()).toMatchObject({ status: 'failed', reason: 'worker-lost', field: 'batch' })
  })

  it('does not change a job that has reported or that another worker runs', async () => {
    await dispatch({ kind: 'draw' })
    const mine = { tenant: job.tenant, jobId: job.jobId, worker: 'w1' }
    await jobs.begin(mine, job.ecgId, new Date(nowMs))
    await jobs.giveBack(mine, job.ecgId, new Date(nowMs))
    await dispatch({ kind: 'draw' })

    const earlier = await dispatch({ kind: 'ended', batchJobId: 'batch-1' })
    await jobs.begin(mine, job.ecgId, new Date(nowMs))
    await jobs.finish(mine, job.ecgId, { reason: 'provider-inactive' }, new Date(nowMs))
    const own = await dispatch({ kind: 'ended', batchJobId: 'batch-2' })

    expect([earlier, own]).toEqual(['known', 'known'])
    expect(await state()).toMatchObject({ status: 'failed', reason: 'provider-inactive' })
  })
})
