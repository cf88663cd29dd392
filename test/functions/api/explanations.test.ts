import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { SHIPPED_BUNDLE } from '../../../shared/inference/active-bundle.ts'
import { bundleOf } from '../../../shared/inference/bundle.ts'
import { CARDIACNETS_V1 } from '../../../shared/signal/profile.ts'
import { storedEcg } from '../../helpers/stored-ecg.ts'
import { startTestApi, type TestApi } from './helpers.ts'

let api: TestApi
let tenant: string
let tenants = 0
const { sha256: modelSha256 } = bundleOf(SHIPPED_BUNDLE, CARDIACNETS_V1.name)

beforeAll(async () => {
  api = await startTestApi()
})
afterAll(() => api.stop())
beforeEach(() => {
  tenant = `clinic${++tenants}`
})

const ask = (ecgId: string) => api.as(tenant, `/v1/ecgs/${ecgId}/attribution`, { method: 'POST' })
const read = (ecgId: string) => api.as(tenant, `/v1/ecgs/${ecgId}/attribution`)

it('an attribution is computed once, on the first request', { timeout: 60_000 }, async () => {
  const { ecgId } = await storedEcg(api, tenant, { provenance: { modelSha256 } })

  const before = await read(ecgId)
  const asked = [await ask(ecgId), await ask(ecgId)]
  const waiting = await read(ecgId)
  const messages = await api.upkeep()
  const done = await read(ecgId)
  const again = await ask(ecgId)

  expect(before.status).toBe(404)
  expect(asked.map(({ status }) => status)).toEqual([202, 202])
  expect(waiting.status).toBe(202)
  expect(waiting.headers.get('retry-after')).toBe('1')
  expect(messages).toBe(1)
  expect(done.status).toBe(200)
  const answer = (await done.json()) as { conditions: { condition: string; leads: { changes: number[] }[] }[] }
  expect(answer).toMatchObject({ ecgId, version: 1, modelSha256, method: 'occlusion-v1', fromS: 0, stretchMs: 500 })
  expect(answer.conditions.map(({ condition }) => condition)).toEqual(['cad', 'cm', 'pericarditis', 'hf', 'ph'])
  expect(answer.conditions[0]!.leads[0]!.changes).toHaveLength(20)
  expect(again.status).toBe(200)
  expect(await again.json()).toEqual(answer)
})

it('an attribution is deleted with its ECG', { timeout: 60_000 }, async () => {
  const { ecgId, result } = await storedEcg(api, tenant, { provenance: { modelSha256 } })
  await ask(ecgId)
  await api.upkeep()

  await api.as(tenant, `/v1/ecgs/${ecgId}`, { method: 'DELETE' })
  await api.upkeep()

  expect((await read(ecgId)).status).toBe(404)
  expect(await api.attributions.get(tenant, result, new Date())).toBeUndefined()
})

it('an attribution is not stored when the ECG is deleted during the computation', async () => {
  const { ecgId, result } = await storedEcg(api, tenant)
  await api.attributions.begin(tenant, result, new Date())
  await api.results.markDeleted(tenant, ecgId)

  await api.attributions.end(tenant, result, { reason: 'ecg-refused' }, new Date())

  expect(await api.attributions.get(tenant, result, new Date())).toBeUndefined()
})

it('an attribution is refused when another bundle made the result', async () => {
  const { ecgId } = await storedEcg(api, tenant)

  await ask(ecgId)
  await api.upkeep()

  const answer = await read(ecgId)
  expect(await answer.json()).toMatchObject({ code: 'bundle-mismatch', field: 'attribution' })
})

it('an attribution can be requested again after a request was lost', async () => {
  const { result } = await storedEcg(api, tenant)
  const at = (minutes: number) => new Date(Date.UTC(2026, 0, 1, 0, minutes))

  expect(await api.attributions.begin(tenant, result, at(0))).toBe(true)
  expect(await api.attributions.begin(tenant, result, at(4))).toBe(false)
  expect(await api.attributions.get(tenant, result, at(4))).toEqual({ status: 'pending' })
  expect(await api.attributions.get(tenant, result, at(6))).toBeUndefined()
  expect(await api.attributions.begin(tenant, result, at(6))).toBe(true)
})

it('a refused ECG has no attribution and no model input', async () => {
  const { ecgId } = await api.screened(tenant, { status: 'refused', findings: [], indices: [] })

  const answers = [await ask(ecgId), await read(ecgId), await api.as(tenant, `/v1/ecgs/${ecgId}/model-input`)]

  expect(answers.map(({ status }) => status)).toEqual([422, 422, 422])
})

it('the model input is the window that the network received', async () => {
  const { ecgId, clean } = await storedEcg(api, tenant)

  const response = await api.as(tenant, `/v1/ecgs/${ecgId}/model-input`)

  const { leads, ...rest } = (await response.json()) as { leads: { name: string; samples: number[] }[] }
  expect(rest).toMatchObject({ ecgId, rateHz: 500, fromS: 0, steps: 4095, profile: CARDIACNETS_V1.name })
  expect(leads.map(({ name }) => name)[0]).toBe('I')
  expect(leads[0]!.samples).toEqual(Array.from(clean.codes.subarray(0, 5000)))
})
