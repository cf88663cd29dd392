/**
 * Decides which frames of a session form which window, and when a window is closed. Pure: its clock is an argument, its samples are
 * elsewhere.
 *
 * Windows are [k·10 s, (k+1)·10 s) of the session's samples. A window is closed
 * - when all its samples have arrived;
 * - when its frames are numbered without a gap, so that what is missing was never sent;
 * - when it is overdue: a frame has arrived that starts 2 s or more after its end, and five seconds have passed since;
 * - when the session's last frame leaves nothing to wait for; or
 * - when the session falls silent.
 *
 * A window without any samples is never made. A window that is closed incomplete is recorded in `past`: late frames may still complete it.
 * Memory is limited: only the extents of frames that reach beyond the last closed window are held, which is 12 s of them (20 s where whole
 * windows arrive), and those that arrive in the grace time.
 * @module
 */
import { crc32 } from 'node:zlib'
import { type Frame, type FrameLead, MISSING_FRAME_SAMPLE } from '../../shared/domain/frame.ts'
import { MISSING_SAMPLE } from '../../shared/domain/recording.ts'
import type { Waveform } from '../../shared/domain/waveform.ts'
import { windowSamples } from '../../shared/domain/window.ts'
import { CodedError } from '../../shared/errors.ts'
import { MAX_CLOCK_AHEAD_MS } from './frame-codec.ts'
import { type Hole, PastWindows } from './past-windows.ts'

/** How much later than its successors a frame may arrive. */
const REORDER_HORIZON_S = 2

/**
 * How long to wait for an overdue window. In a backlog, 2 s of samples pass in milliseconds: shared connections overtake each other, and
 * aedes delivers live frames before the stored ones (measured: up to 2 s, on a busy machine).
 */
export const GRACE_MS = 5000

/** A shorter last window of a session is not sent, because even a refusal of it would be meaningless. */
export const MIN_WINDOW_S = 1

/** A frame farther ahead than this comes from a wrong clock or counter, unless that much time has passed since the session's start. */
const MAX_JUMP_S = 3600

/** Properties that must not change within a session. */
export interface SessionFormat {
  readonly sessionStartedAtMs: number
  readonly rateHz: number
  readonly leads: readonly FrameLead[]
}

/** The part of an accepted frame that is kept in memory; its samples are in the journal. */
export interface FrameExtent {
  readonly sequence: number
  readonly firstSample: number
  /** Index after its last sample. */
  readonly endSample: number
  /** CRC-32 of the samples, which distinguishes a repeated frame from another one with the same number. */
  readonly checksum: number
  readonly isLast: boolean
}

/** A window that is ready to be sent. */
export interface ClosedWindow {
  readonly firstSample: number
  /** Samples per lead; fewer than a whole window's only at the end of a session. */
  readonly samples: number
}

/** Complete state of an assembler, which can be stored and restored. */
export interface AssemblerState {
  readonly format: SessionFormat
  /** Samples before this belong to closed windows. */
  readonly closedThrough: number
  /** Highest sequence number of frames that lie entirely before `closedThrough`, −1 when there is none. */
  readonly closedSequence: number
  /** Accepted frames that reach beyond `closedThrough`, in any order. */
  readonly frames: readonly FrameExtent[]
  /** What is missing before `closedThrough`; absent means nothing. */
  readonly holes?: readonly Hole[]
}

export type Offer =
  | { readonly kind: 'accepted'; readonly extent: FrameExtent; readonly closed: readonly ClosedWindow[] }
  /** `repeated`: the same frame was accepted before. `late`: its windows are closed; `past` tells whether it completes one. */
  | { readonly kind: 'repeated' | 'late' }

/** One session of one device. */
export class WindowAssembler {
  readonly format: SessionFormat
  readonly past: PastWindows
  readonly #whole: number
  readonly #horizon: number
  #closedThrough: number
  #closedSequence: number
  /** By sequence, and therefore also by sample. */
  readonly #frames: FrameExtent[]
  /** When the earliest open window was first found overdue. */
  #overdueSinceMs: number | undefined

