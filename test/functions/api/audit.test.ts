import { OpenAPIHono } from '@hono/zod-openapi'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { createEventsApi } from '../../../functions/api/app.ts'
import { ROUTE_ACTIONS } from '../../../functions/api/audit.ts'
import { type EcgId, fileEcgId } from '../../../shared/domain/ecg-id.ts'
import { CodedError } from '../../../shared/errors.ts'
import type { AuditEntry } from '../../../shared/observe/audit.ts'
import { AUDIT_ACTIONS } from '../../../shared/observe/audit-actions.ts'
import { writeWaveform } from '../../helpers/dicom-writer.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'
import { storedEcg } from '../../helpers/stored-ecg.ts'
import { answerOf, readEvents, startTestApi, type TestApi } from './helpers.ts'

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

async function entries(of = tenant): Promise<AuditEntry[]> {
  return all(api.audit.entries({ tenant: of, since: new Date(Date.now() - 60_000), until: new Date() }))
}

async function all<T>(from: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of from) items.push(item)
  return items
}

const json = { 'content-type': 'application/json' }
const association = JSON.stringify({ patient: 'Patient/123', from: '2026-01-02T00:00:00Z' })

/** Each route with a request that it answers. */
const REQUESTS: Readonly<Record<string, (ids: { ecgId: EcgId; jobId: string }) => [string, RequestInit?]>> = {
  'POST /v1/ecgs': () => ['/v1/ecgs', { method: 'POST', body: Uint8Array.from(ecgFile()) }],
  'GET /v1/ecgs': () => ['/v1/ecgs'],
  'GET /v1/ecgs/:id': ({ ecgId }) => [`/v1/ecgs/${ecgId}`],
  'GET /v1/ecgs/:id/waveform': ({ ecgId }) => [`/v1/ecgs/${ecgId}/waveform`],
  'GET /v1/ecgs/:id/subject': ({ ecgId }) => [`/v1/ecgs/${ecgId}/subject`],
  'GET /v1/ecgs/:id/model-input': ({ ecgId }) => [`/v1/ecgs/${ecgId}/model-input`],
  'POST /v1/ecgs/:id/attribution': ({ ecgId }) => [`/v1/ecgs/${ecgId}/attribution`, { method: 'POST' }],
  'GET /v1/ecgs/:id/attribution': ({ ecgId }) => [`/v1/ecgs/${ecgId}/attribution`],
  'DELETE /v1/ecgs/:id': ({ ecgId }) => [`/v1/ecgs/${ecgId}`, { method: 'DELETE' }],
  'POST /v1/ecgs/:id/cmr': ({ ecgId }) => [`/v1/ecgs/${ecgId}/cmr`, { method: 'POST' }],
  'GET /v1/ecgs/:id/cmr': ({ ecgId }) => [`/v1/ecgs/${ecgId}/cmr`],
  'GET /v1/cmr/:id': ({ jobId }) => [`/v1/cmr/${jobId}`],
  'DELETE /v1/cmr/:id': ({ jobId }) => [`/v1/cmr/${jobId}`, { method: 'DELETE' }],
  'GET /v1/cmr/:id/artifacts/:name': ({ jobId }) => [`/v1/cmr/${jobId}/artifacts/sax.webp`],
  'PUT /v1/devices/:id/association': () => [
    '/v1/devices/d1/association',
    { method: 'PUT', headers: json, body: association },
  ],
  'GET /v1/unidentified': () => ['/v1/unidentified'],
  'GET /v1/operations': () => ['/v1/operations'],
  'POST /v1/operations/redrive': () => [
    '/v1/operations/redrive',
    { method: 'POST', headers: json, body: JSON.stringify({ queue: 'intake' }) },
  ],
  'GET /v1/events': () => ['/v1/events?after=00000000.~00000000.'],
}

/** Routes that change existing data. */
const CHANGING = [
  'DELETE /v1/ecgs/:id',
  'DELETE /v1/cmr/:id',
  'PUT /v1/devices/:id/association',
  'POST /v1/operations/redrive',
]

const pick = ({ tenant, action, subject, jobId, device, traceId }: AuditEntry) => ({
  tenant,
  action,
  subject,
  traceId,
  ...(jobId === undefined ? {} : { jobId }),
  ...(device === undefined ? {} : { device }),
})

const ecgFile = () => writeWaveform(syntheticRecording({ seconds: 0.4, rateHz: 250, gainUv: 5 })).bytes

/** An ECG of the tenant with its samples, a job, and a question why its scores are what they are. */
async function anEcg() {
  const { ecgId, result } = await storedEcg(api, tenant)
  await api.attributions.begin(tenant, result, new Date())
  const drawing = { ecgId, version: 1, bundleSha256: 'c'.repeat(64), seed: 3, sampler: 'full' }
  return { ecgId, jobId: (await api.jobs.submit(tenant, drawing, new Date())).jobId }
}

