/**
 * The reference device: streams a recording as frames and waits for the results. For the CLI, for benchmarks, and as an example.
 * @module
 */
import { randomUUID } from 'node:crypto'
import { type EcgId, streamEcgId } from '../../shared/domain/ecg-id.ts'
import type { Frame } from '../../shared/domain/frame.ts'
import type { LeadName } from '../../shared/domain/leads.ts'
import { type Recording, sampleCount } from '../../shared/domain/recording.ts'
import { parseResult, type Result } from '../../shared/domain/result.ts'
import { WINDOW_S, windowSamples } from '../../shared/domain/window.ts'
import { pause } from '../../shared/pause.ts'
import type { DeviceLink } from './device-link.ts'
import { contentTypeOf, encodeFrame, encodeWindow, type FrameEncoding } from './frame-codec.ts'
import type { Problem } from './frame-end.ts'
import { KeptFrames } from './kept-frames.ts'
import { basicIngestPrefix, buildTopic, type Channel } from './topics.ts'
import { MIN_WINDOW_S } from './window-assembler.ts'
import { toWire, type WireSamples } from './wire-recording.ts'

/** How often it is checked whether frames must be sent again. */
const CHECK_MS = 1000
const WINDOW_MS = 1000 * WINDOW_S

export interface StreamOptions {
  readonly link: DeviceLink
  readonly tenant: string
  readonly device: string
  /** A random one when absent. */
  readonly session?: string
  /** 1 is real time; `Infinity` is as fast as the broker acknowledges. */
  readonly speed?: number
  /** Restarts at the end of the recording, within the same session, until `signal` aborts. */
  readonly loop?: boolean
  readonly frameMs?: number
  readonly encoding?: FrameEncoding
  /** Sends windows of ten seconds instead of frames. */
  readonly windows?: boolean
  /** The AWS IoT Core rule that windows are sent to (Basic Ingest); when absent, they are sent to their topic. */
  readonly rule?: string | undefined
  /** Delay before the first frame, for devices that are not in step. */
  readonly delayMs?: number
  /** Ends the stream with the current frame, which then is the session's last. */
  readonly signal?: AbortSignal
  /** The wait for results ends when none has arrived for this time since the last frame, or since the last result. */
  readonly resultTimeoutMs?: number
  readonly onResult?: (result: Result, timing: WindowTiming) => void
  readonly onProblem?: (problem: Problem) => void
}

export interface WindowTiming {
  readonly ecgId: EcgId
  readonly firstSample: number
  /** `performance.now()` when the frame that completes the window was passed to the broker. */
  readonly publishedAtMs: number
  /** From that time to the result; absent when none arrived. */
  readonly latencyMs?: number
  /** Number of distinct results of one version: 1 unless something is wrong. */
  readonly results: number
}

export interface StreamReport {
  readonly session: string
  readonly windows: readonly WindowTiming[]
  /** Problems with our frames, as the adapter reported them. */
  readonly problems: readonly Problem[]
  /** Leads whose values do not fit int16 with the recording's own gain, and which were sent with a coarser one. */
  readonly coarsened: readonly LeadName[]
}

/**
 * Streams a recording and waits for a result of each whole window. Frames are kept until then, and sent again if they may be lost
 * (`KeptFrames`). No data about the person is sent.
 * @example
 * const link = await DeviceLink.open({ url: 'mqtt://127.0.0.1:1883', version: 5 })
 * const report = await streamRecording(recording, { link, tenant: 'clinic', device: 'd1', speed: Infinity })
 * await link.close()
 */