  constructor(state: AssemblerState) {
    this.format = state.format
    this.#whole = windowSamples(state.format.rateHz)
    this.#horizon = Math.round(state.format.rateHz * REORDER_HORIZON_S)
    this.past = new PastWindows(this.#whole, state.holes ?? [])
    this.#closedThrough = state.closedThrough
    this.#closedSequence = state.closedSequence
    this.#frames = [...state.frames].sort((a, b) => a.sequence - b.sequence)
  }

  /** An assembler for an unknown session. When its first frame is not the session's first, it starts at that frame's window. */
  static begin({ sessionStartedAtMs, rateHz, leads, firstSample }: Frame): WindowAssembler {
    const whole = windowSamples(rateHz)
    const earliest = Math.max(0, firstSample - Math.round(rateHz * REORDER_HORIZON_S))
    const closedThrough = Math.floor(earliest / whole) * whole
    const format = { sessionStartedAtMs, rateHz, leads }
    const assembler = new WindowAssembler({ format, closedThrough, closedSequence: -1, frames: [] })
    assembler.#leaveBehind(0, closedThrough)
    return assembler
  }

  /** Samples before this belong to closed windows. */
  get closedThrough(): number {
    return this.#closedThrough
  }

  get state(): AssemblerState {
    return {
      format: this.format,
      closedThrough: this.#closedThrough,
      closedSequence: this.#closedSequence,
      frames: this.#frames,
      holes: this.past.holes,
    }
  }

  /** True while frames wait for their window to be closed. */
  get isOpen(): boolean {
    return this.#frames.length > 0
  }

  /**
   * Takes a frame, or returns why not. Changes nothing when it throws.
   * @param nowMs any clock that goes forward
   * @param wallMs milliseconds since 1970: a frame may be hours ahead of the others when these hours have passed; absent: it may not
   * @throws CodedError `session-changed`, `clock-invalid` or `sequence-invalid` naming the field
   */
  offer(frame: Frame, nowMs: number, wallMs = -Infinity): Offer {
    this.#checkFormat(frame)
    const extent = extentOf(frame)
    if (extent.endSample <= this.#closedThrough) {
      // An unused number for samples that have already arrived is the device's error; any other frame is a late one.
      const isMissing = this.past.within(extent.firstSample, extent.endSample).length > 0
      const isUnused = extent.sequence > (this.#frames.at(-1)?.sequence ?? this.#closedSequence)
      if (isUnused && !isMissing) throw backwards('firstSample')
      return { kind: 'late' }
    }
    if (extent.sequence <= this.#closedSequence) throw backwards('sequence')
    const at = this.#frames.findLastIndex((other) => other.sequence <= extent.sequence)
    const [before, after] = [this.#frames[at], this.#frames[at + 1]]
    if (before?.sequence === extent.sequence) {
      if (!isSame(before, extent)) throw backwards('sequence')
      return { kind: 'repeated' }
    }
    if (before?.isLast) throw backwards('sequence')
    if (after !== undefined && extent.isLast) throw backwards('isLast')
    if ((before?.endSample ?? 0) > extent.firstSample) throw backwards('firstSample')
    if (extent.endSample > (after?.firstSample ?? Infinity)) throw backwards('firstSample')
    const reached = this.#frames.at(-1)?.endSample ?? this.#closedThrough
    const takenAtMs = frame.sessionStartedAtMs + (extent.firstSample * 1000) / frame.rateHz
    const isAhead = takenAtMs > wallMs + MAX_CLOCK_AHEAD_MS
    if (isAhead && extent.firstSample - reached > MAX_JUMP_S * frame.rateHz) {
      throw new CodedError('clock-invalid', { field: 'firstSample', maxSeconds: MAX_JUMP_S })
    }

    this.#frames.splice(at + 1, 0, extent)
    return { kind: 'accepted', extent, closed: this.closeReady(nowMs) }
  }

  /** Closes windows that are complete or have been overdue for long enough. Called with each frame, and regularly without one. */
  closeReady(nowMs: number): readonly ClosedWindow[] {
    const closed: ClosedWindow[] = []
    while (this.#frames.length > 0) {
      const last = this.#frames.at(-1)!
      const start = this.#nextStart()
      const stop = start + this.#whole
      const end = last.isLast ? Math.min(stop, last.endSample) : stop
      // Windows are closed in order: missing ones in between are given up only when they are overdue.
      const isNext = start === this.#closedThrough || this.#isUnbroken(start)
      const isComplete = isNext && (this.#covered(start, stop) === end - start || this.#isUnbroken(end))
      const isOverdue = last.firstSample >= (isNext ? stop : start) + this.#horizon
      if (!isComplete) {
        this.#overdueSinceMs = isOverdue ? (this.#overdueSinceMs ?? nowMs) : undefined
        if (this.#overdueSinceMs === undefined || nowMs - this.#overdueSinceMs < GRACE_MS) break
      }
      this.#overdueSinceMs = undefined
      if (isNext) this.#closeWindow(start, end, isComplete, closed)
      else this.#leaveBehind(this.#closedThrough, start)
    }
    return closed
  }

  /** Closes what is left, however short, for a session that has fallen silent. */
  close(): readonly ClosedWindow[] {
    const closed: ClosedWindow[] = []
    while (this.#frames.length > 0) {
      const start = this.#nextStart()
      const stop = start + this.#whole
      const last = this.#frames.at(-1)!
      const end = Math.min(stop, last.endSample)
      if (start > this.#closedThrough && !this.#isUnbroken(start)) this.#leaveBehind(this.#closedThrough, start)
      const isEnd = end === stop || last.isLast
      const isWhole = (isEnd && this.#covered(start, stop) === end - start) || this.#isUnbroken(stop)
      this.#closeWindow(start, end, isWhole, closed)
    }
    return closed
  }

  /** Records that the number of a frame of a closed window is used. */
  noteLate(sequence: number): void {
    this.#closedSequence = Math.max(this.#closedSequence, sequence)
  }

  #checkFormat({ sessionStartedAtMs, rateHz, leads }: Frame): void {
    if (sessionStartedAtMs !== this.format.sessionStartedAtMs) {
      throw new CodedError('clock-invalid', { field: 'sessionStartedAtMs' })
    }
    if (rateHz !== this.format.rateHz) throw new CodedError('session-changed', { field: 'rateHz' })
    if (leads.length !== this.format.leads.length) throw new CodedError('session-changed', { field: 'leads' })
    for (const [index, { name, gainUv }] of this.format.leads.entries()) {
      const now = leads[index]!
      if (now.name !== name) throw new CodedError('session-changed', { field: `leads[${index}].name` })
      if (now.gainUv !== gainUv) throw new CodedError('session-changed', { field: `leads[${index}].gainUv` })
    }
  }

  /** First sample of the earliest open window with any samples. */
  #nextStart(): number {
    const first = Math.max(this.#frames[0]!.firstSample, this.#closedThrough)
    return Math.floor(first / this.#whole) * this.#whole
  }

  /** True when frames without a missing number reach `sample`. */
  #isUnbroken(sample: number): boolean {
    let sequence = this.#closedSequence
    for (const frame of this.#frames) {
      if (frame.sequence !== ++sequence) return false
      if (frame.endSample >= sample) return true
    }
    return false
  }

  /** Number of samples of [start, stop) that have arrived. Frames never overlap. */
  #covered(start: number, stop: number): number {
    let covered = 0
    for (const { firstSample, endSample } of this.#frames) {
      covered += Math.max(0, Math.min(endSample, stop) - Math.max(firstSample, start))
    }
    return covered
  }

  /** Continues after windows without any samples. */
  #leaveBehind(from: number, to: number): void {
    if (to > from) this.past.add({ firstSample: from, endSample: to, version: 0, isReopened: false })
    this.#closedThrough = to
  }

  #closeWindow(start: number, end: number, isWhole: boolean, closed: ClosedWindow[]): void {
    const stop = start + this.#whole
    // A window with missing samples is always reported, because that itself is information.
    if (!isWhole || end - start >= MIN_WINDOW_S * this.format.rateHz) {
      closed.push({ firstSample: start, samples: end - start })
    }
    if (!isWhole) this.past.add({ firstSample: start, endSample: stop, version: 1, isReopened: false })
    this.#closedThrough = stop
    const kept = this.#frames.findIndex(({ endSample }) => endSample > this.#closedThrough)
    const gone = this.#frames.splice(0, kept === -1 ? this.#frames.length : kept)
    this.#closedSequence = gone.at(-1)?.sequence ?? this.#closedSequence
  }
}

/** Samples of a closed window, from the frames that overlap it; missing samples are `MISSING_SAMPLE`. */
export function windowWaveform(
  { rateHz, leads }: SessionFormat,
  window: ClosedWindow,
  frames: Iterable<{ readonly firstSample: number; readonly samples: Int16Array }>,
): Waveform {
  const rows = leads.map(() => new Int32Array(window.samples).fill(MISSING_SAMPLE))
  for (const { firstSample, samples } of frames) {
    const length = samples.length / leads.length
    const from = Math.max(firstSample, window.firstSample)
    const to = Math.min(firstSample + length, window.firstSample + window.samples)
    for (const [index, row] of rows.entries()) {
      const shift = index * length - firstSample
      for (let sample = from; sample < to; sample++) {
        const value = samples[sample + shift]!
        if (value !== MISSING_FRAME_SAMPLE) row[sample - window.firstSample] = value
      }
    }
  }
  return { rateHz, leads: leads.map(({ name, gainUv }, index) => ({ name, gainUv, samples: rows[index]! })) }
}

export function extentOf({ sequence, firstSample, leads, samples, isLast = false }: Frame): FrameExtent {
  const bytes = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength)
  return {
    sequence,
    firstSample,
    endSample: firstSample + samples.length / leads.length,
    checksum: crc32(bytes),
    isLast,
  }
}

export function isSame(a: FrameExtent, b: FrameExtent): boolean {
  return a.firstSample === b.firstSample && a.endSample === b.endSample && a.checksum === b.checksum
}

function backwards(field: string): CodedError {
  return new CodedError('sequence-invalid', { field })
}
