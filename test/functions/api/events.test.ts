import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { answerOf, readEvents, startTestApi, type TestApi } from './helpers.ts'

let api: TestApi
let tenant = 't0'
let count = 0
beforeAll(async () => {
  api = await startTestApi()
})
afterAll(() => api.stop())
beforeEach(() => {
  tenant = `t${++count}`
})

const open = (headers: Record<string, string> = {}, claims = {}) =>
  api.as(tenant, '/v1/events', { headers: { accept: 'text/event-stream', ...headers } }, claims)
const idsOf = (events: readonly { data: { ecgId: string } }[]) => events.map(({ data }) => data.ecgId)
const arrive = async (n: number, at = new Date()) => {
  const ids: string[] = []
  for (let i = 0; i < n; i++) ids.push((await api.screened(tenant, {}, { kind: 'upload' }, at)).ecgId)
  return ids
}

describe('GET /v1/events as a stream', () => {
  it('sends results as they arrive, and no earlier ones', async () => {
    await arrive(2)

    const response = await open()
    const reading = readEvents(response, 3)
    const ids = await arrive(3)

    expect(response.headers.get('content-type')).toContain('text/event-stream')
    expect(idsOf(await reading).sort()).toEqual(ids.sort())
  })

  it('loses and repeats nothing when it is resumed by Last-Event-ID after any event', async () => {
    const reading = readEvents(await open(), 4)
    const ids = await arrive(4)
    const first = await reading
    const missed = await arrive(3)

    for (const [index, { id }] of first.entries()) {
      const rest = await readEvents(await open({ 'last-event-id': id }), 3 - index + 3)

      expect(idsOf([...first.slice(0, index + 1), ...rest]).sort()).toEqual([...ids, ...missed].sort())
    }
  })

  it('sends a result that arrived before one already sent', async () => {
    const reading = readEvents(await open(), 1)
    await arrive(1)
    const [{ id } = { id: '' }] = await reading

    const [late] = await arrive(1, new Date(Date.now() - 5_000))

    expect(idsOf(await readEvents(await open({ 'last-event-id': id }), 1))).toEqual([late])
  })

  it('sends nothing to another tenant', async () => {
    const response = await api.as('nobody', '/v1/events', { headers: { accept: 'text/event-stream' } })
    await arrive(2)
    const own = await answerOf(await api.as('nobody', '/v1/ecgs'))

    await response.body!.cancel()

    expect(own.items).toEqual([])
    expect((await api.list.news('nobody', undefined)).items).toEqual([])
  })

  it('sends heartbeats with the position to resume from', async () => {
    const response = await open()
    const reader = response.body!.getReader()

    const text = new TextDecoder().decode((await reader.read()).value)
    await reader.cancel()

    const position = /^: heartbeat\nid: (\S+)\n\n$/.exec(text)?.[1]
    const [id] = await arrive(1)
    expect(idsOf(await readEvents(await open({ 'last-event-id': position! }), 1))).toEqual([id])
  })

  it('ends when the token expires', async () => {
    const response = await open({}, { exp: Math.floor(Date.now() / 1000) + 1 })

    expect(await readEvents(response, 1)).toEqual([])
  })

  it.each(['nonsense', '1.x', `${'z'.repeat(9)}.`, 'a'.repeat(5000)])('refuses to resume from %s', async (id) => {
    const response = await open({ 'last-event-id': id })

    expect(response.status).toBe(400)
    expect(response.headers.get('content-type')).toBe('application/problem+json')
  })

  it('is refused by an entry point that cannot stream', async () => {
    const front = await startTestApi({ stream: undefined })

    const response = await front.as('clinic', '/v1/events', { headers: { accept: 'text/event-stream' } })
    await front.stop()

    expect(response.status).toBe(406)
  })
})

describe('GET /v1/events by polling', () => {
  it('returns each result once', async () => {
    const ask = async (after: string) => answerOf(await api.as(tenant, `/v1/events${after}`))
    const start = await ask('')
    const ids = await arrive(3)

    const first = await ask(`?after=${start.next}`)
    const second = await ask(`?after=${first.next}`)

    expect(start.items).toEqual([])
    expect(first.items.map(({ ecgId }) => ecgId).sort()).toEqual(ids.sort())
    expect(second.items).toEqual([])
  })
})

/** Results whose stamp and whose appearance differ, read by readers that break off anywhere. */
describe('event positions', () => {
  it('neither lose nor repeat a result, for any order of arrival', async () => {
    const start = Date.UTC(2026, 5, 1)
    const steps = fc.array(
      fc.record({
        /** How much time passes before this step, and the age of the result's timestamp then. */
        waitMs: fc.integer({ min: 0, max: 30_000 }),
        lateMs: fc.integer({ min: 0, max: 15_000 }),
        /** After how many of the news the reader breaks off, to resume at the last that it saw. */
        reads: fc.integer({ min: 0, max: 3 }),
      }),
      { minLength: 1, maxLength: 12 },
    )
    await fc.assert(
      fc.asyncProperty(steps, async (all) => {
        const own = `p${++count}`
        let now = start
        let position = (await api.list.news(own, undefined, new Date(now))).position
        const written: string[] = []
        const told: string[] = []
        const take = async (most: number) => {
          const news = await api.list.news(own, position, new Date(now))
          const taken = news.items.slice(0, most)
          told.push(...taken.map(({ item }) => item.ecgId))
          position = taken.length < news.items.length ? (taken.at(-1)?.position ?? position) : news.position
          return news.items.length
        }
        for (const { waitMs, lateMs, reads } of all) {
          now += waitMs
          const stamp = Math.max(start, now - lateMs)
          written.push((await api.screened(own, {}, { kind: 'upload' }, new Date(stamp))).ecgId)
          await take(reads)
        }
        while ((await take(2)) > 0);

        expect(told.toSorted()).toEqual(written.toSorted())
      }),
      { numRuns: 25 },
    )
  })
})
