import { ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Artifact, Drawable } from '../../../functions/synthesize/draw.ts'
import { type Ended, type WorkerOptions, work } from '../../../functions/synthesize/worker.ts'
import { artifactKey, readObject, removeEcgObjects, waveformKey } from '../../../shared/aws/payloads.ts'
import type { CmrJob } from '../../../shared/domain/cmr-job.ts'
import type { DrawOptions } from '../../../shared/inference/synthesizer.ts'
import { createMetrics } from '../../../shared/observe/metrics.ts'
import { CmrJobStore } from '../../../shared/store/cmr-jobs.ts'
import { ResultStore } from '../../../shared/store/results.ts'
import { BUCKET, startTestAws, TABLE, type TestAws } from '../../helpers/aws.ts'
import { metricsOf } from '../../helpers/emf.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'
import { type StoredEcgOptions, storedEcg } from '../../helpers/stored-ecg.ts'

const BUNDLE = 'c'.repeat(64)
const ARTIFACTS: readonly Artifact[] = [
  { name: 'sax.dcm', contentType: 'application/dicom', bytes: Buffer.from('picture') },
  { name: 'manifest.json', contentType: 'application/json', bytes: Buffer.from('{}') },
]

let aws: TestAws
let jobs: CmrJobStore
let results: ResultStore
let tenant: string
let tenants = 0
let drawn: { drawable: Drawable; seed: number; sampler: string }[]

beforeAll(async () => {
  aws = await startTestAws()
  jobs = new CmrJobStore(aws.dynamo, TABLE)
  results = new ResultStore(aws.dynamo, TABLE)
})
afterAll(() => aws.stop())

beforeEach(async () => {
  tenant = `clinic${++tenants}`
  drawn = []
  for (const url of [aws.synthesisUrl, aws.reportUrl]) await aws.receive(url)
})

async function submitted(ecg: StoredEcgOptions = {}, bundleSha256 = BUNDLE) {
  const stored = await storedEcg(aws, tenant, ecg)
  const drawing = { ecgId: stored.ecgId, version: stored.result.version, bundleSha256, seed: 7, sampler: 'full' }
  return { ...stored, job: await jobs.submit(tenant, drawing, new Date()) }
}

type Draw = (options: DrawOptions) => Promise<readonly Artifact[]>

/** Draws eight steps of nothing. */
const steps: Draw = async ({ onProgress }) => {
  for (let step = 1; step <= 8; step++) onProgress?.(step, 8)
  return ARTIFACTS
}

/** Makes a step and then waits until it is released; ends with the signal. */
function waiting() {
  const begun = Promise.withResolvers<void>()
  const onward = Promise.withResolvers<void>()
  const draw: Draw = async ({ signal, onProgress }) => {
    onProgress?.(1, 8)
    begun.resolve()
    await Promise.race([
      onward.promise,
      new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason))),
    ])
    return ARTIFACTS
  }
  return { begun: begun.promise, go: onward.resolve, draw }
}

function run({ jobId }: CmrJob, draw: Draw = steps, options: Partial<WorkerOptions> = {}, signal?: AbortSignal) {
  const { sqs, s3, synthesisUrl: queueUrl } = aws
  const open: WorkerOptions['open'] = async (sampler) => ({
    async draw(drawable, drawOptions) {
      drawn.push({ drawable, seed: drawOptions.seed, sampler })
      return draw(drawOptions)
    },
    release: async () => {},
  })
  const common = { jobs, results, sqs, s3, bucket: BUCKET, queueUrl, bundleSha256: BUNDLE, open, beatMs: 5 }
  return work({ ...common, onError: () => {}, ...options }, { tenant, jobId }, signal ?? new AbortController().signal)
}

const state = ({ jobId }: CmrJob) => jobs.get(tenant, jobId)

const kept = async ({ ecgId, jobId }: CmrJob) => {
  const command = new ListObjectsV2Command({ Bucket: BUCKET, Prefix: artifactKey(tenant, ecgId, jobId, '') })
  return ((await aws.s3.send(command)).Contents ?? []).map(({ Key }) => Key!.split('/').at(-1))
}

const queued = async () => (await aws.receive(aws.synthesisUrl)).map(({ Body }) => JSON.parse(Body!))

