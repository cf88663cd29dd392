import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildConsole } from '../../cdk/local/console-build.ts'
import { withConsole } from '../../functions/api/console.ts'
import { type RunningServer, serve } from '../../functions/api/server.ts'
import { hasBrowser, NO_BROWSER, openPage } from './helpers/browser.ts'

/** An API with one answer to every request of the worklist. */
const api = (request: Request) => {
  const { pathname } = new URL(request.url)
  if (pathname === '/console.json') return Response.json({ identity: null })
  if (pathname === '/v1/ecgs') return Response.json({ items: [] })
  return Response.json({ items: [], cmr: [], next: 'position' })
}

describe.skipIf(!hasBrowser)(`the console without a network${NO_BROWSER}`, { timeout: 120_000 }, () => {
  let folder: string
  let server: RunningServer
  let page: Page

  /** Serves what lies in the folder now. */
  const start = (port: number) => serve({ fetch: withConsole(api as never, folder) }, { port, host: '127.0.0.1' }) // all that is asked of an app here

  beforeAll(async () => {
    const built = await buildConsole()
    if (built === undefined) throw new Error('the console is not built, and cannot be')
    folder = mkdtempSync(join(tmpdir(), 'console-'))
    cpSync(built, folder, { recursive: true })
    server = await start(0)
    page = (await openPage(server.url, { serviceWorkers: 'allow' })).page
    await page.goto(server.url)
    await page.getByText('No ECG yet').waitFor()
    await page.evaluate(async () => void (await navigator.serviceWorker.ready))
    // The first visit is not the worker's yet.
    await page.reload()
    await page.getByText('No ECG yet').waitFor()
  }, 120_000)
  afterAll(async () => {
    await page?.context().close()
    await server?.close()
    rmSync(folder, { recursive: true })
  })

  /** Paths that the browser keeps for the page. */
  const kept = () =>
    page.evaluate(async () => {
      const names = await caches.keys()
      const requests = await Promise.all(names.map(async (name) => (await caches.open(name)).keys()))
      return requests.flat().map(({ url }) => new URL(url).pathname)
    })

  it('caches the page and its files, and nothing from the API', async () => {
    const paths = await kept()

    expect(paths).toContain('/')
    expect(paths.some((path) => /^\/assets\/index-.*\.js$/.test(path))).toBe(true)
    expect(paths.filter((path) => path !== '/' && !path.startsWith('/assets/'))).toEqual([])
  })

  it('opens, and reports that the API does not answer', async () => {
    const { port } = new URL(server.url)
    await server.close()

    await page.reload()

    await page.getByText('The API does not answer').waitFor()
    server = await start(Number(port))
  })

  it('shows an updated page at once, and deletes the old files', async () => {
    const index = join(folder, 'index.html')
    const [script = ''] = /assets\/index-[\w-]+\.js/.exec(readFileSync(index, 'utf8')) ?? []
    const renewed = script.replace(/-[\w-]+\.js$/, '-renewed1.js')
    cpSync(join(folder, script), join(folder, renewed))
    rmSync(join(folder, script))
    writeFileSync(index, readFileSync(index, 'utf8').replaceAll(script, renewed))
    const { port } = new URL(server.url)
    await server.close()
    server = await start(Number(port))

    await page.reload()
    await page.getByText('No ECG yet').waitFor()

    expect(await page.locator('script[src]').getAttribute('src')).toBe(`/${renewed}`)
    await expect.poll(kept).not.toContain(`/${script}`)
  })
})