describe('every route of the API', () => {
  const routes = Object.keys(ROUTE_ACTIONS)

  it('is known to the audit trail', () => {
    const known = (method: string, path: string) => `${method} ${path.replace(/:jobId/, ':id')}`
    const served = api.app.routes
      .filter(({ path, method }) => path.startsWith('/v1/') && !path.includes('*') && method !== 'ALL')
      .map(({ method, path }) => known(method, path))

    expect([...new Set(served)].sort()).toEqual([...routes].sort())
    expect(Object.keys(REQUESTS).sort()).toEqual([...routes].sort())
  })

  it('is under /v1, except these without ECG data', () => {
    const others = api.app.routes
      .map(({ path }) => path)
      .filter((path) => !path.startsWith('/v1/') && !path.includes('*'))

    expect([...new Set(others)].sort()).toEqual(['/', '/console.json', '/healthz', '/openapi.json'])
  })

  it.each(routes)('leaves an audit entry: %s', async (route) => {
    const ids = await anEcg()
    const [path, init] = REQUESTS[route]!(ids)

    const response = await api.as(tenant, path, {
      ...init,
      headers: { ...init?.headers, traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` },
    })

    const all = await entries()
    const entry = all.at(-1)
    // A change of existing data is also recorded before it starts.
    expect(all.map(({ outcome }) => outcome).slice(0, -1)).toEqual(CHANGING.includes(route) ? ['begun'] : [])
    for (const begun of all.slice(0, -1)) expect(begun).toMatchObject({ ...pick(entry!), outcome: 'begun' })
    expect(entry).toMatchObject({ tenant, subject: 'jane', action: ROUTE_ACTIONS[route], traceId: 'a'.repeat(32) })
    // There is no such artifact, but the request is recorded all the same.
    expect(entry!.outcome).toBe(route.includes('artifacts') ? 'not-found' : 'done')
    expect(response.ok).toBe(entry!.outcome === 'done')
    if (route === 'POST /v1/ecgs') expect(entry!.ecgIds).toEqual([(await answerOf(response)).ecgId])
    else if (!/devices|unidentified|operations/.test(route)) expect(entry!.ecgIds).toEqual([ids.ecgId])
    if (path.includes(ids.jobId)) expect(entry!.jobId).toBe(ids.jobId)
    if (route.includes('devices')) expect(entry!.device).toBe('d1')
    expect(JSON.stringify(entry)).not.toContain('Patient/')
  })

  it.each(routes)('leaves an audit entry when the scope is missing: %s', async (route) => {
    const ids = await anEcg()
    const [path, init = {}] = REQUESTS[route]!(ids)

    const response = await api.as(tenant, path, init, { scope: 'other' })

    expect(response.status).toBe(403)
    const [entry] = (await entries()).filter(({ outcome }) => outcome !== 'begun')
    expect(entry).toMatchObject({ action: ROUTE_ACTIONS[route], outcome: 'scope-missing', subject: 'jane' })
    // The id of an ECG has the form of a job's.
    expect(entry!.jobId).toBe(path.includes(ids.jobId) ? ids.jobId : undefined)
  })

  it.each(routes)('answers 503 when its audit entry cannot be stored: %s', async (route) => {
    const ids = await anEcg()
    const broken = vi.spyOn(api.audit, 'append').mockRejectedValue(new Error('no table'))
    onTestFinished(() => broken.mockRestore())

    const response = await api.as(tenant, ...REQUESTS[route]!(ids))

    expect(response.status).toBe(503)
    expect(await response.json()).toMatchObject({ code: 'unavailable', field: 'audit' })
    expect(api.reported.at(-1)).toMatchObject({ action: ROUTE_ACTIONS[route], cause: 'Error' })
  })
})

describe('a change by the API', () => {
  it.each(CHANGING)('is not made when its start cannot be recorded: %s', async (route) => {
    const ids = await anEcg()
    const broken = vi.spyOn(api.audit, 'append').mockRejectedValue(new Error('no table'))
    onTestFinished(() => broken.mockRestore())

    await api.as(tenant, ...REQUESTS[route]!(ids))

    expect(await api.results.latest(tenant, ids.ecgId)).toBeDefined()
    expect(await api.jobs.get(tenant, ids.jobId as never)).toMatchObject({ status: 'queued' })
    expect(await api.associations.patientOf(tenant, 'd1', new Date())).toBeUndefined()
  })

  it('is recorded as begun when its end cannot be recorded', async () => {
    const { ecgId } = await anEcg()
    const append = api.audit.append.bind(api.audit)
    let count = 0
    const breaking = vi.spyOn(api.audit, 'append').mockImplementation(async (entry) => {
      if (++count > 1) throw new Error('no table')
      return append(entry)
    })
    onTestFinished(() => breaking.mockRestore())

    const response = await api.as(tenant, `/v1/ecgs/${ecgId}`, { method: 'DELETE' })

    expect(response.status).toBe(503)
    expect(await entries()).toMatchObject([{ action: 'ecg.delete', outcome: 'begun', ecgIds: [ecgId] }])
  })
})

describe('an audit entry', () => {
  it('is split when it has more ECGs than fit into one item', async () => {
    const ecgIds = Array.from({ length: 12_000 }, (_, i) => fileEcgId({ tenant, sha256: String(i) }))
    const at = new Date()
    const entry = { at, tenant, action: 'unidentified.list', outcome: 'done', subject: 'jane', traceId: 't' } as const

    await api.audit.append({ ...entry, ecgIds })

    const kept = await entries()
    expect(kept.map(({ part }) => part).sort()).toEqual(['1/6', '2/6', '3/6', '4/6', '5/6', '6/6'])
    expect(kept.flatMap((each) => each.ecgIds).sort()).toEqual(ecgIds.toSorted())
  })

  it("records who asked for another tenant's ECG, and that it was not found", async () => {
    const { ecgId } = await anEcg()

    const response = await api.as('other', `/v1/ecgs/${ecgId}`)

    expect(response.status).toBe(404)
    expect(await entries()).toEqual([])
    expect(await entries('other')).toMatchObject([{ outcome: 'not-found', ecgIds: [ecgId], subject: 'jane' }])
  })

  it('is not written for an unauthenticated call, which is only logged', async () => {
    const path = `/v1/ecgs/${fileEcgId({ tenant, sha256: '' })}`

    const responses = [
      await api.app.request(path),
      await api.app.request(path, { headers: { authorization: 'Bearer none' } }),
      await api.as(tenant, path, {}, { sub: undefined }),
      await api.as(tenant, path, {}, { sub: 'a\nb' }),
    ]

    expect(responses.map(({ status }) => status)).toEqual([401, 401, 401, 401])
    expect(api.strangers.slice(-4)).toEqual([
      { action: 'ecg.read', outcome: 'token-missing' },
      ...Array(3).fill({ action: 'ecg.read', outcome: 'token-invalid' }),
    ])
    expect(await entries()).toEqual([])
  })

  it('is written before each batch of a stream is sent, and never for an idle stream', async () => {
    const response = await api.as(tenant, '/v1/events', { headers: { accept: 'text/event-stream' } })
    const reading = readEvents(response, 1)
    const { ecgId } = await api.screened(tenant)

    await reading

    expect(await entries()).toMatchObject([{ action: 'events.read', ecgIds: [ecgId], subject: 'jane' }])
  })

  it('can be found by ECG and by subject', async () => {
    const [one, two] = [await api.screened(tenant), await api.screened(tenant)]
    await api.as(tenant, `/v1/ecgs/${one.ecgId}`)
    await api.as(tenant, `/v1/ecgs/${two.ecgId}`, {}, { sub: 'joe' })
    const since = new Date(Date.now() - 60_000)
    const find = (query: object) => all(api.audit.entries({ tenant, since, until: new Date(), ...query }))

    const [ofOne, ofJoe, before] = [
      await find({ ecgId: one.ecgId }),
      await find({ subject: 'joe' }),
      await find({ until: since }),
    ]

    expect(ofOne).toMatchObject([{ ecgIds: [one.ecgId], subject: 'jane' }])
    expect(ofJoe).toMatchObject([{ ecgIds: [two.ecgId], subject: 'joe' }])
    expect(before).toEqual([])
  })
})

it('the events API has no other route', () => {
  const { audit, list, jobs, results, quotas, apiLimits } = api
  const authenticate = () => Promise.reject(new CodedError('token-missing'))
  const app = createEventsApi({
    audit,
    list,
    jobs,
    results,
    quotas,
    apiLimits,
    authenticate,
    stream: { pollMs: 1, heartbeatMs: 1, maxMs: 1 },
    onStranger: () => {},
    onLost: () => {},
  })

  const paths = app.routes.map(({ path }) => path).filter((path) => !path.includes('*'))

  expect(app).toBeInstanceOf(OpenAPIHono)
  expect([...new Set(paths)]).toEqual(['/v1/events'])
})

it('each audited action of a person belongs to a route or a command', () => {
  const ofFunctions = [
    'waveform.write',
    'result.write',
    'attribution.write',
    'ehr.read',
    'result.report',
    'result.publish',
    'cmr.dispatch',
    'cmr.draw',
  ]

  expect(AUDIT_ACTIONS.filter((action) => !ofFunctions.includes(action)).sort()).toEqual(
    [...Object.values(ROUTE_ACTIONS), 'patient.erase', 'report.withdraw'].sort(),
  )
})