export async function streamRecording(recording: Recording, options: StreamOptions): Promise<StreamReport> {
  const { link, tenant, device, speed = 1, encoding = 'protobuf', delayMs = 0 } = options
  const signal = options.signal ?? new AbortController().signal
  const session = options.session ?? randomUUID()
  const topic = (channel: Channel) => buildTopic({ tenant, device, channel })
  const wire = toWire(recording)
  const isWindows = options.windows === true
  const toTopic = `${options.rule === undefined ? '' : `${basicIngestPrefix(options.rule)}/`}${topic(isWindows ? 'window' : 'frames')}`
  const encode = (frame: Frame) => (isWindows ? encodeWindow(frame, encoding) : encodeFrame(frame, encoding))
  const framing = isWindows ? { ...options, frameMs: WINDOW_MS } : options
  const ecgId = (firstSample: number) => streamEcgId({ tenant, source: 'mqtt', device, session, firstSample })
  const results = new ResultLog(recording.rateHz, ecgId, options.onResult)
  const kept = new KeptFrames(recording.rateHz, ecgId)
  const problems: Problem[] = []
  await link.listen(topic('results'), (payload) => {
    const body = payload.toString()
    const result = readResult(body)
    if (result === undefined) return
    kept.answered(result.ecgId, result.version, isClosedShort(result), performance.now())
    results.received(result, body)
  })
  await link.listen(topic('cmd'), (payload) => {
    // The adapter's own message, see its `tellDevice`.
    const { problem } = JSON.parse(payload.toString()) as { readonly problem?: Problem }
    if (problem === undefined) return
    problems.push(problem)
    options.onProblem?.(problem)
  })
  await pause(delayMs, signal)
  const publish = (payload: Buffer) => link.publish(toTopic, payload, contentTypeOf(encoding))
  const ended = new AbortController()
  const repeating = sendAgain(kept, publish, ended.signal)

  const startedAtMs = performance.now()
  const underWay = new Set<Promise<void>>()
  const sessionStartedAtMs = Date.now()
  for (const next of framesOf(recording, wire, { ...framing, session, sessionStartedAtMs })) {
    const endSample = next.firstSample + next.samples.length / next.leads.length
    // A frame is sent when its last sample has been recorded.
    const dueMs = startedAtMs + (endSample * 1000) / recording.rateHz / speed
    if (Number.isFinite(speed)) await pause(Math.max(0, dueMs - performance.now()), signal)
    const frame = signal.aborted ? { ...next, isLast: true } : next
    results.expect(frame, endSample)
    const payload = encode(frame)
    const acknowledged = kept.keep(frame, payload)
    const published = publish(payload).then(() => acknowledged(performance.now()))
    underWay.add(published)
    // A failed one stays, and makes the stream fail below.
    published.then(
      () => underWay.delete(published),
      () => {},
    )
    if (speed === Infinity) await published
    if (frame.isLast) break
  }
  await Promise.all(underWay)
  await results.complete(options.resultTimeoutMs ?? 30_000)
  ended.abort()
  await repeating
  await Promise.all([link.unlisten(topic('results')), link.unlisten(topic('cmd'))])
  return { session, windows: results.timings, problems, coarsened: wire.coarsened }
}

/** Sends frames again until `signal` aborts. Those of one repetition are acknowledged before the next one. */
async function sendAgain(kept: KeptFrames, publish: (payload: Buffer) => Promise<void>, signal: AbortSignal) {
  while (!signal.aborted) {
    await pause(CHECK_MS, signal)
    const published = Promise.allSettled(kept.due(performance.now()).map(publish))
    // Without a broker, an acknowledgement may never come.
    await Promise.race([published, aborted(signal)])
  }
}

const aborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })

export interface FramingOptions {
  readonly session: string
  readonly sessionStartedAtMs: number
  readonly frameMs?: number
  readonly loop?: boolean
}

/** Cuts a recording into frames. The last one may be short; a loop has no last one. */
export function* framesOf(
  recording: Recording,
  { leads, rows }: WireSamples,
  options: FramingOptions,
): Generator<Frame> {
  const { session, sessionStartedAtMs, frameMs = 500, loop = false } = options
  const { rateHz, heartRateBpm } = recording
  const total = sampleCount(recording)
  const length = Math.round((frameMs * rateHz) / 1000)
  for (let sequence = 0; loop || sequence * length < total; sequence++) {
    const firstSample = sequence * length
    const count = loop ? length : Math.min(length, total - firstSample)
    const samples = new Int16Array(leads.length * count)
    for (const [index, row] of rows.entries()) {
      for (let sample = 0; sample < count; sample++) {
        samples[index * count + sample] = row[(firstSample + sample) % total]!
      }
    }
    yield {
      session,
      sequence,
      firstSample,
      sessionStartedAtMs,
      rateHz,
      leads,
      samples,
      ...(heartRateBpm === undefined ? {} : { heartRateBpm }),
      isLast: !loop && firstSample + count === total,
    }
  }
}