describe('the synthesis worker', () => {
  it('draws the screened window, stores the artifacts and completes the job', async () => {
    const person = { sex: 'female', ageYears: 61 } as const
    const { job, result, clean } = await submitted({ person, recording: syntheticRecording({ seconds: 25 }) })

    const ended = await run(job)

    expect(ended).toBe('done')
    expect(drawn).toEqual([{ drawable: { result, clean, person, fromS: 0 }, seed: 7, sampler: 'full' }])
    const done = (await state(job))!
    expect(done).toMatchObject({
      status: 'done',
      artifacts: [{ name: 'sax.dcm', bytes: 7 }, { name: 'manifest.json' }],
    })
    expect(await kept(job)).toEqual(['manifest.json', 'sax.dcm'])
  })

  it('draws from the version of the ECG that the job names, before and after a correction', async () => {
    const first = await submitted()
    const corrects = { ecgId: first.ecgId, version: 2 }
    const second = await submitted({ recording: syntheticRecording({ heartRateBpm: 61 }), corrects })

    const ended = [await run(first.job), await run(second.job)]

    expect(ended).toEqual(['done', 'done'])
    expect(second.job.jobId).not.toBe(first.job.jobId)
    expect(drawn.map(({ drawable }) => [drawable.result, drawable.clean])).toEqual([
      [first.result, first.clean],
      [second.result, second.clean],
    ])
  })

  it('emits the wait and duration, or the reason of failure', async () => {
    vi.stubEnv('POWERTOOLS_METRICS_DISABLED', 'false')
    const { job } = await submitted()
    const other = await submitted({}, 'd'.repeat(64))

    const drawnWell = await metricsOf(() => run(job, steps, { metrics: createMetrics('synthesize') }))
    const failed = await metricsOf(() => run(other.job, steps, { metrics: createMetrics('synthesize') }))

    vi.unstubAllEnvs()
    expect(drawnWell).toMatchObject([{ CineWaitS: expect.any(Number), CineS: expect.any(Number) }])
    expect(failed).toMatchObject([
      { reason: 'bundle-mismatch', CineFailures: 1 },
      { CineWaitS: expect.any(Number), CinesFailed: 1 },
    ])
  })

  it('uses the device’s heart rate', async () => {
    const { job, clean } = await submitted({ heartRateBpm: 144 })

    await run(job)

    expect(drawn[0]!.drawable.clean).toEqual(clean)
  })

  it('publishes progress while it draws', async () => {
    const { job } = await submitted()
    const { position } = await jobs.news(tenant, undefined)
    const { begun, go, draw } = waiting()

    const ending = run(job, draw)
    await begun
    let told: object[] = []
    while (!told.some((each) => 'step' in each)) {
      told = (await jobs.news(tenant, position)).items.map(({ item }) => item)
    }
    go()

    expect(told).toMatchObject([{ jobId: job.jobId, status: 'running', step: 1, steps: 8 }])
    expect(await ending).toBe('done')
  })

  it('draws a job once with two workers', async () => {
    const { job } = await submitted()
    const { begun, go, draw } = waiting()
    const given = new AbortController()

    const first = run(job, draw)
    await begun
    const second = run(job, steps, {}, given.signal)
    given.abort() // does not wait for the other's lease
    const outcome = await second
    go()

    expect([await first, outcome]).toEqual(['done', 'nothing'])
    expect(drawn).toHaveLength(1)
  })

  it('draws no job that is done, cancelled or removed', async () => {
    const { job } = await submitted()
    await run(job)
    const again = await run(job)
    const { job: other } = await submitted({ recording: syntheticRecording({ heartRateBpm: 61 }) })
    await jobs.cancel(tenant, other.jobId, other.ecgId, new Date())
    const cancelled = await run(other)
    await jobs.remove(tenant, other)
    const gone = await run(other)

    expect([again, cancelled, gone]).toEqual(['nothing', 'nothing', 'nothing'] satisfies Ended[])
    expect(drawn).toHaveLength(1)
  })
})

describe('the synthesis worker on cancellation', () => {
  it('stops between two steps and leaves no artifacts', async () => {
    const { job } = await submitted()
    const { begun, draw } = waiting()

    const ending = run(job, draw)
    await begun
    await jobs.cancel(tenant, job.jobId, job.ecgId, new Date())

    expect(await ending).toBe('nothing')
    expect(await state(job)).toMatchObject({ status: 'cancelled' })
    expect(await kept(job)).toEqual([])
  })

  it('leaves no artifacts when the drawing was complete', async () => {
    const { job } = await submitted()
    const cancelling: Draw = async () => {
      await jobs.cancel(tenant, job.jobId, job.ecgId, new Date())
      return ARTIFACTS
    }

    const ended = await run(job, cancelling, { beatMs: 60_000 })

    expect(ended).toBe('nothing')
    expect(await kept(job)).toEqual([])
  })

  it('leaves no artifacts when the ECG was deleted', async () => {
    const { job } = await submitted()
    const deleting: Draw = async () => {
      await results.markDeleted(tenant, job.ecgId)
      await removeEcgObjects(aws.s3, BUCKET, tenant, job.ecgId)
      return ARTIFACTS
    }

    const ended = await run(job, deleting, { beatMs: 60_000 })
    await results.removeRows(tenant, job.ecgId)
    const after = await run(job)

    expect([ended, after]).toEqual(['nothing', 'nothing'])
    expect(await state(job)).toBeUndefined()
  })
})

