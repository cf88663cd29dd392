import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { startTestApi, type TestApi } from './helpers.ts'

let api: TestApi
let answers: (readonly [number, string | undefined])[]

beforeAll(async () => {
  api = await startTestApi({ onAnswer: (status, refusal) => answers.push([status, refusal]) })
})
afterAll(() => api.stop())
beforeEach(() => {
  answers = []
})

it.each([
  ['that succeeds', () => api.as('clinic', '/v1/ecgs'), 200, undefined],
  ['without a token', () => api.app.request('/v1/ecgs'), 401, 'token-missing'],
  ['without the scope', () => api.as('clinic', '/v1/ecgs', {}, { scope: 'ecg:write' }), 403, 'scope-missing'],
  ['with an invalid field', () => api.as('clinic', '/v1/ecgs?limit=0'), 400, 'field-invalid'],
  ['to an unknown path', () => api.as('clinic', '/v1/nowhere'), 404, 'not-found'],
] as const)('a request %s is counted once, with its refusal code', async (_, ask, status, refusal) => {
  await ask()

  expect(answers).toEqual([[status, refusal]])
})

it('an answer continues the caller’s trace and returns its ID', async () => {
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
  const headers = { traceparent: `00-${traceId}-00f067aa0ba902b7-00` }

  const response = await api.as('clinic', '/v1/ecgs', { headers })
  const other = await api.app.request('/v1/nowhere')

  expect(response.headers.get('traceparent')).toMatch(new RegExp(`^00-${traceId}-(?!00f067aa0ba902b7)[0-9a-f]{16}-00$`))
  expect(other.headers.get('traceparent')).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
})
