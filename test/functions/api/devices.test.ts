import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { parseMessage, ResultMessage } from '../../../shared/messages.ts'
import { answerOf, startTestApi, type TestApi } from './helpers.ts'

let api: TestApi
let device = 'd0'
let count = 0
beforeAll(async () => {
  api = await startTestApi()
})
afterAll(() => api.stop())
beforeEach(async () => {
  device = `d${++count}`
  await api.receive(api.reportUrl)
})

const associate = (body: unknown, tenant = 'clinic') =>
  api.as(tenant, `/v1/devices/${device}/association`, {
    method: 'PUT',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    headers: { 'content-type': 'application/json' },
  })

/** A result of the device that waits for its patient. */
async function wait(day: number, tenant = 'clinic') {
  const origin = { kind: 'mqtt' as const, device, session: 's' }
  const startedAt = `2026-01-0${day}T00:00:00.000Z`
  const { ecgId, result } = await api.screened(
    tenant,
    { span: { startedAt, firstSample: 0, durationMs: 10_000 } },
    origin,
  )
  await api.associations.patientOrWait(tenant, { device, at: new Date(startedAt), ecgId, origin })
  return { ecgId, json: JSON.stringify(result), origin, at: startedAt }
}

describe('PUT /v1/devices/{id}/association', () => {
  it('associates the device with a patient and releases waiting reports', async () => {
    const [before, within, after] = [await wait(1), await wait(2), await wait(3)]

    const response = await associate({
      patient: 'Patient/1',
      from: '2026-01-02T00:00:00Z',
      to: '2026-01-03T01:00:00+01:00',
    })

    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({ device, patient: 'Patient/1' })
    await api.upkeep()
    const messages = (await api.receive(api.reportUrl)).map(({ Body }) => parseMessage(ResultMessage, Body!))
    expect(messages).toEqual([{ schema: 1, tenant: 'clinic', origin: within.origin, result: within.json }])
    expect(await api.associations.patientOf('clinic', device, new Date(within.at))).toBe('Patient/1')
    for (const { at } of [before, after]) {
      expect(await api.associations.patientOf('clinic', device, new Date(at))).toBeUndefined()
    }
  })

  it('releases no deleted result, and removes it from the list', async () => {
    const { ecgId } = await wait(2)
    await api.results.markDeleted('clinic', ecgId)
    await api.results.removeRows('clinic', ecgId)

    const response = await associate({ patient: 'Patient/1', from: '2026-01-01T00:00:00Z' })

    await api.upkeep()

    expect(response.status).toBe(200)
    expect(await api.receive(api.reportUrl)).toEqual([])
    expect((await api.associations.unidentified('clinic', { limit: 10, device })).items).toEqual([])
  })

  it('refuses an overlapping association without naming the other patient', async () => {
    await associate({ patient: 'Patient/secret', from: '2026-01-01T00:00:00Z' })

    const response = await associate({ patient: 'Patient/2', from: '2026-01-02T00:00:00Z' })

    expect(response.status).toBe(409)
    const text = await response.text()
    expect(JSON.parse(text)).toMatchObject({ code: 'association-overlap' })
    expect(text).not.toContain('secret')
  })

  it('keeps devices of the same name apart per tenant', async () => {
    await associate({ patient: 'Patient/1', from: '2026-01-01T00:00:00Z' })

    const response = await associate({ patient: 'Patient/2', from: '2026-01-01T12:00:00Z' }, 'other')

    expect(response.status).toBe(200)
  })

  it.each([
    ['{', 'payload-malformed', 'body'],
    [{ from: '2026-01-01T00:00:00Z' }, 'field-invalid', 'patient'],
    [{ patient: 'http://evil.example/Patient/1', from: '2026-01-01T00:00:00Z' }, 'field-invalid', 'patient'],
    [{ patient: 'Patient/1', from: 'today' }, 'field-invalid', 'from'],
    [{ patient: 'Patient/1', from: '2026-01-02T00:00:00Z', to: '2026-01-01T00:00:00Z' }, 'field-invalid', 'to'],
    [{ patient: 'Patient/1', from: '2026-01-02T00:00:00Z', until: 'later' }, 'field-invalid', 'body'],
  ])('refuses %j', async (body, code, field) => {
    const response = await associate(body)

    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ code, field })
  })
})

describe('GET /v1/unidentified', () => {
  it('lists the tenant’s waiting results page by page', async () => {
    const tenant = `unidentified-${device}`
    const waiting = [await wait(1, tenant), await wait(2, tenant), await wait(3, tenant)]

    const first = await answerOf(await api.as(tenant, '/v1/unidentified?limit=2'))
    const second = await answerOf(await api.as(tenant, `/v1/unidentified?limit=2&after=${first.next}`))
    const others = await answerOf(await api.as('nobody', '/v1/unidentified'))

    const shown = [...first.items, ...second.items]
    expect(shown).toEqual(waiting.map(({ ecgId, at }) => ({ device, at, ecgId })))
    expect(others).toEqual({ items: [] })
  })

  it('answers 400 to an invalid cursor', async () => {
    const response = await api.as('clinic', '/v1/unidentified?after=x')

    expect(response.status).toBe(400)
  })
})
