import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { artifactKey, hasEcgObjects, putObject, sha256, waveformKey } from '../../../shared/aws/payloads.ts'
import { cmrJobId, fileEcgId, parseCmrJobId } from '../../../shared/domain/ecg-id.ts'
import { encodeWaveform } from '../../../shared/waveform/codec.ts'
import { BUCKET } from '../../helpers/aws.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'
import { makeRefusal, makeResult } from '../../helpers/results.ts'
import { readEvents, SYNTHESIS_RULES, startTestApi, type TestApi } from './helpers.ts'

let api: TestApi
/** Tests share the table, not a tenant. */
let tenant: string
let tenants = 0

beforeAll(async () => {
  api = await startTestApi()
})
afterAll(() => api.stop())
beforeEach(() => {
  tenant = `clinic${++tenants}`
})

const submit = (ecgId: string, body?: object, as = tenant, claims = {}) =>
  api.as(
    as,
    `/v1/ecgs/${ecgId}/cmr`,
    {
      method: 'POST',
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    },
    claims,
  )

interface Job {
  readonly jobId: string
  readonly status: string
  readonly version: number
  readonly artifacts?: readonly { readonly name: string; readonly href: string }[]
}

// A test looks at a part of it and fails where that is not as it should be.
const jobOf = async (response: Response) => (await response.json()) as Job

const queued = async () => (await api.receive(api.synthesisUrl)).map(({ Body }) => JSON.parse(Body!))

/** A job that is done, with one artifact. */
async function done(bytes = Buffer.from('DICM')) {
  const { ecgId } = await api.screened(tenant)
  const { jobId } = await jobOf(await submit(ecgId))
  const mine = { tenant, jobId: parseCmrJobId(jobId)!, worker: 'w1' }
  await api.jobs.begin(mine, ecgId, new Date())
  await putObject(api.s3, BUCKET, artifactKey(tenant, ecgId, mine.jobId, 'sax.dcm'), bytes)
  const entry = { name: 'sax.dcm', contentType: 'application/dicom', bytes: bytes.length, sha256: sha256(bytes) }
  await api.jobs.finish(mine, ecgId, { artifacts: [entry] }, new Date())
  await queued()
  return { ecgId, jobId, entry, mine }
}

