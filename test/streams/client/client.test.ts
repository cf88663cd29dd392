import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openApiDocument } from '../../../functions/api/openapi.ts'
import { createClient } from '../../../streams/client/index.ts'
import { ApiError } from '../../../streams/client/problem.ts'

const FOLDER = resolve(import.meta.dirname, '../../../streams/client')

describe('the typed client', () => {
  it('is generated from the current API (otherwise run `npm run client`)', async () => {
    const committed = await readFile(join(FOLDER, 'openapi.json'), 'utf8')
    const schema = await readFile(join(FOLDER, 'schema.ts'), 'utf8')

    expect(JSON.parse(committed)).toEqual(await openApiDocument())
    expect(schema).toContain(`sha256 of openapi.json: ${createHash('sha256').update(committed).digest('hex')}`)
  })

  it('sends documented requests and returns data or a problem', async () => {
    const asked: string[] = []
    const api = createClient({
      baseUrl: 'http://api.example',
      fetch: async ({ url }) => {
        asked.push(url)
        const isGood = url.includes('limit=5')
        return Response.json(isGood ? { items: [] } : { code: 'field-invalid', field: 'limit' }, {
          status: isGood ? 200 : 400,
        })
      },
    })

    const good = await api.GET('/v1/ecgs', { params: { query: { limit: 5 } } })
    const bad = await api.GET('/v1/ecgs', { params: { query: { limit: 101 } } })

    expect(asked).toEqual(['http://api.example/v1/ecgs?limit=5', 'http://api.example/v1/ecgs?limit=101'])
    expect(good.data).toEqual({ items: [] })
    expect(new ApiError(bad.response.status, bad.error)).toMatchObject({
      status: 400,
      code: 'field-invalid',
      field: 'limit',
    })
  })

  it('maps a non-problem response to its status, and no response to unreachable', () => {
    expect(new ApiError(502, '<html>').code).toBe('http-502')
    expect(new ApiError(0, undefined).code).toBe('unreachable')
  })
})