interface Expected {
  readonly firstSample: number
  readonly publishedAtMs: number
  latencyMs?: number
  /** A result of all its samples arrived. */
  isWhole: boolean
  /** Distinct bodies, by version. */
  readonly bodies: Map<number, Set<string>>
}

/** Windows that were sent, and results that arrived. */
class ResultLog {
  readonly #rateHz: number
  readonly #whole: number
  readonly #ecgId: (firstSample: number) => EcgId
  readonly #onResult: StreamOptions['onResult']
  readonly #expected = new Map<EcgId, Expected>()
  #waiting = 0
  readonly #done = Promise.withResolvers<void>()
  #isEnded = false
  #timer: NodeJS.Timeout | undefined

  constructor(rateHz: number, ecgId: (firstSample: number) => EcgId, onResult: StreamOptions['onResult']) {
    this.#rateHz = rateHz
    this.#whole = windowSamples(rateHz)
    this.#ecgId = ecgId
    this.#onResult = onResult
  }

  get timings(): readonly WindowTiming[] {
    return [...this.#expected].map(([ecgId, expected]) => timingOf(ecgId, expected))
  }

  /** Records the window that this frame completes, if any. */
  expect({ firstSample, isLast }: Frame, endSample: number): void {
    const boundary = Math.floor(endSample / this.#whole) * this.#whole
    if (boundary > firstSample) this.#add(boundary - this.#whole)
    if (isLast) {
      if (endSample - boundary >= MIN_WINDOW_S * this.#rateHz) this.#add(boundary)
      this.#isEnded = true
    }
  }

  received(result: Result, body: string): void {
    const atMs = performance.now()
    const expected = this.#expected.get(result.ecgId)
    if (expected === undefined) return
    const bodies = expected.bodies.get(result.version) ?? new Set()
    const isFirst = expected.bodies.size === 0
    expected.bodies.set(result.version, bodies.add(body))
    this.#timer?.refresh()
    if (bodies.size > 1) return
    if (isFirst) expected.latencyMs = atMs - expected.publishedAtMs
    if (!expected.isWhole && !isClosedShort(result)) {
      expected.isWhole = true
      this.#waiting--
    }
    // Also called for a correction.
    this.#onResult?.(result, timingOf(result.ecgId, expected))
    this.#check()
  }

  /** Resolves when every window has the result of all its samples, or when no result has arrived for this time. */
  async complete(timeoutMs: number): Promise<void> {
    this.#check()
    this.#timer = setTimeout(() => this.#done.resolve(), timeoutMs)
    await this.#done.promise
    clearTimeout(this.#timer)
  }

  #add(firstSample: number): void {
    this.#expected.set(this.#ecgId(firstSample), {
      firstSample,
      publishedAtMs: performance.now(),
      isWhole: false,
      bodies: new Map(),
    })
    this.#waiting++
  }

  #check(): void {
    if (this.#isEnded && this.#waiting === 0) this.#done.resolve()
  }
}

function timingOf(ecgId: EcgId, { firstSample, publishedAtMs, latencyMs, bodies }: Expected): WindowTiming {
  const results = Math.max(0, ...[...bodies.values()].map(({ size }) => size))
  return { ecgId, firstSample, publishedAtMs, ...(latencyMs === undefined ? {} : { latencyMs }), results }
}

/** Samples are missing that the service still accepts. */
const isClosedShort = ({ warnings }: Result) => warnings.some(({ code }) => code === 'window-closed-short')

/** A result; `undefined` for any other message on the topic. */
function readResult(body: string): Result | undefined {
  try {
    return parseResult(body)
  } catch {
    return undefined
  }
}
