/**
 * An API in the page's place of the real one, for what no local stack can hold: a hundred thousand ECGs, one of ten minutes, 64 devices that send.
 * The samples are a real ECG's, again and again.
 * @module
 */
import { resolve } from 'node:path'
import { buildConsole } from '../../../cdk/local/console-build.ts'
import { withConsole } from '../../../functions/api/console.ts'
import { type RunningServer, serve } from '../../../functions/api/server.ts'
import type { EcgId } from '../../../shared/domain/ecg-id.ts'
import { readRecording } from '../../../streams/formats/index.ts'
import { makeResult } from '../../helpers/results.ts'

const SAMPLE = resolve(import.meta.dirname, '../../fixtures/samples/normal.hea')

export interface FakeOptions {
  /** ECGs of the worklist. */
  readonly ecgs?: number
  /** Length of each ECG. */
  readonly seconds?: number
  /** Devices that send a window every ten seconds, one after the other. */
  readonly devices?: number
}

export interface FakeApi extends RunningServer {
  /** The `after` of each page of the worklist that was asked for; `undefined` of the first. */
  readonly pagesAsked: readonly (string | undefined)[]
}

const WINDOW_S = 10
const idOf = (n: number) => `00000000-0000-5000-8000-${String(n).padStart(12, '0')}`

/** Serves the built console and answers for its API. */
export async function startFakeApi({ ecgs = 1, seconds = WINDOW_S, devices = 0 }: FakeOptions): Promise<FakeApi> {
  const folder = await buildConsole()
  if (folder === undefined) throw new Error('the console is not built, and cannot be')
  const { rateHz, leads } = await readRecording(SAMPLE)
  const samples = Math.round(seconds * rateHz)
  const pagesAsked: (string | undefined)[] = []
  const began = Date.now()

  const item = (n: number, at = began - n * 1000, device = `bed-${n % 97}`) => ({
    ecgId: idOf(n),
    startedAt: new Date(at).toISOString(),
    arrivedAt: new Date(at).toISOString(),
    status: n % 11 === 0 ? 'refused' : 'screened',
    device,
    flagged: n % 7 === 0 ? ['cad', 'hf'] : [],
    heartRateBpm: 55 + (n % 50),
    top: { condition: 'cad', probability: (n % 100) / 100 },
    ...(n % 11 === 0 ? { reasons: ['lead-off'] } : {}),
  })

  function list(query: URLSearchParams): Response {
    const after = query.get('after') ?? undefined
    // Of one device only: what a trend or a comparison asks.
    if (!query.has('device')) pagesAsked.push(after)
    const from = Number(after ?? 0)
    const to = Math.min(ecgs, from + Number(query.get('limit') ?? 50))
    const items = Array.from({ length: to - from }, (_, i) => item(from + i))
    return Response.json({ items, ...(to < ecgs ? { next: String(to) } : {}) })
  }

  function waveform(query: URLSearchParams): Response {
    const firstSample = Math.round(Number(query.get('from') ?? 0) * rateHz)
    const length = Math.max(0, Math.min(samples - firstSample, Math.round(Number(query.get('seconds') ?? 10) * rateHz)))
    const wanted = query.get('leads')?.split(',')
    const names = leads.filter(({ name }) => wanted === undefined || wanted.includes(name))
    const piece = names.map(({ name, gainUv, samples: of }) => ({
      name,
      gainUv,
      samples: Array.from({ length }, (_, i) => of[(firstSample + i) % of.length]),
    }))
    return Response.json({ ecgId: idOf(0), version: 1, rateHz, samples, firstSample, leads: piece, notice: '' })
  }

  /** A result of one device after the other, so that each has a new one every ten seconds. */
  function events(signal: AbortSignal): Response {
    const encoder = new TextEncoder()
    let count = 0
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        const say = (text: string) => controller.enqueue(encoder.encode(text))
        say(': open\n\n')
        const send = () => {
          const result = item(ecgs + count, Date.now() - WINDOW_S * 1000, `bed-${count % devices}`)
          const arrived = { ...result, arrivedAt: new Date().toISOString() }
          say(`event: result\nid: ${count++}\ndata: ${JSON.stringify(arrived)}\n\n`)
        }
        const timer = devices > 0 ? setInterval(send, (WINDOW_S * 1000) / devices) : undefined
        signal.addEventListener('abort', () => clearInterval(timer))
      },
    })
    return new Response(stream, { headers: { 'content-type': 'text/event-stream' } })
  }

  const answer = (request: Request): Response => {
    const { pathname, searchParams } = new URL(request.url)
    const [, id, of] = /^\/v1\/ecgs\/([^/]+)(?:\/(\w+))?$/.exec(pathname) ?? []
    if (pathname === '/console.json') return Response.json({ identity: null })
    if (pathname === '/v1/ecgs') return list(searchParams)
    if (pathname === '/v1/events') return events(request.signal)
    if (of === 'waveform') return waveform(searchParams)
    if (of === 'cmr') return Response.json({ items: [] })
    if (of === 'subject') return Response.json({ source: 'mqtt', device: 'bed-1' })
    if (id !== undefined && of === undefined) {
      const span = { startedAt: new Date(began).toISOString(), firstSample: 0, durationMs: 10_000 }
      return Response.json(makeResult({ ecgId: id as EcgId, span }))
    }
    return Response.json({ code: 'not-found', status: 404 }, { status: 404 })
  }
  const server = await serve({ fetch: withConsole(answer as never, folder) }, { port: 0, host: '127.0.0.1' }) // all that is asked of an app here
  return { ...server, pagesAsked }
}