it('a worker gives its job back at once on SIGTERM, and another one draws it', async () => {
  const { job } = await submitted()
  const { begun, draw } = waiting()
  const sigterm = new AbortController()

  const ending = run(job, draw, {}, sigterm.signal)
  await begun
  sigterm.abort()

  expect(await ending).toBe('given-back')
  expect(await state(job)).toMatchObject({ status: 'queued' })
  expect(await queued()).toEqual([{ schema: 1, kind: 'draw', tenant, jobId: job.jobId }])
  expect(await run(job)).toBe('done')
})

describe('uploading artifacts', () => {
  /** S3 that gets other bytes than were sent, the first `times` times. */
  function corrupting(times: number) {
    let left = times
    const s3 = Object.create(aws.s3) as typeof aws.s3
    s3.send = ((command: PutObjectCommand) => {
      if (!(command instanceof PutObjectCommand) || left-- <= 0) return aws.s3.send(command)
      const { ChecksumSHA256: _, ...input } = command.input
      return aws.s3.send(new PutObjectCommand({ ...input, Body: Buffer.from('pictura') }))
    }) as typeof s3.send // one that a test can listen in on
    return s3
  }

  it('repeats an upload that arrives corrupt', async () => {
    const { job } = await submitted()

    const ended = await run(job, steps, { s3: corrupting(2) })

    expect(ended).toBe('done')
    const stored = await readObject(aws.s3, BUCKET, artifactKey(tenant, job.ecgId, job.jobId, 'sax.dcm'))
    expect(Buffer.from(stored!).toString()).toBe('picture')
  })

  it('fails the job without a manifest when an upload stays corrupt', async () => {
    const { job } = await submitted()

    const ended = await run(job, steps, { s3: corrupting(9) })

    expect(ended).toBe('failed')
    expect(await state(job)).toMatchObject({ status: 'failed', reason: 'artifact-corrupt', field: 'sax.dcm' })
    expect(await kept(job)).not.toContain('manifest.json')
  })
})

describe('the reason of a failed job', () => {
  it('is bundle-mismatch when the job names another bundle', async () => {
    const { job } = await submitted({}, 'd'.repeat(64))

    expect(await run(job)).toBe('failed')
    expect(await state(job)).toMatchObject({ reason: 'bundle-mismatch', field: 'bundleSha256' })
  })

  it('states that the waveform is missing or differs from the screened one', async () => {
    const { job } = await submitted()
    const key = waveformKey('raw', tenant, job.ecgId)
    const other = await storedEcg(aws, `${tenant}b`, { recording: syntheticRecording({ heartRateBpm: 61 }) })
    const bytes = await readObject(aws.s3, BUCKET, waveformKey('raw', `${tenant}b`, other.ecgId))

    await aws.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: bytes! }))
    await run(job)
    const wrong = await state(job)
    await removeEcgObjects(aws.s3, BUCKET, tenant, job.ecgId)
    await jobs.submit(tenant, job, new Date())
    await run(job)

    expect(wrong).toMatchObject({ status: 'failed', reason: 'claim-check-mismatch', field: 'waveform' })
    expect(await state(job)).toMatchObject({ status: 'failed', reason: 'not-found', field: 'waveform' })
  })

  it('never contains the text of an error', async () => {
    const { job } = await submitted()
    const errors: unknown[] = []
    const failing: Draw = async () => Promise.reject(new Error('patient 123'))

    await run(job, failing, { onError: (error) => errors.push(error) })

    expect(errors).toHaveLength(1)
    expect(await state(job)).toMatchObject({ status: 'failed', reason: 'internal' })
    expect(JSON.stringify(await state(job))).not.toContain('123')
  })
})

it('a finished job notifies the report function when there is an EHR', async () => {
  const { job } = await submitted()

  await run(job, steps, { reportQueueUrl: aws.reportUrl })

  // It arrives shortly after the job is done.
  let heard: unknown[] = []
  while (heard.length === 0) heard = (await aws.receive(aws.reportUrl)).map(({ Body }) => JSON.parse(Body!))
  expect(heard).toEqual([{ schema: 1, kind: 'cine', tenant, jobId: job.jobId }])
})
