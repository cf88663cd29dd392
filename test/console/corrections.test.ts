import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildConsole } from '../../cdk/local/console-build.ts'
import { withConsole } from '../../functions/api/console.ts'
import { type RunningServer, serve } from '../../functions/api/server.ts'
import type { EcgId } from '../../shared/domain/ecg-id.ts'
import { makeResult } from '../helpers/results.ts'
import { hasBrowser, NO_BROWSER, openPage } from './helpers/browser.ts'

const ids: readonly string[] = ['00000000-0000-5000-8000-000000000001', '00000000-0000-5000-8000-000000000002']
const began = Date.now()
const RATE_HZ = 250
const SAMPLES = 10 * RATE_HZ

/** ECG `n` as lists and events have it. Version 1 has a flag and a gap, version 2 has neither. */
const summary = (n: number, version: number) => ({
  ecgId: ids[n],
  startedAt: new Date(began - 60_000 - n * 10_000).toISOString(),
  arrivedAt: new Date(began - 50_000 + version * 1000).toISOString(),
  status: 'screened',
  device: `bed-${n}`,
  flagged: version === 1 ? ['hf'] : [],
  heartRateBpm: version === 1 ? 60 : 72,
  top: { condition: 'hf', probability: version === 1 ? 0.6 : 0.1 },
  ...(version === 1 ? {} : { version }),
})

/** A drawing of the first ECG. The bundle of its second version has another default sampler. */
const cine = (version: number) => ({
  jobId: `00000000-0000-5000-8000-00000000010${version}`,
  ecgId: ids[0],
  version,
  seed: 0,
  sampler: version === 1 ? 'distilled' : 'quick',
  status: 'done',
  artifacts: [],
  submittedAt: new Date(began).toISOString(),
  updatedAt: new Date(began).toISOString(),
  synthetic: true,
  notice: '',
})

/** An API with two ECGs. The test corrects them and says what the event stream says. */
class CorrectingApi {
  readonly versions = [1, 1]
  readonly #jobs = [cine(1)]
  #say: (text: string) => void = () => {}

  send(n: number, version: number): void {
    this.#say(`event: result\nid: ${n}-${version}\ndata: ${JSON.stringify(summary(n, version))}\n\n`)
  }

  correct(n: number): void {
    this.versions[n] = 2
    this.send(n, 2)
  }

  answer(request: Request): Response {
    const { pathname, searchParams } = new URL(request.url)
    const [, id, of] = /^\/v1\/ecgs\/([^/]+)(?:\/(\w+))?$/.exec(pathname) ?? []
    const n = ids.indexOf(id ?? '')
    if (pathname === '/console.json') return Response.json({ identity: null })
    if (pathname === '/v1/events') return this.#events()
    if (pathname === '/v1/ecgs') {
      const all = this.versions.map((version, each) => summary(each, version))
      const flag = searchParams.get('flagged')
      return Response.json({ items: all.filter(({ flagged }) => flag === null || flagged.includes(flag)) })
    }
    if (n < 0) return Response.json({ code: 'not-found', status: 404 }, { status: 404 })
    if (of === 'waveform') return this.#waveform(n)
    if (of === 'cmr') return this.#cines(n, request.method)
    if (of === 'subject') return Response.json({ source: 'mqtt', device: `bed-${n}` })
    const version = this.versions[n]!
    const span = { startedAt: summary(n, 1).startedAt, firstSample: 0, durationMs: 10_000 }
    const supersedes = version === 1 ? {} : { supersedes: version - 1 }
    return Response.json(makeResult({ ecgId: id as EcgId, span, version, ...supersedes }))
  }

  /** Newest first. One cine was drawn from version 1; what is asked for is drawn at once, from the newest version. */
  #cines(n: number, method: string): Response {
    if (method === 'GET') return Response.json({ items: this.#jobs })
    const drawn = cine(this.versions[n]!)
    this.#jobs.unshift(drawn)
    return Response.json(drawn, { status: 202 })
  }

  #events(): Response {
    const encoder = new TextEncoder()
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#say = (text) => controller.enqueue(encoder.encode(text))
        this.#say(': open\n\n')
      },
    })
    return new Response(stream, { headers: { 'content-type': 'text/event-stream' } })
  }

  /** In version 1 the second half is missing. */
  #waveform(n: number): Response {
    const version = this.versions[n]!
    const samples = Array.from({ length: SAMPLES }, (_, i) =>
      version === 1 && i > SAMPLES / 2 ? null : Math.round(500 * Math.sin(i / 8)),
    )
    const piece = { ecgId: ids[n], version, rateHz: RATE_HZ, samples: SAMPLES, firstSample: 0, notice: '' }
    return Response.json({ ...piece, leads: ['I', 'II', 'V1'].map((name) => ({ name, gainUv: 1, samples })) })
  }
}

