/**
 * The reference device: streams a recording as frames and waits for the results. For the CLI, for benchmarks, and as an example.
 * @module
 */
import { randomUUID } from 'node:crypto'
import type { MqttClient } from 'mqtt'
import { type EcgId, streamEcgId } from '../../shared/domain/ecg-id.ts'
import type { Frame } from '../../shared/domain/frame.ts'
import type { LeadName } from '../../shared/domain/leads.ts'
import { type Recording, sampleCount } from '../../shared/domain/recording.ts'
import { parseResult, type Result } from '../../shared/domain/result.ts'
import { WINDOW_S, windowSamples } from '../../shared/domain/window.ts'
import { TRACEPARENT } from '../../shared/observe/tracing.ts'
import { pause } from '../../shared/pause.ts'
import { type BrokerOptions, openTransient, userProperty } from './connection.ts'
import { contentTypeOf, encodeFrame, encodeWindow, type FrameEncoding } from './frame-codec.ts'
import type { Problem } from './frame-end.ts'
import { basicIngestPrefix, buildTopic, type Channel } from './topics.ts'
import { MIN_WINDOW_S } from './window-assembler.ts'
import { toWire, type WireSamples } from './wire-recording.ts'

const RETRY_MS = 200
const WINDOW_MS = 1000 * WINDOW_S
const NEVER = new AbortController().signal

type Listener = (payload: Buffer, traceparent?: string) => void

interface Publication {
  readonly topic: string
  readonly payload: Buffer
  readonly contentType: string
  readonly traceparent?: string | undefined
}

export interface LinkOptions {
  /** For brokers that identify a device by its client ID, such as AWS IoT Core. */
  readonly clientId?: string
  /**
   * After a lost connection, messages that the broker acknowledged within this time before the loss are published again, ms. For a broker
   * that may lose acknowledged messages when it crashes (mosquitto). A repeated frame is harmless.
   */
  readonly repeatMs?: number
}

/** A connection to the broker, which many devices of one tenant may share. */
export class DeviceLink {
  readonly #client: MqttClient
  readonly #version: 4 | 5
  readonly #listeners = new Map<string, Listener>()
  readonly #repeatMs: number
  /** Recently acknowledged messages, oldest first. */
  #acknowledged: { readonly publication: Publication; readonly atMs: number }[] = []
  #isClosed = false

  private constructor(client: MqttClient, version: 4 | 5, repeatMs: number) {
    this.#client = client
    this.#version = version
    this.#repeatMs = repeatMs
    client.on('message', (topic, payload, { properties }) => {
      this.#listeners.get(topic)?.(payload, userProperty(properties?.userProperties?.[TRACEPARENT]))
    })
  }

  /**
   * Opens a connection.
   * @throws Error when the broker cannot be reached or refuses
   */
  static async open(broker: BrokerOptions, { clientId, repeatMs = 0 }: LinkOptions = {}): Promise<DeviceLink> {
    const client = openTransient(broker, clientId ?? `ecg-${randomUUID().slice(0, 18)}`)
    await new Promise<void>((resolve, reject) => {
      const fail = (error: Error) => {
        client.end(true)
        reject(error)
      }
      client.once('error', fail)
      client.once('connect', () => {
        // A broker that is away later is no reason to give up.
        client.off('error', fail)
        resolve()
      })
    })
    // From here on mqtt.js reconnects by itself, and resends unacknowledged messages.
    client.on('error', () => {})
    const link = new DeviceLink(client, broker.version, repeatMs)
    if (repeatMs > 0) link.#repeatAfterLoss()
    return link
  }

  async listen(topic: string, listener: Listener): Promise<void> {
    this.#listeners.set(topic, listener)
    await this.#untilDone(() => this.#client.subscribeAsync(topic, { qos: 1 }))
  }

  async unlisten(topic: string): Promise<void> {
    this.#listeners.delete(topic)
    await this.#untilDone(() => this.#client.unsubscribeAsync(topic))
  }