describe('POST /v1/ecgs/{id}/cmr', () => {
  it('accepts a job, derives its ID from its inputs and queues it', async () => {
    const { ecgId } = await api.screened(tenant)

    const response = await submit(ecgId, { seed: 7, sampler: 'full' })

    const { bundleSha256 } = SYNTHESIS_RULES
    const jobId = cmrJobId({ ecgId, version: 1, bundleSha256, seed: 7, sampler: 'full' })
    expect(response.status).toBe(202)
    expect(response.headers.get('location')).toBe(`/v1/cmr/${jobId}`)
    expect(await jobOf(response)).toMatchObject({ jobId, ecgId, status: 'queued', seed: 7, synthetic: true })
    expect(await queued()).toEqual([{ schema: 1, kind: 'draw', tenant, jobId }])
  })

  it('defaults to seed 0 and the bundle’s sampler, and returns the same job when asked twice', async () => {
    const { ecgId } = await api.screened(tenant)

    const answers = await Promise.all([submit(ecgId), submit(ecgId, { seed: 0, sampler: 'distilled' })])

    const [first, second] = await Promise.all(answers.map(jobOf))
    expect(second).toEqual(first)
    expect(await api.jobs.ofEcg(tenant, ecgId)).toHaveLength(1)
    await queued()
  })

  it('draws a corrected ECG anew, and says of each drawing from which version it is', async () => {
    const { ecgId } = await api.screened(tenant)
    const before = await jobOf(await submit(ecgId))
    await api.screened(tenant, { ecgId, version: 2 })

    const after = await jobOf(await submit(ecgId))

    const { items } = (await (await api.as(tenant, `/v1/ecgs/${ecgId}/cmr`)).json()) as { items: readonly Job[] }
    expect([before.version, after.version]).toEqual([1, 2])
    expect(new Set(items.map(({ jobId }) => jobId))).toEqual(new Set([before.jobId, after.jobId]))
    expect(await queued()).toMatchObject([{ jobId: before.jobId }, { jobId: after.jobId }])
  })

  it('does not queue a running job again', async () => {
    const { ecgId } = await api.screened(tenant)
    const { jobId } = await jobOf(await submit(ecgId))
    await queued()
    await api.jobs.begin({ tenant, jobId: parseCmrJobId(jobId)!, worker: 'w1' }, ecgId, new Date())

    const again = await submit(ecgId)

    expect(await jobOf(again)).toMatchObject({ jobId, status: 'running' })
    expect(await queued()).toEqual([])
  })

  it.each([
    ['a refused ECG', makeRefusal, 422, 'ecg-refused', 'quality'],
    [
      'an ECG with too few leads',
      () => {
        const { quality } = makeResult()
        const leads = { ...quality.leads, V1: 'noise', V2: 'flat', V3: 'gap', V4: 'missing' } as const
        return makeResult({ quality: { ...quality, leads } })
      },
      422,
      'leads-too-few',
      'quality.leads',
    ],
    [
      'an unfamiliar ECG',
      () => makeResult({ ood: { score: 9, threshold: 3, flagged: true } }),
      422,
      'ecg-unfamiliar',
      'ood',
    ],
  ])('refuses %s', async (_what, make, status, code, field) => {
    const { ecgId: _, ...rest } = make()
    const { ecgId } = await api.screened(tenant, rest)

    const response = await submit(ecgId)

    expect(response.status).toBe(status)
    expect(response.headers.get('content-type')).toBe('application/problem+json')
    expect(await response.json()).toMatchObject({ code, field })
    expect(await queued()).toEqual([])
  })

  it('refuses an ECG that is unscreened, unknown, deleted or another tenant’s', async () => {
    const pending = fileEcgId({ tenant, sha256: 'pending' })
    await api.results.markReceived(tenant, pending, { kind: 'upload' })
    const { ecgId: deleted } = await api.screened(tenant)
    await api.as(tenant, `/v1/ecgs/${deleted}`, { method: 'DELETE' })
    const { ecgId: foreign } = await api.screened('another')
    const ids = [pending, fileEcgId({ tenant, sha256: 'never' }), deleted, foreign, 'no-id']

    const answers = await Promise.all(ids.map((id) => submit(id)))

    const codes = await Promise.all(answers.map(async (answer) => ((await answer.json()) as { code: string }).code))
    expect(answers.map(({ status }) => status)).toEqual([409, 404, 404, 404, 404])
    expect(codes).toEqual(['not-screened', 'not-found', 'not-found', 'not-found', 'not-found'])
  })

  it.each([
    [{ sampler: 'other' }, 'sampler', 'full,distilled'],
    [{ seed: -1 }, 'seed'],
    [{ seed: 2 ** 32 }, 'seed'],
    [{ seed: 0.5 }, 'seed'],
    [{ steps: 8 }, 'body'],
  ])('refuses %j', async (body, field, known?: string) => {
    const { ecgId } = await api.screened(tenant)

    const response = await submit(ecgId, body)

    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ code: 'field-invalid', field, ...(known && { known }) })
  })

  it('refuses a body that is not declared as JSON', async () => {
    const { ecgId } = await api.screened(tenant)

    const response = await api.as(tenant, `/v1/ecgs/${ecgId}/cmr`, { method: 'POST', body: '{"seed":7}' })

    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ code: 'payload-malformed', field: 'body' })
  })

  it('requires the scope cmr:request', async () => {
    const { ecgId } = await api.screened(tenant)

    const response = await submit(ecgId, undefined, tenant, { scope: 'ecg:read ecg:write' })

    expect(response.status).toBe(403)
  })

  it('reports that no bundle with synthesis is installed', async () => {
    const other = await startTestApi({ synthesis: undefined })
    const { ecgId } = await other.screened(tenant)

    const response = await other.as(tenant, `/v1/ecgs/${ecgId}/cmr`, { method: 'POST' })

    expect(response.status).toBe(409)
    expect(await response.json()).toMatchObject({ code: 'synthesis-unavailable' })
    await other.stop()
  })
})

