/**
 * What a page's main thread works a frame, from the browser's own tracing (https://chromedevtools.github.io/devtools-protocol/tot/Tracing/).
 * @module
 */
import type { Page } from 'playwright-core'

interface TraceEvent {
  readonly name: string
  readonly pid: number
  readonly tid: number
  /** Microseconds. */
  readonly ts: number
  readonly dur?: number
  /** CPU time of the thread, microseconds: what other processes take from it does not count. */
  readonly tdur?: number
  readonly args?: { readonly data?: { readonly frames?: readonly { readonly processId?: number }[] } }
}

const CATEGORIES = ['devtools.timeline.frame', 'disabled-by-default-devtools.timeline']

/** At 60 frames a second. */
const FRAME_US = 1e6 / 60
/** Less than this, ms, without a frame is the browser's own housekeeping. */
const LEAST_MS = 1

/**
 * Does something with a page. Returns the CPU time of its main thread a frame, ms: of all tasks up to and including the one that makes a frame, and
 * of no more than a sixtieth of a second where no frame is made.
 */
export async function workByFrame(page: Page, act: () => Promise<unknown>): Promise<number[]> {
  const session = await page.context().newCDPSession(page)
  const events: TraceEvent[] = []
  session.on('Tracing.dataCollected', ({ value }) => {
    for (const event of value) events.push(event as unknown as TraceEvent) // as Chromium writes traces
  })
  const complete = new Promise<void>((resolve) => session.once('Tracing.tracingComplete', () => resolve()))
  await session.send('Tracing.start', {
    transferMode: 'ReportEvents',
    traceConfig: { recordMode: 'recordAsMuchAsPossible', includedCategories: CATEGORIES },
  })
  await act()
  await session.send('Tracing.end')
  await complete
  await session.detach()
  return workOf(events)
}

/** @throws Error for a trace in which no page made a frame */
export function workOf(events: readonly TraceEvent[]): number[] {
  const traced = events.find(({ name }) => name === 'TracingStartedInBrowser')?.args?.data?.frames?.[0]?.processId
  const begins = events.filter(({ name, pid }) => name === 'BeginCommitCompositorFrame' && pid === traced)
  const main = begins[0]
  if (main === undefined) throw new Error('the trace has no frame of the page')
  const tasks = events.filter(({ name, pid, tid }) => name === 'RunTask' && pid === main.pid && tid === main.tid)
  const frameTimes = begins.map(({ ts }) => ts).toSorted((a, b) => a - b)
  const works: number[] = []
  let [work, since, frame] = [0, 0, 0]
  const close = (hasFrame: boolean) => {
    if (hasFrame || work >= LEAST_MS) works.push(work)
    work = 0
  }
  for (const { ts, dur = 0, tdur = dur } of tasks.toSorted((a, b) => a.ts - b.ts)) {
    if (work > 0 && ts - since > FRAME_US) close(false)
    if (work === 0) since = ts
    work += tdur / 1000
    let hasFrame = false
    for (; frame < frameTimes.length && frameTimes[frame]! <= ts + dur; frame++) hasFrame = true
    if (hasFrame) close(true)
  }
  return works
}

/** The value that so large a share of values do not exceed. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
}
