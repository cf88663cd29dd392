import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ApiLimits, FRONT_HEADER } from '../../../shared/config/deployment.ts'
import { startTestApi, type TestApi } from './helpers.ts'

let api: TestApi
let tenant: string
let tenants = 0
const reached: string[] = []
const share = { tenant: 3, subject: 2 }

beforeAll(async () => {
  api = await startTestApi({
    apiLimits: ApiLimits.parse({
      cinesPerDay: share,
      streams: share,
      uploadsPerMinute: share,
      associationsPerMinute: share,
      attributionsPerMinute: share,
    }),
    onLimit: (limit) => reached.push(limit),
  })
})
afterAll(() => api.stop())
beforeEach(() => {
  tenant = `clinic${++tenants}`
  reached.length = 0
})

const json = { 'content-type': 'application/json' }

/** The n-th request of a kind; each is another. */
const REQUESTS: Readonly<Record<string, (n: number, sub: string) => Promise<Response>>> = {
  uploadsPerMinute: (_, sub) => api.as(tenant, '/v1/ecgs', { method: 'POST', body: 'no ECG' }, { sub }),
  associationsPerMinute: (n, sub) => {
    const body = JSON.stringify({ patient: 'Patient/1', from: '2026-01-02T00:00:00Z' })
    return api.as(tenant, `/v1/devices/d${n}/association`, { method: 'PUT', headers: json, body }, { sub })
  },
  cinesPerDay: async (n, sub) => {
    const { ecgId } = await api.screened(tenant)
    const body = JSON.stringify({ seed: n })
    return api.as(tenant, `/v1/ecgs/${ecgId}/cmr`, { method: 'POST', headers: json, body }, { sub })
  },
  attributionsPerMinute: async (_, sub) => {
    const { ecgId } = await api.screened(tenant)
    return api.as(tenant, `/v1/ecgs/${ecgId}/attribution`, { method: 'POST' }, { sub })
  },
  streams: (_, sub) => api.as(tenant, '/v1/events', { headers: { accept: 'text/event-stream' } }, { sub }),
}

describe.each(Object.keys(REQUESTS))('the limit %s', (limit) => {
  it('applies to each caller and each tenant, and causes 429 with Retry-After', async () => {
    const asked: Response[] = []
    for (const sub of ['jane', 'jane', 'jane', 'joe', 'joe']) asked.push(await REQUESTS[limit]!(asked.length, sub))
    const elsewhere = await inAnotherTenant(() => REQUESTS[limit]!(9, 'jane'))

    // Two for Jane, and for Joe what she left of the tenant's three.
    expect(asked.map(({ status }) => status === 429)).toEqual([false, false, true, false, true])
    expect(elsewhere.status).not.toBe(429)
    const refused = asked[2]!
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    expect(refused.headers.get('content-type')).toBe('application/problem+json')
    expect(await refused.json()).toMatchObject({ code: 'limit-exceeded', field: limit, status: 429 })
    expect(reached).toEqual([limit, limit])
    for (const { body } of [...asked, elsewhere]) await body?.cancel().catch(() => {})
  })
})

async function inAnotherTenant(ask: () => Promise<Response>): Promise<Response> {
  tenant = `clinic${++tenants}`
  return ask()
}

it('a repeated request for the same drawing does not count towards the limit', async () => {
  const { ecgId } = await api.screened(tenant)
  const ask = () => api.as(tenant, `/v1/ecgs/${ecgId}/cmr`, { method: 'POST' })

  const statuses = []
  for (let i = 0; i < 5; i++) statuses.push((await ask()).status)

  expect(statuses).toEqual(Array(5).fill(202))
})

it('a stream’s slot is freed when the reader disconnects', async () => {
  const open = () => api.as(tenant, '/v1/events', { headers: { accept: 'text/event-stream' } })
  const streams = [await open(), await open()]
  expect((await open()).status).toBe(429)

  await streams[0]!.body!.cancel()

  let next = await open()
  // It is given back when the stream notices.
  while (next.status === 429) next = await open()
  expect(next.status).toBe(200)
  for (const { body } of [streams[1]!, next]) await body?.cancel()
})

describe('the API behind CloudFront', () => {
  it('refuses requests that bypass CloudFront, even with a valid token', async () => {
    const behind = await startTestApi({ front: 'secret' })
    try {
      const asked = async (headers: Record<string, string>) => [
        (await behind.as('clinic', '/v1/ecgs', { headers })).status,
        (await behind.app.request('/healthz', { headers })).status,
      ]

      expect(await asked({})).toEqual([403, 403])
      expect(await asked({ [FRONT_HEADER]: 'guess' })).toEqual([403, 403])
      expect(await asked({ [FRONT_HEADER]: 'secret' })).toEqual([200, 200])
    } finally {
      await behind.stop()
    }
  })
})