describe('GET /v1/ecgs/{id}/cmr', () => {
  const list = async (ecgId: string, as = tenant, claims = {}) => api.as(as, `/v1/ecgs/${ecgId}/cmr`, {}, claims)

  it('lists the jobs of an ECG, newest first, each as its own route answers', async () => {
    const { ecgId, jobId } = await done()
    const { ecgId: another } = await api.screened(tenant)
    const drawing = { ecgId, version: 1, bundleSha256: 'c'.repeat(64), sampler: 'full' }
    const later = (ms: number) => new Date(Date.now() + ms)
    const second = await api.jobs.submit(tenant, { ...drawing, seed: 1 }, later(2000))
    const first = await api.jobs.submit(tenant, { ...drawing, seed: 2 }, later(1000))
    await api.jobs.begin({ tenant, jobId: second.jobId, worker: 'w1' }, ecgId, later(3000))

    const response = await list(ecgId)

    const each = [second.jobId, first.jobId, jobId].map((id) => api.as(tenant, `/v1/cmr/${id}`))
    const told = await Promise.all((await Promise.all(each)).map(jobOf))
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({ items: told })
    expect(told.map(({ status }) => status)).toEqual(['running', 'queued', 'done'])
    expect(await (await list(another)).json()).toEqual({ items: [] })
  })

  it('lists at most a hundred, and those are the newest', async () => {
    const { ecgId } = await api.screened(tenant)
    const drawing = { ecgId, version: 1, bundleSha256: 'c'.repeat(64), sampler: 'full' }
    const seeds = Array.from({ length: 103 }, (_, i) => i)
    const at = Date.now()
    await Promise.all(seeds.map((seed) => api.jobs.submit(tenant, { ...drawing, seed }, new Date(at + seed))))

    const { items } = (await (await list(ecgId)).json()) as { items: readonly { seed: number }[] }

    expect(items.map(({ seed }) => seed)).toEqual(seeds.slice(3).reverse())
  })

  it('answers 304 while nothing changed', async () => {
    const { ecgId } = await done()
    const tag = (await list(ecgId)).headers.get('etag')!

    const again = await api.as(tenant, `/v1/ecgs/${ecgId}/cmr`, { headers: { 'if-none-match': tag } })

    expect(again.status).toBe(304)
  })

  it('is empty for an ECG that is on its way, and unknown for one that never came, was deleted or is another tenant’s', async () => {
    const pending = fileEcgId({ tenant, sha256: 'pending' })
    await api.results.markReceived(tenant, pending, { kind: 'upload' })
    const { ecgId: deleted } = await done()
    await api.as(tenant, `/v1/ecgs/${deleted}`, { method: 'DELETE' })
    const { ecgId: own } = await done()
    const never = fileEcgId({ tenant, sha256: 'never' })

    const onItsWay = await list(pending)
    const unknown = await Promise.all([list(never), list(deleted), list('no-id'), list(own, 'another')])

    expect(await onItsWay.json()).toEqual({ items: [] })
    expect(unknown.map(({ status }) => status)).toEqual([404, 404, 404, 404])
  })

  it('requires the scope ecg:read', async () => {
    const { ecgId } = await api.screened(tenant)

    expect((await list(ecgId, tenant, { scope: 'cmr:request' })).status).toBe(403)
  })
})

