/**
 * A ward in one process and in its own time: devices that send frames, a broker that keeps what is not acknowledged, and the adapter's `Ingest` over a
 * real journal. It can be stalled, disconnected or killed; every frame that was acknowledged is known, so that the windows can be checked against them.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Frame } from '../../../../shared/domain/frame.ts'
import { MISSING_SAMPLE } from '../../../../shared/domain/recording.ts'
import { decodeFrame, encodeFrame } from '../../../../streams/mqtt/frame-codec.ts'
import type { Problem } from '../../../../streams/mqtt/frame-end.ts'
import { Ingest } from '../../../../streams/mqtt/ingest.ts'
import { Journal } from '../../../../streams/mqtt/journal.ts'
import { ListeningClock } from '../../../../streams/mqtt/listening.ts'
import { makeFrame, NOW, sampleAt } from './factories.ts'

/** In memory if there is such a folder: thousands of commits, none of which must survive a power loss. */
const FAST_FOLDER = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

const CONNECTION = 'adapter'
const FRAME_SAMPLES = 50
const RATE_HZ = 100
export const WINDOW_SAMPLES = 1000
export const FRAME_MS = 500
export const IDLE_MS = 120_000

/** A window as the adapter handed it over. */
export interface SentWindow {
  readonly device: string
  readonly session: string
  readonly firstSample: number
  readonly version: number
  readonly isShort: boolean
  readonly samples: Int32Array
}

interface Message {
  readonly device: string
  readonly frame: Frame
  isAcknowledged: boolean
}

export class Ward {
  readonly sent: SentWindow[] = []
  readonly problems: Problem[] = []
  readonly #folder = mkdtempSync(join(FAST_FOLDER, 'ward-'))
  readonly #sequences = new Map<string, number>()
  /** What devices have taken and not yet handed to the broker. */
  readonly #kept = new Map<string, Frame[]>()
  #queue: Message[] = []
  readonly #acknowledged: Message[] = []
  #nowMs = 0
  #journal!: Journal
  #listening!: ListeningClock
  #ingest!: Ingest
  #isUp = false
  /** Counts starts and kills. */
  #life = 0

  constructor() {
    this.start()
  }

  /** The adapter begins, with what its journal holds. */
  start(): void {
    this.#journal = new Journal(join(this.#folder, 'journal.db'))
    this.#listening = new ListeningClock([CONNECTION], () => this.#nowMs)
    const listening = this.#listening
    const life = ++this.#life
    this.#ingest = new Ingest({
      journal: this.#journal,
      clock: { now: () => NOW + this.#nowMs, monotonic: () => this.#nowMs, listening: () => listening.now() },
      idleMs: IDLE_MS,
      output: {
        windowsClosed: (ids) => this.#hand(ids),
        refused: (_id, problem) => this.problems.push(problem),
        failed: (error) => {
          // A killed process leaves a pending commit that never completes.
          if (life === this.#life) throw error
        },
      },
    })
    this.#ingest.recover()
    this.connect()
  }

