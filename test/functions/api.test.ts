import { describe, expect, it } from 'vitest'
import { createApi } from '../../functions/api/app.ts'
import type { Page } from '../../shared/aws/result-store.ts'
import { type EcgId, streamEcgId } from '../../shared/domain/ecg-id.ts'
import { CodedError } from '../../shared/errors.ts'

const ecgId = streamEcgId({ tenant: 'clinic', source: 'mqtt', device: 'd', session: 's', firstSample: 0 })
const stored = '{"ecgId":"…","status":"screened"}'

function api(overrides: Partial<Parameters<typeof createApi>[0]['results']> = {}) {
  const page: Page = { items: [{ ecgId, startedAt: '2026-01-02T03:04:05.000Z', status: 'screened', flagged: ['cad'] }] }
  return createApi({
    tenant: 'clinic',
    results: {
      latest: async (tenant: string, id: EcgId) => (tenant === 'clinic' && id === ecgId ? stored : undefined),
      list: async () => page,
      ...overrides,
    },
  })
}

describe('GET /v1/ecgs/{id}', () => {
  it('answers with the stored result, letter for letter', async () => {
    const response = await api().request(`/v1/ecgs/${ecgId}`)

    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toContain('application/json')
    expect(await response.text()).toBe(stored)
  })

  it.each(['nonsense', '00000000-0000-5000-8000-000000000000', '..%2F..%2Fetc'])('answers 404 for %s', async (id) => {
    const response = await api().request(`/v1/ecgs/${id}`)

    expect(response.status).toBe(404)
    expect(response.headers.get('content-type')).toContain('application/problem+json')
    expect(await response.json()).toMatchObject({ code: 'not-found', status: 404 })
  })
})

describe('GET /v1/ecgs', () => {
  it('lists', async () => {
    const response = await api().request('/v1/ecgs?limit=1')

    expect(await response.json()).toMatchObject({ items: [{ ecgId, flagged: ['cad'] }] })
  })

  it.each(['limit=0', 'limit=101', 'limit=x'])('answers 400 naming the field for %s', async (query) => {
    const response = await api().request(`/v1/ecgs?${query}`)

    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ code: 'field-invalid', field: 'limit' })
  })

  it('answers 400 for a cursor that the store refuses', async () => {
    const list = async () => {
      throw new CodedError('field-invalid', { field: 'after' })
    }

    const response = await api({ list }).request('/v1/ecgs?after=x')

    expect(response.status).toBe(400)
  })

  it('hides what went wrong inside, and reports it without its text', async () => {
    const reported: unknown[] = []
    const app = createApi({
      tenant: 'clinic',
      results: {
        latest: async () => undefined,
        list: async () => {
          throw new Error('patient 4711 at 10.0.0.1')
        },
      },
      onError: (description) => reported.push(description),
    })

    const response = await app.request('/v1/ecgs')

    expect(response.status).toBe(500)
    expect(`${await response.text()}${JSON.stringify(reported)}`).not.toContain('4711')
    expect(reported).toEqual([{ code: 'internal', cause: 'Error' }])
  })
})

describe('GET /healthz', () => {
  it('says ok and what this is not', async () => {
    const response = await api().request('/healthz')

    expect(await response.json()).toMatchObject({
      status: 'ok',
      notice: expect.stringContaining('Not a medical device'),
    })
  })
})