  /** Resolves when the broker has the message, however often the connection is lost meanwhile; a repeated frame is harmless. */
  async publish(topic: string, payload: Buffer, contentType: string, traceparent?: string): Promise<void> {
    const userProperties = traceparent === undefined ? {} : { userProperties: { [TRACEPARENT]: traceparent } }
    const properties = { contentType, ...userProperties }
    const options = { qos: 1, ...(this.#version === 5 ? { properties } : {}) } as const
    await this.#untilDone(() => this.#client.publishAsync(topic, payload, options))
    if (this.#repeatMs === 0) return
    const atMs = performance.now()
    this.#acknowledged.push({ publication: { topic, payload, contentType, traceparent }, atMs })
    this.#acknowledged = this.#acknowledged.filter((each) => each.atMs > atMs - this.#repeatMs)
  }

  #repeatAfterLoss(): void {
    let lostAtMs = Number.POSITIVE_INFINITY
    this.#client.on('close', () => {
      lostAtMs = Math.min(lostAtMs, performance.now())
    })
    this.#client.on('connect', () => {
      const repeated = this.#acknowledged.filter(({ atMs }) => atMs > lostAtMs - this.#repeatMs)
      lostAtMs = Number.POSITIVE_INFINITY
      for (const { publication } of repeated) {
        const { topic, payload, contentType, traceparent } = publication
        // A failure here is ignored, because the message was acknowledged before.
        this.publish(topic, payload, contentType, traceparent).catch(() => {})
      }
    })
  }

  async #untilDone(work: () => Promise<unknown>): Promise<void> {
    for (;;) {
      try {
        await work()
        return
      } catch (error) {
        // When the connection is lost again, mqtt.js drops messages that wait behind its own retransmissions.
        const isLost = error instanceof Error && error.message === 'Connection closed'
        if (!isLost || this.#isClosed) throw error
        await pause(RETRY_MS, NEVER)
      }
    }
  }

  close(): Promise<void> {
    this.#isClosed = true
    return this.#client.endAsync()
  }
}

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
  /** How long to wait for results after the last frame was published. */
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
 * Streams a recording and waits for a result of each window. No data about the person is sent.
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
  const results = new ResultLog({ ...options, session, rateHz: recording.rateHz })
  const problems: Problem[] = []
  await link.listen(topic('results'), (payload) => results.received(payload))
  await link.listen(topic('cmd'), (payload) => {
    // The adapter's own message, see its `tellDevice`.
    const { problem } = JSON.parse(payload.toString()) as { readonly problem?: Problem }
    if (problem === undefined) return
    problems.push(problem)
    options.onProblem?.(problem)
  })
  await pause(delayMs, signal)

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
    const published = link.publish(toTopic, encode(frame), contentTypeOf(encoding))
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
  await Promise.all([link.unlisten(topic('results')), link.unlisten(topic('cmd'))])
  return { session, windows: results.timings, problems, coarsened: wire.coarsened }
}

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
  /** Distinct bodies, by version. */
  readonly bodies: Map<number, Set<string>>
}

/** Windows that were sent, and results that arrived. */
class ResultLog {
  readonly #options: StreamOptions & { readonly session: string; readonly rateHz: number }
  readonly #whole: number
  readonly #expected = new Map<EcgId, Expected>()
  #waiting = 0
  readonly #done = Promise.withResolvers<void>()
  #isEnded = false

  constructor(options: StreamOptions & { readonly session: string; readonly rateHz: number }) {
    this.#options = options
    this.#whole = windowSamples(options.rateHz)
  }

  get timings(): readonly WindowTiming[] {
    return [...this.#expected].map(([ecgId, expected]) => timingOf(ecgId, expected))
  }

  /** Records the window that this frame completes, if any. */
  expect({ firstSample, isLast }: Frame, endSample: number): void {
    const boundary = Math.floor(endSample / this.#whole) * this.#whole
    if (boundary > firstSample) this.#add(boundary - this.#whole)
    if (isLast) {
      if (endSample - boundary >= MIN_WINDOW_S * this.#options.rateHz) this.#add(boundary)
      this.#isEnded = true
    }
  }

  received(payload: Buffer): void {
    const atMs = performance.now()
    const body = payload.toString()
    const result = readResult(body)
    const expected = result && this.#expected.get(result.ecgId)
    if (result === undefined || expected === undefined) return
    const bodies = expected.bodies.get(result.version) ?? new Set()
    const isFirst = expected.bodies.size === 0
    expected.bodies.set(result.version, bodies.add(body))
    if (bodies.size > 1) return
    if (isFirst) {
      expected.latencyMs = atMs - expected.publishedAtMs
      this.#waiting--
    }
    // Also called for a correction.
    this.#options.onResult?.(result, timingOf(result.ecgId, expected))
    this.#check()
  }

  /** Resolves when every window has its result, or after the timeout. */
  async complete(timeoutMs: number): Promise<void> {
    this.#check()
    const timeUp = new AbortController()
    await Promise.race([this.#done.promise, pause(timeoutMs, timeUp.signal)])
    timeUp.abort()
  }

  #add(firstSample: number): void {
    const { tenant, device, session } = this.#options
    const ecgId = streamEcgId({ tenant, source: 'mqtt', device, session, firstSample })
    this.#expected.set(ecgId, { firstSample, publishedAtMs: performance.now(), bodies: new Map() })
    this.#waiting++
  }

  #check(): void {
    if (this.#isEnded && this.#waiting === 0) this.#done.resolve()
  }
}

function timingOf(ecgId: EcgId, { bodies, latencyMs, ...window }: Expected): WindowTiming {
  const results = Math.max(0, ...[...bodies.values()].map(({ size }) => size))
  return { ecgId, ...window, ...(latencyMs === undefined ? {} : { latencyMs }), results }
}

/** A result; `undefined` for any other message on the topic. */
function readResult(body: string): Result | undefined {
  try {
    return parseResult(body)
  } catch {
    return undefined
  }
}
