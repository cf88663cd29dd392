/**
 * From a payload to the journal: decode, validate, assign to a session, write, and only then acknowledge.
 *
 * All payloads since the last commit share the next one. The broker's limit on unacknowledged messages limits how many wait.
 * @module
 */
import { type EcgId, streamEcgId } from '../../shared/domain/ecg-id.ts'
import type { Frame } from '../../shared/domain/frame.ts'
import { CodedError, type ErrorCode, toCodedError } from '../../shared/errors.ts'
import { decodeFrame, decodeWindow } from './frame-codec.ts'
import { type FrameEnd, type Problem, REASON, reasonFor } from './frame-end.ts'
import type { Journal, SessionKey } from './journal.ts'
import { checkRestart, closeLate, LATE_PATIENCE_MS, type LateWindow, noteFirst, takeLate } from './late-frames.ts'
import { DEFAULT_LIMITS, type LimitName, Limits } from './limits.ts'
import { type Session, Sessions, sessionAt } from './sessions.ts'
import { parseTopic, type Topic } from './topics.ts'
import { type ClosedWindow, type Offer, WindowAssembler } from './window-assembler.ts'

/** A message from the broker. */
export interface Arrival {
  readonly topic: string
  readonly payload: Uint8Array
  readonly contentType: string | undefined
  /** As the device sent it, not validated. */
  readonly traceparent?: string | undefined
  /** Tells the broker that the message is stored. Reason codes are those of MQTT 5; on 3.1.1 they are not sent. */
  acknowledge(reasonCode: number): void
}

/** An ECG whose device does not have its result. */
export interface MissedResult {
  readonly tenant: string
  readonly device: string
  readonly ecgId: EcgId
}

/** Called after the commit. */
export interface IngestOutput {
  /** @param traceparents those of the frames that closed the windows, if any; kept in memory only */
  windowsClosed(windowIds: readonly number[], traceparents?: ReadonlyMap<number, string>): void
  /**
   * @param rejectId for `Journal.readReject`; `undefined` for a payload that is not kept, because its device or tenant exceeds a limit
   * @param limit the limit that was reached, if any
   */
  refused(rejectId: number | undefined, problem: Problem, topic: Topic | undefined, limit?: LimitName): void
  /** Devices repeat the frames of these ECGs, and nothing of them is missing. Absent: nobody publishes a result again. */
  resultsMissed?(missed: readonly MissedResult[]): void
  /** The journal cannot be written. Memory is ahead of it, so this process must end and restart. */
  failed(error: unknown): void
}

export interface Clock {
  /** Milliseconds since 1970; may jump when the machine's clock is set. */
  now(): number
  /** Milliseconds that never go backwards. */
  monotonic(): number
  /** The part of this time in which devices could be heard (`ListeningClock`), by which their silence is measured. Absent: all of it. */
  listening?(): number
}

export interface IngestOptions {
  readonly journal: Journal
  readonly output: IngestOutput
  readonly clock: Clock
  /** A session without frames for this long is closed. */
  readonly idleMs: number
  readonly limits?: Limits
}

/** Least time between two commits. At 1,000 frames/s eight frames share one, and a single frame is not delayed. */
const COMMIT_INTERVAL_MS = 8

/** Number of frames by outcome, since the start. */
export type FrameCounts = Readonly<Record<Offer['kind'] | 'refused', number>>

export class Ingest {
  readonly #options: IngestOptions
  readonly #limits: Limits
  readonly #sessions = new Sessions()
  #arrivals: Arrival[] = []
  #settled: (() => void)[] = []
  #scheduled = false
  #committedAtMs = -Infinity
  #hasFailed = false
  readonly #counts = { accepted: 0, repeated: 0, late: 0, refused: 0 }

  constructor(options: IngestOptions) {
    this.#options = options
    this.#limits = options.limits ?? new Limits(DEFAULT_LIMITS, options.clock.monotonic)
  }

  get counts(): FrameCounts {
    return this.#counts
  }

  /** Sessions in memory. */
  get sessions(): number {
    return this.#sessions.size
  }

  /** Continues with what an earlier process left: open sessions and unsent windows. */
  recover(): void {
    const { journal, output } = this.#options
    for (const key of journal.openSessions()) this.#sessionOf(key)
    output.windowsClosed(journal.pendingWindows())
  }

  receive(arrival: Arrival): void {
    this.#arrivals.push(arrival)
    this.#schedule()
  }

  /** Adds a change to the next commit; its time does not matter. */
  afterwards(change: () => void): void {
    this.#settled.push(change)
    this.#schedule()
  }