describe('/v1/cmr/{jobId}', () => {
  it('reports the progress of a job, and nothing to another tenant', async () => {
    const { ecgId } = await api.screened(tenant)
    const { jobId } = await jobOf(await submit(ecgId))
    const mine = { tenant, jobId: parseCmrJobId(jobId)!, worker: 'w1' }
    await api.jobs.begin(mine, ecgId, new Date())
    await api.jobs.progress(mine, ecgId, { step: 3, steps: 8 }, new Date())

    const own = await api.as(tenant, `/v1/cmr/${jobId}`)
    const foreign = await Promise.all([
      api.as('another', `/v1/cmr/${jobId}`),
      api.as('another', `/v1/cmr/${jobId}`, { method: 'DELETE' }),
      api.as('another', `/v1/cmr/${jobId}/artifacts/sax.dcm`),
      api.as(tenant, '/v1/cmr/no-id'),
    ])

    expect(await own.json()).toMatchObject({ jobId, ecgId, status: 'running', step: 3, steps: 8 })
    expect(own.headers.get('etag')).toBeTruthy()
    expect(foreign.map(({ status }) => status)).toEqual([404, 404, 404, 404])
    await queued()
  })

  it('reports why a job failed', async () => {
    const { ecgId } = await api.screened(tenant)
    const { jobId } = await jobOf(await submit(ecgId))
    const mine = { tenant, jobId: parseCmrJobId(jobId)!, worker: 'w1' }
    await api.jobs.begin(mine, ecgId, new Date())
    await api.jobs.finish(mine, ecgId, { reason: 'provider-inactive', field: 'EXECUTION_PROVIDER' }, new Date())

    const response = await api.as(tenant, `/v1/cmr/${jobId}`)

    const reason = { reason: 'provider-inactive', field: 'EXECUTION_PROVIDER' }
    expect(await response.json()).toMatchObject({ status: 'failed', ...reason })
    await queued()
  })

  it('cancels a job and its batch job, and has no effect afterwards', async () => {
    const { ecgId } = await api.screened(tenant)
    const { jobId } = await jobOf(await submit(ecgId))
    const job = await api.jobs.get(tenant, parseCmrJobId(jobId)!)
    await api.jobs.dispatched((await api.jobs.claimDispatch(job!, new Date()))!, 'batch-1')
    await queued()

    const cancelled = await api.as(tenant, `/v1/cmr/${jobId}`, { method: 'DELETE' })
    const again = await api.as(tenant, `/v1/cmr/${jobId}`, { method: 'DELETE' })

    expect(await jobOf(cancelled)).toMatchObject({ status: 'cancelled' })
    expect(await jobOf(again)).toMatchObject({ status: 'cancelled' })
    expect(await queued()).toEqual([{ schema: 1, kind: 'cancel', tenant, jobId, batchJobId: 'batch-1' }])
  })

  it('serves artifacts with their content type and an ETag', async () => {
    const { jobId, entry } = await done()
    const { artifacts } = await jobOf(await api.as(tenant, `/v1/cmr/${jobId}`))

    const artifact = await api.as(tenant, artifacts![0]!.href)
    const tag = artifact.headers.get('etag')!
    const known = await api.as(tenant, artifacts![0]!.href, { headers: { 'if-none-match': tag } })
    const unknown = await api.as(tenant, `/v1/cmr/${jobId}/artifacts/..%2Fother`)

    expect(artifacts).toEqual([{ ...entry, href: `/v1/cmr/${jobId}/artifacts/sax.dcm` }])
    expect(artifact.headers.get('content-type')).toBe('application/dicom')
    expect(await artifact.text()).toBe('DICM')
    expect(known.status).toBe(304)
    expect(unknown.status).toBe(404)
  })
})