describe.skipIf(!hasBrowser)(`corrected ECGs on the page${NO_BROWSER}`, { timeout: 120_000 }, () => {
  let folder: string
  let api: CorrectingApi
  let server: RunningServer
  let page: Page

  beforeAll(async () => {
    const built = await buildConsole()
    if (built === undefined) throw new Error('the console is not built, and cannot be')
    folder = built
  }, 120_000)
  afterAll(async () => {
    await page?.context().close()
    await server?.close()
  })

  /** A page on an API of its own. */
  async function open(hash: string): Promise<void> {
    await page?.context().close()
    await server?.close()
    api = new CorrectingApi()
    server = await serve(
      { fetch: withConsole(((request: Request) => api.answer(request)) as never, folder) }, // all that is asked of an app here
      { port: 0, host: '127.0.0.1' },
    )
    page = (await openPage(server.url)).page
    await page.goto(`${server.url}/${hash}`)
  }

  const rows = () =>
    page
      .locator('.row')
      .evaluateAll((all) =>
        all.map((row) => [row.querySelector('.device')!.textContent, row.querySelector('.rate')!.textContent]),
      )

  it('keep their row, with the newest version', async () => {
    await open('#/')
    await page.locator('.row', { hasText: 'bed-1' }).waitFor()
    await page.locator('.feed-live').waitFor()

    api.correct(0)

    await page.locator('.row', { hasText: '72 bpm' }).waitFor()
    // The event of an older version comes late.
    api.send(0, 1)
    api.correct(1)
    await expect.poll(rows).toEqual([
      ['bed-0', '72 bpm'],
      ['bed-1', '72 bpm'],
    ])
    await page.reload()
    await page.locator('.row').nth(1).waitFor()
    expect(await page.locator('.row').count()).toBe(2)
  })

  it('leave a filtered list when the correction removes the flag, and the others stay', async () => {
    await open('#/')
    await page.locator('.row').nth(1).waitFor()
    await page.locator('.filters select').first().selectOption('hf')
    await page.locator('.row').nth(1).waitFor()
    await page.locator('.feed-live').waitFor()

    api.correct(0)

    await expect.poll(rows).toEqual([['bed-1', '60 bpm']])
    api.correct(1)
    await page.getByText('No ECG matches').waitFor()
  })

  it('change the tile of the newest window, which does not become newer by it', async () => {
    await open('#/live')
    const tile = page.locator('[data-device=bed-0]')
    await tile.locator('.chip', { hasText: 'HF' }).waitFor()
    await page.locator('.feed-live').waitFor()
    const pulse = await tile.getAttribute('data-pulse')

    api.correct(0)

    await tile.locator('.rate', { hasText: '72' }).waitFor()
    expect(await tile.locator('.chip').count()).toBe(0)
    expect(await tile.getAttribute('data-pulse')).toBe(pulse)
  })

  it('are drawn again with the samples that came late, while they are open', async () => {
    await open(`#/ecg/${ids[0]}`)
    await page.locator('.finding').first().waitFor()
    await page.locator('.feed-live').waitFor()
    const ink = async () => (await page.locator('.paper').screenshot()).length
    await expect.poll(ink).toBeGreaterThan(1000)
    const before = await ink()

    api.correct(0)

    await page.getByText('Version 2: replaces version 1.').waitFor()
    await expect.poll(ink).toBeGreaterThan(before * 1.1)
  })

  it('name a cine that was drawn before the correction as such, and draw it anew', async () => {
    await open(`#/ecg/${ids[0]}`)
    await page.locator('.job').waitFor()
    await page.locator('.feed-live').waitFor()
    expect(await page.locator('.outdated').count()).toBe(0)

    api.correct(0)

    await page.getByText('Drawn from version 1. The ECG was corrected since.').waitFor()
    await page.getByRole('button', { name: 'Draw from version 2' }).click()
    await expect.poll(() => page.locator('.outdated').count()).toBe(0)
    expect(await page.locator('.job').count()).toBe(1)
    expect(await page.locator('.seeds button').allTextContents()).toEqual(['Seed 0 version 1', 'Seed 0 '])
    await page.locator('.seeds button').first().click()
    await page.locator('.outdated').waitFor()
    expect(await page.getByRole('button', { name: 'Draw from version 2' }).count()).toBe(0)
    await page.reload()
    await page.locator('.job').waitFor()
    expect(await page.locator('.outdated').count()).toBe(0)
  })
})
