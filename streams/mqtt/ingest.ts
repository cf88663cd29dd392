/**
 * From a payload to the journal: decode, check, place in its session, write, and only then acknowledge.
 *
 * All that arrived since the last commit shares the next one. The broker's own window of unacknowledged messages bounds what waits.
 * @module
 */
import type { Frame } from '../../shared/domain/frame.ts'
import { sentenceOf } from '../../shared/error-sentences.ts'
import { CodedError, type ErrorCode, toCodedError } from '../../shared/errors.ts'
import { decodeFrame, decodeWindow } from './frame-codec.ts'
import type { Journal, SessionKey } from './journal.ts'
import { parseTopic, type Topic } from './topics.ts'
import { type ClosedWindow, type Offer, WindowAssembler } from './window-assembler.ts'

/** Something that came from the broker. */
export interface Arrival {
  readonly topic: string
  readonly payload: Uint8Array
  readonly contentType: string | undefined
  /** As the device sent it, unchecked. */
  readonly traceparent?: string | undefined
  /** Tells the broker that the message is ours now. Reason codes are those of MQTT 5; on 3.1.1 they are not sent. */
  acknowledge(reasonCode: number): void
}

/** What a device is told about a payload that was refused. */
export interface Problem {
  readonly code: ErrorCode
  /** What is wrong, where, and what to do, in words. */
  readonly message: string
  readonly field?: string
  readonly session?: string
  readonly sequence?: number
}

/** Where it goes from here, after the commit. */
export interface IngestOutput {
  /** @param traceparents of the frames that closed them, where they had one; kept in memory only */
  windowsClosed(windowIds: readonly number[], traceparents?: ReadonlyMap<number, string>): void
  refused(rejectId: number, problem: Problem, topic: Topic | undefined): void
  /** The journal cannot be written: what is in memory is ahead of it, so this process must end and start again. */
  failed(error: unknown): void
}

export interface Clock {
  /** Milliseconds since 1970; may jump when the machine's clock is set. */
  now(): number
  /** Milliseconds that only go forward: what waiting is measured by. */
  monotonic(): number
}

export interface IngestOptions {
  readonly journal: Journal
  readonly output: IngestOutput
  readonly clock: Clock
  /** A session without frames for so long is closed. */
  readonly idleMs: number
}

/** Least time between two commits: at 1,000 frames/s it makes one of eight, and costs a lone frame nothing. */
const COMMIT_INTERVAL_MS = 8

/** Sessions held in memory, some kilobytes each; beyond it the longest silent is closed. */
const MAX_SESSIONS = 10_000

/** MQTT 5, section 3.4.2.1. */
const REASON = {
  success: 0x00,
  implementationSpecific: 0x83,
  topicNameInvalid: 0x90,
  payloadFormatInvalid: 0x99,
} as const

/** How many frames came to what end, since the start. */
export type FrameCounts = Readonly<Record<Offer['kind'] | 'refused', number>>

interface Session {
  readonly id: number
  readonly assembler: WindowAssembler
  lastFrameAtMs: number
  /** The assembler's `closedThrough` as the journal has it. */
  writtenThrough: number
}

export class Ingest {
  readonly #options: IngestOptions
  /** In the order of their last frame. */
  readonly #sessions = new Map<string, Session>()
  #arrivals: Arrival[] = []
  #settled: (() => void)[] = []
  #scheduled = false
  #committedAtMs = -Infinity
  #hasFailed = false
  readonly #counts = { accepted: 0, repeated: 0, late: 0, refused: 0 }

  constructor(options: IngestOptions) {
    this.#options = options
  }

  get counts(): FrameCounts {
    return this.#counts
  }

  /** Sessions in memory. */
  get sessions(): number {
    return this.#sessions.size
  }

  /** Takes up what an earlier process left: its open sessions, its unsent windows. */
  recover(): void {
    const { journal, output } = this.#options
    for (const key of journal.openSessions()) this.#sessionOf(key)
    output.windowsClosed(journal.pendingWindows())
  }

  receive(arrival: Arrival): void {
    this.#arrivals.push(arrival)
    this.#schedule()
  }

  /** Adds a change to the next commit; nothing depends on when that is. */
  afterwards(change: () => void): void {
    this.#settled.push(change)
    this.#schedule()
  }

  /** Commits all that has arrived, then acknowledges it. */
  flush(): void {
    const [arrivals, settled] = [this.#arrivals, this.#settled]
    if (arrivals.length === 0 && settled.length === 0) return
    this.#arrivals = []
    this.#settled = []
    const outcomes = this.#write(() => {
      for (const change of settled) change()
      return arrivals.map((arrival) => this.#take(arrival))
    })
    const traceparents = new Map<number, string>()
    for (const [index, outcome] of outcomes?.entries() ?? []) {
      const { traceparent } = arrivals[index]!
      arrivals[index]!.acknowledge(outcome.reason)
      if (traceparent !== undefined) for (const id of outcome.windowIds) traceparents.set(id, traceparent)
      if (outcome.reject !== undefined) {
        this.#options.output.refused(outcome.reject.id, outcome.reject.problem, outcome.reject.topic)
      }
    }
    const closed = outcomes?.flatMap(({ windowIds }) => windowIds) ?? []
    if (closed.length > 0) this.#options.output.windowsClosed(closed, traceparents)
  }