describe('DELETE /v1/ecgs/{id} with synthesis jobs', () => {
  it('removes the jobs and their artifacts', async () => {
    const { ecgId, jobId } = await done()

    const response = await api.as(tenant, `/v1/ecgs/${ecgId}`, { method: 'DELETE' })

    const gone = await Promise.all([
      api.as(tenant, `/v1/cmr/${jobId}`),
      api.as(tenant, `/v1/cmr/${jobId}/artifacts/sax.dcm`),
    ])
    expect(response.status).toBe(204)
    expect(gone.map(({ status }) => status)).toEqual([404, 404])
  })

  it('hides the ECG at once and then removes any number of artifacts', async () => {
    const { next: position } = (await (await api.as(tenant, '/v1/events')).json()) as { next: string }
    const { ecgId, jobId } = await done()
    const device = 'd1'
    await putObject(api.s3, BUCKET, waveformKey('raw', tenant, ecgId), encodeWaveform(syntheticRecording()))
    await api.associations.markUnidentified(tenant, {
      device,
      at: new Date(),
      ecgId,
      origin: { kind: 'upload', device },
    })
    const drawing = { ecgId, version: 1, bundleSha256: 'c'.repeat(64), sampler: 'full' }
    // More than one page of them.
    const seeds = Array.from({ length: 30 }, (_, i) => i + 1)
    await Promise.all(seeds.map((seed) => api.jobs.submit(tenant, { ...drawing, seed }, new Date())))
    const one = ['', '/waveform'].map((part) => `/v1/ecgs/${ecgId}${part}`)
    const paths = [...one, `/v1/cmr/${jobId}`, `/v1/cmr/${jobId}/artifacts/sax.dcm`]
    const lists = ['/v1/ecgs', '/v1/unidentified', `/v1/events?after=${position}`]
    const ask = (all: readonly string[]) => Promise.all(all.map((path) => api.as(tenant, path)))
    const before = await ask([...paths, ...lists])

    const response = await api.as(tenant, `/v1/ecgs/${ecgId}`, { method: 'DELETE' })

    expect(response.status).toBe(204)
    expect(before.map(({ status }) => status)).toEqual(Array(7).fill(200))
    // Nothing was removed yet.
    expect(await api.results.hasRows(tenant, ecgId)).toBe(true)
    expect((await ask(paths)).map(({ status }) => status)).toEqual([404, 404, 404, 404])
    for (const list of await ask(lists)) expect(await list.text()).not.toContain(ecgId)
    expect((await submit(ecgId)).status).toBe(404)
    await api.upkeep()
    expect(await api.results.hasRows(tenant, ecgId)).toBe(false)
    expect(await api.jobs.ofEcg(tenant, ecgId)).toEqual([])
    expect(await hasEcgObjects(api.s3, BUCKET, tenant, ecgId)).toBe(false)
    await queued()
  }, 120_000)

  it('cancels a running job', async () => {
    const { ecgId } = await api.screened(tenant)
    const { jobId } = await jobOf(await submit(ecgId))
    const job = await api.jobs.get(tenant, parseCmrJobId(jobId)!)
    await api.jobs.dispatched((await api.jobs.claimDispatch(job!, new Date()))!, 'batch-1')
    const mine = { tenant, jobId: job!.jobId, worker: 'w1' }
    await api.jobs.begin(mine, ecgId, new Date())
    await queued()

    await api.as(tenant, `/v1/ecgs/${ecgId}`, { method: 'DELETE' })
    await api.upkeep()

    expect(await queued()).toEqual([{ schema: 1, kind: 'cancel', tenant, jobId, batchJobId: 'batch-1' }])
    expect(await api.jobs.progress(mine, ecgId, { step: 1, steps: 8 }, new Date())).toBe(false)
  })
})

describe('GET /v1/events', () => {
  it('streams job states beside results, and resumes from a position', async () => {
    const before = await api.as(tenant, '/v1/events')
    const { next } = (await before.json()) as { next: string }
    const { ecgId } = await api.screened(tenant)
    const { jobId } = await jobOf(await submit(ecgId))

    const page = (await (await api.as(tenant, `/v1/events?after=${next}`)).json()) as { next: string }
    const stream = await api.as(tenant, '/v1/events', {
      headers: { accept: 'text/event-stream', 'last-event-id': page.next },
    })
    const telling = readEvents(stream, 1)
    await api.jobs.begin({ tenant, jobId: parseCmrJobId(jobId)!, worker: 'w1' }, ecgId, new Date())
    const [told] = await telling

    expect(page).toMatchObject({ items: [{ ecgId }], cmr: [{ jobId, ecgId, status: 'queued' }] })
    expect(told).toMatchObject({ event: 'cmr', data: { jobId, ecgId, status: 'running' } })
    await queued()
  })
})
