import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { CmrJob } from '../../../shared/domain/cmr-job.ts'
import { readBundle } from '../../../shared/inference/bundle.ts'
import { CmrJobStore } from '../../../shared/store/cmr-jobs.ts'
import { BUCKET, startTestAws, TABLE, type TestAws } from '../../helpers/aws.ts'
import { storedEcg } from '../../helpers/stored-ecg.ts'
import { makeDrawingBundle } from '../../helpers/synthesis.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'

const tenant = 'clinic'
let aws: TestAws
let jobs: CmrJobStore
let model: string

beforeAll(async () => {
  aws = await startTestAws()
  jobs = new CmrJobStore(aws.dynamo, TABLE)
  model = await makeDrawingBundle(temporaryFolder())
})
afterAll(() => aws.stop())

async function submitted(seed: number, sampler: string): Promise<CmrJob> {
  const { ecgId } = await storedEcg(aws, tenant)
  const { sha256: bundleSha256 } = await readBundle(model, 'cardiacnets-v1')
  return jobs.submit(tenant, { ecgId, version: 1, bundleSha256, seed, sampler }, new Date())
}

/** The process as Batch would start it. */
function start({ jobId }: CmrJob, environment: Readonly<Record<string, string>> = {}): ChildProcess {
  const child = spawn(process.execPath, ['functions/synthesize/main.ts'], {
    cwd: resolve(import.meta.dirname, '../../..'),
    env: {
      PATH: process.env.PATH,
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
      ...aws.env,
      RESULTS_TABLE: TABLE,
      RAW_BUCKET: BUCKET,
      SYNTHESIS_QUEUE_URL: aws.synthesisUrl,
      CODE_VERSION: 'test',
      MODEL_DIR: model,
      TENANT: tenant,
      JOB_ID: jobId,
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

const state = ({ jobId }: CmrJob) => jobs.get(tenant, jobId)

describe('the synthesis process', () => {
  it('returns its job on SIGTERM and exits with 143, so that the next worker draws it', async () => {
    const job = await submitted(1, 'full')
    const first = start(job, { EXECUTION_PROVIDER: 'cpu' })
    const ending = once(first, 'exit')
    while ((await state(job))?.step === undefined) await Promise.race([ending, aws.receive(aws.reportUrl)])

    first.kill('SIGTERM')
    const [code] = await ending
    const given = await state(job)
    const messages = await aws.receive(aws.synthesisUrl)
    const [again] = await once(start(job, { EXECUTION_PROVIDER: 'cpu' }), 'exit')

    expect(code).toBe(143)
    expect(given).toMatchObject({ status: 'queued' })
    expect(given).not.toHaveProperty('step')
    expect(messages.map(({ Body }) => JSON.parse(Body!))).toMatchObject([{ kind: 'draw', jobId: job.jobId }])
    expect(again).toBe(0)
    expect(await state(job)).toMatchObject({ status: 'done' })
  }, 240_000)

  it.skipIf(existsSync('/dev/nvidia0'))(
    'fails without a GPU unless the CPU is allowed',
    async () => {
      const job = await submitted(2, 'distilled')

      const process = start(job)
      const [[code], printed] = await Promise.all([once(process, 'exit'), text(process.stdout!)])

      expect(code).toBe(1)
      const of = { action: 'cmr.draw', tenant, jobId: job.jobId, ecgId: job.ecgId, outcome: 'provider-inactive' }
      expect(
        printed
          .split('\n')
          .filter(Boolean)
          .map((line) => JSON.parse(line)),
      ).toContainEqual(expect.objectContaining(of))
      expect(await state(job)).toMatchObject({
        status: 'failed',
        reason: 'provider-inactive',
        field: 'EXECUTION_PROVIDER',
      })
    },
    120_000,
  )
})
