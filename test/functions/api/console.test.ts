import { mkdtempSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { withConsole } from '../../../functions/api/console.ts'

const folder = mkdtempSync(join(tmpdir(), 'console-'))
const api = async (request: Request) => new Response(`api ${new URL(request.url).pathname}`)
const get = async (path: string, headers: Record<string, string> = {}, method = 'GET') =>
  withConsole(api, join(folder, 'dist'))(new Request(`http://localhost${path}`, { headers, method }))

beforeAll(async () => {
  await mkdir(join(folder, 'dist/assets'), { recursive: true })
  await writeFile(join(folder, 'secret.txt'), 'secret')
  await writeFile(join(folder, 'dist/index.html'), '<!doctype html><title>console</title>')
  await writeFile(join(folder, 'dist/assets/index-abc.js'), 'export {}')
})
afterAll(() => rm(folder, { recursive: true }))

describe('the console’s static files', () => {
  it('are served with a policy that forbids inline scripts, inline styles and other origins', async () => {
    const response = await get('/')
    const policy = response.headers.get('content-security-policy')

    expect(await response.text()).toContain('<title>console</title>')
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(policy).toContain("default-src 'none'")
    expect(policy).toContain("script-src 'self'")
    expect(policy).not.toMatch(/unsafe|https?:|\*/)
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
  })

  it('are cached forever when their name contains a hash, and revalidated otherwise', async () => {
    const [page, script] = [await get('/'), await get('/assets/index-abc.js')]

    expect(page.headers.get('cache-control')).toBe('no-cache')
    expect(script.headers.get('cache-control')).toContain('immutable')
    expect((await get('/', { 'if-none-match': page.headers.get('etag')! })).status).toBe(304)
  })

  it('are compressed when the client accepts it', async () => {
    const response = await get('/assets/index-abc.js', { 'accept-encoding': 'gzip, br' })

    expect(response.headers.get('content-encoding')).toBe('gzip')
    expect(response.headers.get('vary')).toBe('accept-encoding')
  })

  it.each(['/../secret.txt', '/%2e%2e/secret.txt', '/..%2fsecret.txt', '/assets/..%2f..%2fsecret.txt', '/nothing'])(
    'do not include %s',
    async (path) => {
      const response = await get(path)

      expect(response.status).toBe(404)
      expect(await response.text()).not.toContain('secret')
    },
  )

  it('leave API paths to the API, and allow reading only', async () => {
    expect(await (await get('/v1/ecgs')).text()).toBe('api /v1/ecgs')
    expect(await (await get('/openapi.json')).text()).toBe('api /openapi.json')
    expect((await get('/', {}, 'POST')).status).toBe(405)
  })

  it('are optional: without a build the API answers alone', async () => {
    const alone = withConsole(api, join(folder, 'nowhere'))

    expect(await (await alone(new Request('http://localhost/'))).text()).toBe('api /')
  })
})