  /** It ends without a word, with what has arrived and is not committed. */
  kill(): void {
    for (const message of this.#queue) this.#offer(message)
    this.#journal.close()
    this.#life++
    this.#isUp = false
  }

  connect(): void {
    this.#isUp = true
    this.#listening.up(CONNECTION)
  }

  disconnect(): void {
    this.#isUp = false
    this.#listening.down(CONNECTION)
  }

  /** A device records frames, which it keeps until `hand`. */
  take(device: string, count: number, last = false): void {
    const kept = this.#kept.get(device) ?? []
    this.#kept.set(device, kept)
    for (let index = 0; index < count; index++) {
      const sequence = this.#sequences.get(device) ?? 0
      this.#sequences.set(device, sequence + 1)
      const frame = makeFrame({
        session: 's1',
        sequence,
        length: FRAME_SAMPLES,
        rateHz: RATE_HZ,
        sessionStartedAtMs: NOW,
        isLast: last && index === count - 1,
      })
      kept.push(frame)
    }
  }

  /** A device sends its kept frames to the broker, in any order and with repeats. */
  publish(device: string, arrange: (frames: readonly Frame[]) => readonly Frame[] = (frames) => frames): void {
    const frames = this.#kept.get(device) ?? []
    this.#kept.delete(device)
    for (const frame of arrange(frames)) this.#queue.push({ device, frame, isAcknowledged: false })
  }

  /** A device sends payloads to the broker that it has sent before. */
  repeat(device: string, payloads: readonly Buffer[]): void {
    for (const payload of payloads) {
      this.#queue.push({ device, frame: decodeFrame(payload, undefined, NOW + this.#nowMs), isAcknowledged: false })
    }
  }

  get nowMs(): number {
    return this.#nowMs
  }

  /** The broker hands over what waits, if it can. */
  deliver(): void {
    if (!this.#isUp) return
    this.#listening.heard(CONNECTION)
    for (const message of this.#queue) this.#offer(message)
    this.#ingest.flush()
    this.#queue = this.#queue.filter(({ isAcknowledged }) => !isAcknowledged)
  }

  /** Time goes by in a process that runs; pings are answered while it is connected. */
  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 1000) {
      this.#nowMs += Math.min(left, 1000)
      if (this.#isUp) this.#listening.heard(CONNECTION)
      this.upkeep()
    }
  }

  /** Time goes by without the process. */
  sleep(ms: number): void {
    this.#nowMs += ms
  }

  upkeep(): void {
    if (this.#listening.takeReturn()) this.#ingest.resumed()
    this.#ingest.sweep()
  }

  /** A connection is dead without notice: no packet arrives until the keepalive ends it. */
  goDeaf(ms: number): void {
    for (let left = ms; left > 0; left -= 1000) {
      this.#nowMs += Math.min(left, 1000)
      this.upkeep()
    }
    this.disconnect()
  }

  /** The newest version of each window of a device. */
  current(device: string): readonly SentWindow[] {
    const newest = new Map<number, SentWindow>()
    for (const window of this.sent.filter((each) => each.device === device)) {
      const known = newest.get(window.firstSample)
      if (known === undefined || known.version < window.version) newest.set(window.firstSample, window)
    }
    return [...newest.values()].sort((a, b) => a.firstSample - b.firstSample)
  }

  /** Samples of lead 0 that were acknowledged, by their place; each is in exactly one current window, which has nothing else. */
  differences(device: string): string[] {
    const expected = new Set<number>()
    for (const { frame } of this.#acknowledged.filter((each) => each.device === device)) {
      for (let at = 0; at < FRAME_SAMPLES; at++) expected.add(frame.firstSample + at)
    }
    // A session's last window of less than a second is not sent.
    const last = this.#acknowledged.find((each) => each.device === device && each.frame.isLast)
    const end = last === undefined ? 0 : last.frame.firstSample + FRAME_SAMPLES
    if (end % WINDOW_SAMPLES < RATE_HZ) for (let at = end - (end % WINDOW_SAMPLES); at < end; at++) expected.delete(at)
    const found: string[] = []
    for (const { firstSample, samples } of this.current(device)) {
      for (const [at, value] of samples.entries()) {
        const place = firstSample + at
        if (value === MISSING_SAMPLE) continue
        if (value !== sampleAt(0, place)) found.push(`${device}: another sample at ${place}`)
        if (!expected.delete(place)) found.push(`${device}: sample ${place} twice, or never sent`)
      }
    }
    if (expected.size > 0) found.push(`${device}: ${expected.size} samples lost, from ${Math.min(...expected)}`)
    return found
  }

  end(): void {
    this.#journal.close()
    rmSync(this.#folder, { recursive: true })
  }

  get heldBytes(): number {
    return this.#journal.holdings().reduce((sum, { bytes }) => sum + bytes, 0)
  }

  #offer(message: Message): void {
    this.#ingest.receive({
      topic: `ecg/v1/clinic/${message.device}/frames`,
      payload: encodeFrame(message.frame),
      contentType: undefined,
      acknowledge: (reason) => {
        message.isAcknowledged = true
        if (reason === 0) this.#acknowledged.push(message)
      },
    })
  }

  /** SQS accepts each window at once. */
  #hand(ids: readonly number[]): void {
    for (const id of ids) {
      const { device, session, firstSample, version = 1, isShort = false, waveform } = this.#journal.readWindow(id)
      this.sent.push({ device, session, firstSample, version, isShort, samples: waveform.leads[0]!.samples })
    }
    const journal = this.#journal
    this.#journal.transaction(() => {
      for (const id of ids) journal.windowSent(id)
    })
  }
}