  /** Commits everything that has arrived, then acknowledges it. */
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
        const { id, problem, topic, limit } = outcome.reject
        this.#options.output.refused(id, problem, topic, limit)
      }
    }
    const closed = outcomes?.flatMap(({ windowIds }) => windowIds) ?? []
    if (closed.length > 0) this.#options.output.windowsClosed(closed, traceparents)
  }

  /** The adapter itself was away: every session gets its full idle time again, so that devices can send what they kept. */
  resumed(): void {
    const nowMs = this.#listeningMs
    for (const session of this.#sessions) {
      session.lastFrameAtMs = nowMs
      session.lastLateAtMs = nowMs
    }
  }

  /** Closes overdue windows, and sessions that have been silent for too long. */
  sweep(): void {
    const { idleMs, output } = this.#options
    const nowMs = this.#listeningMs
    const excess = this.#sessions.excess()
    this.#reportMissed()
    const closed = this.#write(() =>
      [...this.#sessions].flatMap((session) => {
        const { assembler } = session
        const late = nowMs - session.lastLateAtMs >= LATE_PATIENCE_MS ? this.#closeLate(session) : []
        const isEnding = excess.has(session) || nowMs - session.lastFrameAtMs >= idleMs
        if (!isEnding) return [...late, ...this.#advance(session, assembler.closeReady(nowMs))]
        const ended = this.#advance(session, assembler.close())
        if (assembler.past.reopened.length === 0) this.#sessions.delete(session)
        return [...late, ...ended]
      }),
    )
    if (closed !== undefined && closed.length > 0) output.windowsClosed(closed)
  }

  /** Reports the windows that devices repeat although they are complete, or were closed short and got nothing new. */
  #reportMissed(): void {
    const nowMs = this.#options.clock.monotonic()
    const missed: MissedResult[] = []
    for (const { key, assembler, repeated } of this.#sessions) {
      for (const firstSample of repeated.take(nowMs)) {
        const [hole] = assembler.past.within(firstSample, firstSample + 1)
        // A new version follows, or there never was one.
        const hasResult = hole === undefined || (!hole.isReopened && hole.version > 0)
        if (!hasResult || this.#limits.take('results', key) !== undefined) continue
        const { tenant, device } = key
        missed.push({ tenant, device, ecgId: streamEcgId({ source: 'mqtt', ...key, firstSample }) })
      }
    }
    if (missed.length > 0) this.#options.output.resultsMissed?.(missed)
  }

  /**
   * Gives up corrections that have been awaited since before `beforeMs` (or the oldest `most` of them).
   * @returns number of windows, or runs of windows
   */
  expire(beforeMs: number, most?: number): number {
    const expired = this.#write(() => this.#options.journal.expireHoles(beforeMs, most)) ?? []
    const sessions = new Map([...this.#sessions].map((session) => [session.id, session]))
    for (const { sessionId, firstSample, endSample } of expired) {
      const session = sessions.get(sessionId)
      if (session === undefined) continue
      session.assembler.past.forget(firstSample)
      session.expiredThrough = Math.max(session.expiredThrough, endSample)
    }
    return expired.length
  }

  get #listeningMs(): number {
    const { clock } = this.#options
    return clock.listening?.() ?? clock.monotonic()
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

  #take(arrival: Arrival): FrameEnd {
    let topic: Topic | undefined
    let frame: Frame
    try {
      topic = parseTopic(arrival.topic)
      const limit = this.#limits.take('frames', topic) ?? this.#limits.bytes(topic)
      if (limit !== undefined) return this.#limit(limit, topic)
      const decode = topic.channel === 'window' ? decodeWindow : decodeFrame
      frame = decode(arrival.payload, arrival.contentType, this.#options.clock.now())
    } catch (error) {
      // Whatever a payload does to its parser, it must not be delivered again and again.
      return this.#refuse(arrival, toCodedError(error), topic, undefined)
    }
    try {
      return this.#place(topic, frame)
    } catch (error) {
      if (!(error instanceof CodedError)) throw error
      return this.#refuse(arrival, error, topic, frame)
    }
  }

  #place(topic: Topic, frame: Frame): FrameEnd {
    const { journal, clock } = this.#options
    const key: SessionKey = { tenant: topic.tenant, device: topic.device, session: frame.session }
    let session = this.#sessionOf(key)
    if (session === undefined) {
      const limit = this.#limits.take('sessions', topic)
      if (limit !== undefined) return this.#limit(limit, topic, frame)
      session = this.#begin(key, frame)
    }
    this.#checkAgainstClosed(session, frame)
    const pastEnd = session.assembler.closedThrough
    const offer = session.assembler.offer(frame, this.#listeningMs, clock.now())
    if (offer.kind === 'late') checkRestart(session, frame, journal)
    const late = this.#late(session, frame, offer, pastEnd)
    const isRepeated = late === undefined && offer.kind !== 'accepted'
    this.#counts[isRepeated ? 'repeated' : offer.kind]++
    this.#sessions.touch(session, this.#listeningMs)
    if (!isRepeated) noteFirst(session, frame, journal)
    else {
      const { firstSample, samples, leads } = frame
      const endSample = firstSample + samples.length / leads.length
      session.repeated.note(firstSample, Math.min(endSample, pastEnd), clock.monotonic())
    }
    if (offer.kind === 'accepted') journal.addFrame(session.id, frame, offer.extent)
    // Before the late ones: writing those down removes frames of closed windows that are not written down.
    const closed = offer.kind === 'accepted' ? this.#advance(session, offer.closed) : []
    const completed = late === undefined ? [] : this.#closeLate(session, late)
    return { reason: REASON.success, windowIds: [...completed, ...closed] }
  }

  /** Takes the part of a frame that fills a gap in the session's past. Returns the windows that it reopens. */
  #late(session: Session, frame: Frame, offer: Offer, pastEnd: number): readonly number[] | undefined {
    if (offer.kind === 'repeated') return undefined
    const windows = takeLate(session, frame, offer.kind === 'late', pastEnd, this.#options.journal)
    if (windows !== undefined) session.lastLateAtMs = this.#listeningMs
    return windows
  }

  /** The assembler drops frames of closed windows. A frame that extends beyond these must not overlap the remaining ones. */
  #checkAgainstClosed({ id, assembler }: Session, { sequence, firstSample, leads, samples }: Frame): void {
    const { closedThrough } = assembler
    const isAcross = firstSample < closedThrough && firstSample + samples.length / leads.length > closedThrough
    if (!isAcross) return
    const held = this.#options.journal.frameAt(id, firstSample, assembler.format)
    if (held !== undefined && held.sequence !== sequence)
      throw new CodedError('sequence-invalid', { field: 'firstSample' })
    const { before, behind } = this.#options.journal.neighbours(id, firstSample)
    const overlaps = (before?.endSample ?? 0) > firstSample || (behind?.firstSample ?? closedThrough) < closedThrough
    if (overlaps) throw new CodedError('sequence-invalid', { field: 'firstSample' })
  }

  /** Stores closed windows and the session's progress. Returns the windows' ids. */
  #advance(session: Session, closed: readonly ClosedWindow[]): readonly number[] {
    const { assembler } = session
    if (assembler.closedThrough === session.writtenThrough) return []
    session.writtenThrough = assembler.closedThrough
    const isShort = ({ firstSample }: ClosedWindow) => assembler.past.within(firstSample, firstSample + 1).length > 0
    return this.#writeDown(
      session,
      closed.map((window) => ({ ...window, version: 1, isShort: isShort(window) })),
    )
  }

  /** Closes reopened windows again: those of `windows` that are now complete, or all of them, complete or not. */
  #closeLate(session: Session, windows?: readonly number[]): readonly number[] {
    const closed = closeLate(session, this.#options.journal, windows)
    return closed.length === 0 && windows === undefined ? [] : this.#writeDown(session, closed)
  }

  #writeDown(session: Session, windows: readonly LateWindow[]): readonly number[] {
    const { journal, clock } = this.#options
    const { id, assembler, repeated } = session
    const nowMs = clock.now()
    for (const { firstSample } of windows) repeated.closed(firstSample, clock.monotonic())
    // The windows first: frames that nothing needs are removed with them.
    const changes = assembler.past.takeChanges()
    journal.saveHoles(id, changes, nowMs)
    return journal.closeWindows(id, windows, assembler.state, nowMs)
  }

  #sessionOf(key: SessionKey): Session | undefined {
    const held = this.#sessions.get(key)
    if (held !== undefined) return held
    const stored = this.#options.journal.findSession(key)
    if (stored === undefined) return undefined
    const session = sessionAt(stored.id, key, new WindowAssembler(stored.state), stored)
    session.lastLateAtMs = this.#listeningMs
    return this.#sessions.touch(session, this.#listeningMs)
  }

  #begin(key: SessionKey, frame: Frame): Session {
    const { journal, clock } = this.#options
    const assembler = WindowAssembler.begin(frame)
    const id = journal.addSession(key, assembler.state, clock.now())
    journal.saveHoles(id, assembler.past.takeChanges(), clock.now())
    return sessionAt(id, key, assembler)
  }

  #refuse(arrival: Arrival, error: CodedError, topic: Topic | undefined, frame: Frame | undefined): FrameEnd {
    const { code, detail } = error
    this.#counts.refused++
    const field = detail.field === undefined ? undefined : String(detail.field)
    const problem: Problem = {
      code,
      ...(field === undefined ? {} : { field }),
      ...(frame === undefined ? {} : { session: frame.session, sequence: frame.sequence }),
    }
    // Senders that the topic does not identify share one name.
    const limit = this.#limits.take('refusals', topic ?? { tenant: '', device: '' })
    const id = limit === undefined ? this.#keep(arrival, code, field) : undefined
    return { reason: reasonFor(topic, frame), windowIds: [], reject: { id, problem, topic, limit } }
  }

  #keep({ topic, contentType, payload }: Arrival, code: ErrorCode, field: string | undefined): number {
    // An oversized payload is not kept, because it must not fill the disk.
    const kept = code === 'payload-too-large' ? new Uint8Array() : payload
    return this.#options.journal.addReject({ topic, contentType, code, field, payload: kept })
  }

  /** Refuses a payload that exceeds a limit, and keeps nothing of it. */
  #limit(limit: LimitName, topic: Topic, frame?: Frame): FrameEnd {
    this.#counts.refused++
    const problem: Problem = {
      code: 'limit-exceeded',
      field: limit.split('-')[1]!,
      ...(frame === undefined ? {} : { session: frame.session, sequence: frame.sequence }),
    }
    return { reason: REASON.quotaExceeded, windowIds: [], reject: { id: undefined, problem, topic, limit } }
  }
}
