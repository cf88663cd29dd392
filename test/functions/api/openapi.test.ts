import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { Hono } from 'hono'
import { generateKeyPair } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ERROR_KINDS } from '../../../shared/errors.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'
import { startTestApi, type TestApi } from './helpers.ts'

interface Operation {
  readonly security?: readonly Readonly<Record<string, readonly string[]>>[]
  readonly parameters?: readonly { readonly in: string; readonly name: string; readonly required?: boolean }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, unknown>> }
  readonly responses: Readonly<Record<string, { readonly description: string }>>
}

interface Document {
  readonly openapi: string
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, unknown>>; readonly securitySchemes: object }
}

let api: TestApi
let document: Document
const fhir = new Hono().post('/hook', (c) => c.text('heard'))

beforeAll(async () => {
  api = await startTestApi({ fhir })
  // A value that differs from this type fails a test below.
  document = (await (await api.app.request('/openapi.json')).json()) as Document
})
afterAll(() => api.stop())

const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  )

describe('the OpenAPI document', () => {
  it('describes every route with its scope', () => {
    const described = operations().map(({ path, method, operation }) => [
      `${method} ${path}`,
      operation.security?.[0]?.bearer,
    ])

    expect(Object.fromEntries(described)).toEqual({
      'post /v1/ecgs': ['ecg:write'],
      'get /v1/ecgs': ['ecg:read'],
      'get /v1/ecgs/{id}': ['ecg:read'],
      'get /v1/ecgs/{id}/waveform': ['ecg:read'],
      'get /v1/ecgs/{id}/subject': ['ecg:read'],
      'get /v1/ecgs/{id}/model-input': ['ecg:read'],
      'post /v1/ecgs/{id}/attribution': ['ecg:read'],
      'get /v1/ecgs/{id}/attribution': ['ecg:read'],
      'delete /v1/ecgs/{id}': ['ecg:write'],
      'post /v1/ecgs/{id}/cmr': ['cmr:request'],
      'get /v1/ecgs/{id}/cmr': ['ecg:read'],
      'get /v1/cmr/{jobId}': ['ecg:read'],
      'delete /v1/cmr/{jobId}': ['cmr:request'],
      'get /v1/cmr/{jobId}/artifacts/{name}': ['ecg:read'],
      'put /v1/devices/{id}/association': ['ecg:write'],
      'get /v1/unidentified': ['ecg:read'],
      'get /v1/operations': ['ops:read'],
      'post /v1/operations/redrive': ['ops:write'],
      'get /v1/events': ['ecg:read'],
    })
  })

  it('is valid OpenAPI 3.1: declared parameters, resolved references, described responses', () => {
    expect(document.openapi).toBe('3.1.0')
    expect(document.components.securitySchemes).toHaveProperty('bearer')
    for (const { path, operation } of operations()) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
      const declared = operation.parameters?.filter((parameter) => parameter.in === 'path') ?? []
      expect(declared.map(({ name, required }) => [name, required])).toEqual(inPath.map((name) => [name, true]))
      expect(Object.keys(operation.responses).length).toBeGreaterThan(1)
      for (const { description } of Object.values(operation.responses)) expect(description).not.toBe('')
    }
    for (const [, name] of JSON.stringify(document).matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
      expect(document.components.schemas).toHaveProperty(name!)
    }
  })

  it('documents every status that hostile requests cause', async () => {
    const texts = ['', 'x', '0', '-1', '%00', '..%2F', 'null', '9'.repeat(40)]
    for (const { path, method, operation } of operations()) {
      for (const text of texts) {
        const query = (operation.parameters ?? []).filter(({ in: where }) => where === 'query')
        const asked = query.map(({ name }) => `${name}=${text}`).join('&')
        const hasBody = operation.requestBody !== undefined
        const response = await api.as('fuzz', `${path.replace('{id}', text || 'id')}?${asked}`, {
          method: method.toUpperCase(),
          ...(hasBody ? { body: text, headers: { 'content-type': 'application/json' } } : {}),
        })
        const promised = Object.keys(operation.responses)
        const kind = `${Math.floor(response.status / 100)}XX`
        expect(
          promised.includes(String(response.status)) || promised.includes(kind),
          `${method} ${path} ${text} → ${response.status}`,
        ).toBe(true)
        expect(response.status, `${method} ${path} ${text}`).toBeLessThan(500)
        if (response.status >= 400) expect(response.headers.get('content-type')).toBe('application/problem+json')
        await response.body?.cancel()
      }
    }
    expect(api.reported).toEqual([])
  })
})

describe('unauthenticated access', () => {
  it.each(['/healthz', '/openapi.json'])('is possible to %s', async (path) => {
    const response = await api.app.request(path)

    expect(response.status).toBe(200)
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'")
  })

  it('is possible to the EHR’s endpoint, which has its own secret', async () => {
    const response = await api.app.request('/fhir/hook', { method: 'POST' })

    expect(await response.text()).toBe('heard')
  })

  it('is impossible to anything else', async () => {
    const { privateKey } = await generateKeyPair('ES256')
    const response = await api.app.request('/v1/ecgs', {
      headers: { authorization: `Bearer ${await api.token({}, { key: privateKey })}` },
    })

    expect(response.status).toBe(401)
    expect((await api.app.request('/nowhere')).status).toBe(404)
  })
})

describe('the OpenAPI document in tools', () => {
  it('passes redocly without errors or warnings', { timeout: 120_000 }, async () => {
    const file = join(temporaryFolder(), 'openapi.json')
    writeFileSync(file, JSON.stringify(document))
    const redocly = createRequire(import.meta.url).resolve('@redocly/cli/bin/cli.js')
    const env = { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' }

    const { stdout, status } = spawnSync(process.execPath, [redocly, 'lint', file, '--format=json'], {
      env,
      encoding: 'utf8',
    })

    expect(JSON.parse(stdout).totals).toMatchObject({ errors: 0, warnings: 0 })
    expect(status).toBe(0)
  })

  it('names each operation once, in a group, and lists every problem code', () => {
    const all = operations().map(({ operation }) => operation as Operation & { operationId: string; tags: string[] })

    expect(new Set(all.map(({ operationId }) => operationId)).size).toBe(all.length)
    expect(all.every(({ tags }) => tags.length === 1)).toBe(true)
    const { Problem } = document.components.schemas as { Problem: { properties: { code: { enum: string[] } } } }
    expect(Problem.properties.code.enum).toEqual(Object.keys(ERROR_KINDS))
  })

  it('is linked from the API root', async () => {
    const root = (await (await api.app.request('/')).json()) as { description: string; health: string }

    for (const path of [root.description, root.health]) expect((await api.app.request(path)).status).toBe(200)
  })
})