  /** Closes windows that are overdue, and sessions that have been silent for too long. */
  sweep(): void {
    const { clock, idleMs, output } = this.#options
    const nowMs = clock.monotonic()
    const names = [...this.#sessions.keys()]
    const excess = new Set(names.slice(0, Math.max(0, names.length - MAX_SESSIONS)))
    const isEnding = (name: string, session: Session) => excess.has(name) || nowMs - session.lastFrameAtMs >= idleMs
    const closed = this.#write(() =>
      [...this.#sessions].flatMap(([name, session]) => {
        if (!isEnding(name, session)) return this.#advance(session, session.assembler.closeReady(nowMs))
        this.#sessions.delete(name)
        return this.#advance(session, session.assembler.close())
      }),
    )
    if (closed !== undefined && closed.length > 0) output.windowsClosed(closed)
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    const commit = () => {
      this.#scheduled = false
      this.#committedAtMs = this.#options.clock.monotonic()
      this.flush()
    }
    const waitMs = this.#committedAtMs + COMMIT_INTERVAL_MS - this.#options.clock.monotonic()
    if (waitMs > 0) setTimeout(commit, waitMs)
    else setImmediate(commit)
  }

  #write<T>(change: () => T): T | undefined {
    if (this.#hasFailed) return undefined
    try {
      return this.#options.journal.transaction(change)
    } catch (error) {
      this.#hasFailed = true
      this.#options.output.failed(error)
      return undefined
    }
  }

  #take(arrival: Arrival): Outcome {
    let topic: Topic | undefined
    let frame: Frame
    try {
      topic = parseTopic(arrival.topic)
      const decode = topic.channel === 'window' ? decodeWindow : decodeFrame
      frame = decode(arrival.payload, arrival.contentType, this.#options.clock.now())
    } catch (error) {
      // Whatever a payload does to its parser, it must not come again and again.
      return this.#refuse(arrival, toCodedError(error), topic, undefined)
    }
    try {
      return { reason: REASON.success, windowIds: this.#place(topic, frame) }
    } catch (error) {
      if (!(error instanceof CodedError)) throw error
      return this.#refuse(arrival, error, topic, frame)
    }
  }

  #place({ tenant, device }: Topic, frame: Frame): readonly number[] {
    const { journal, clock } = this.#options
    const key: SessionKey = { tenant, device, session: frame.session }
    const session = this.#sessionOf(key) ?? this.#begin(key, frame)
    this.#checkAgainstClosed(session, frame)
    const offer = session.assembler.offer(frame, clock.monotonic())
    this.#counts[offer.kind]++
    this.#touch(key, session)
    if (offer.kind !== 'accepted') return []
    journal.addFrame(session.id, frame, offer.extent)
    return this.#advance(session, offer.closed)
  }

  /** The assembler forgets the frames of closed windows; one that reaches beyond these must not overlap what is held of them. */
  #checkAgainstClosed({ id, assembler: { closedThrough } }: Session, { firstSample, leads, samples }: Frame): void {
    const isAcross = firstSample < closedThrough && firstSample + samples.length / leads.length > closedThrough
    if (isAcross && this.#options.journal.holdsFrameEnding(id, firstSample, closedThrough)) {
      throw new CodedError('sequence-invalid', { field: 'firstSample' })
    }
  }

  /** Writes down windows that were closed, and how far the session has come; returns the windows' ids. */
  #advance(session: Session, closed: readonly ClosedWindow[]): readonly number[] {
    const { id, assembler } = session
    if (assembler.closedThrough === session.writtenThrough) return []
    session.writtenThrough = assembler.closedThrough
    return this.#options.journal.closeWindows(id, closed, assembler.state, this.#options.clock.now())
  }

  #sessionOf(key: SessionKey): Session | undefined {
    const held = this.#sessions.get(sessionName(key))
    if (held !== undefined) return held
    const stored = this.#options.journal.findSession(key)
    if (stored === undefined) return undefined
    return this.#touch(key, sessionAt(stored.id, new WindowAssembler(stored.state)))
  }

  #begin(key: SessionKey, frame: Frame): Session {
    const { journal, clock } = this.#options
    const assembler = WindowAssembler.begin(frame)
    return sessionAt(journal.addSession(key, assembler.state, clock.now()), assembler)
  }

  #touch(key: SessionKey, session: Session): Session {
    session.lastFrameAtMs = this.#options.clock.monotonic()
    const name = sessionName(key)
    this.#sessions.delete(name)
    this.#sessions.set(name, session)
    return session
  }

  #refuse(arrival: Arrival, error: CodedError, topic: Topic | undefined, frame: Frame | undefined): Outcome {
    const { code, detail } = error
    this.#counts.refused++
    const field = detail.field === undefined ? undefined : String(detail.field)
    const { contentType } = arrival
    // An oversize payload is not kept: it is what must not fill the disk.
    const payload = code === 'payload-too-large' ? new Uint8Array() : arrival.payload
    const id = this.#options.journal.addReject({ topic: arrival.topic, contentType, code, field, payload })
    const problem: Problem = {
      code,
      message: sentenceOf({ code, detail }),
      ...(field === undefined ? {} : { field }),
      ...(frame === undefined ? {} : { session: frame.session, sequence: frame.sequence }),
    }
    return { reason: reasonFor(topic, frame), windowIds: [], reject: { id, problem, topic } }
  }
}

function sessionAt(id: number, assembler: WindowAssembler): Session {
  return { id, assembler, lastFrameAtMs: 0, writtenThrough: assembler.closedThrough }
}

interface Outcome {
  readonly reason: number
  readonly windowIds: readonly number[]
  readonly reject?: { readonly id: number; readonly problem: Problem; readonly topic: Topic | undefined }
}

function reasonFor(topic: Topic | undefined, frame: Frame | undefined): number {
  if (topic === undefined) return REASON.topicNameInvalid
  return frame === undefined ? REASON.payloadFormatInvalid : REASON.implementationSpecific
}

function sessionName({ tenant, device, session }: SessionKey): string {
  // None of the three can hold a slash.
  return `${tenant}/${device}/${session}`
}
