/**
 * The frames that a device keeps until their windows are answered, and when it sends them again. A broker's acknowledgement does not prove
 * that a frame will arrive: mosquitto may lose an acknowledged frame when it is killed. Only a result of the whole window proves it. Pure:
 * its clock is an argument.
 *
 * A window's frames are sent again
 * - when a result says that the window was closed short;
 * - when it has no result 30 s after its last frame was acknowledged, and a later window has one, or it is the oldest without one.
 *
 * The pauses between repetitions grow. If nothing is answered, only the oldest window is repeated, so an outage causes no flood.
 * @module
 */
import type { EcgId } from '../../shared/domain/ecg-id.ts'
import type { Frame } from '../../shared/domain/frame.ts'
import { windowSamples } from '../../shared/domain/window.ts'
import { LATE_PATIENCE_MS } from './late-frames.ts'
import { MIN_WINDOW_S } from './window-assembler.ts'

/** Frames of windows that ended earlier than this before the newest sample are dropped, answered or not. */
export const KEPT_S = 3600

/** How long a window waits for its result before its frames are sent again; doubles with each repetition. */
export const AGAIN_MS = { first: 30_000, longest: 120_000 } as const

interface KeptFrame {
  readonly payload: Buffer
  isAcknowledged: boolean
}

interface KeptWindow {
  readonly firstSample: number
  /** By sequence number; empty when the window has a whole result. */
  readonly frames: Map<number, KeptFrame>
  isWhole: boolean
  /** When its frames are sent again. */
  dueAtMs: number
  repeatedAtMs: number
  repetitions: number
  /** The newest version that arrived, if it was closed short; otherwise 0. */
  shortVersion: number
}

export class KeptFrames {
  readonly #rateHz: number
  readonly #whole: number
  readonly #ecgId: (firstSample: number) => EcgId
  /** Oldest first. */
  readonly #windows = new Map<EcgId, KeptWindow>()
  /** First sample of the newest window with a result. */
  #answeredThrough = -1

  /** @param ecgId the ECG that begins at a sample of the session */
  constructor(rateHz: number, ecgId: (firstSample: number) => EcgId) {
    this.#rateHz = rateHz
    this.#whole = windowSamples(rateHz)
    this.#ecgId = ecgId
  }

  /** Number of windows without a whole result. */
  get waiting(): number {
    return [...this.#windows.values()].filter(({ isWhole }) => !isWhole).length
  }

  /**
   * Keeps a frame that is being published.
   * @returns a function to call when the broker has acknowledged it
   */
  keep(frame: Frame, payload: Buffer): (nowMs: number) => void {
    const { sequence, firstSample, samples, leads, isLast } = frame
    const endSample = firstSample + samples.length / leads.length
    const kept: KeptFrame = { payload, isAcknowledged: false }
    const windows: KeptWindow[] = []
    for (let start = this.#startOf(firstSample); start < endSample; start += this.#whole) {
      // A last window that is too short gets no result.
      if (isLast && endSample - start < MIN_WINDOW_S * this.#rateHz) this.#windows.delete(this.#ecgId(start))
      else windows.push(this.#windowAt(start))
    }
    for (const { frames } of windows) frames.set(sequence, kept)
    this.#dropBefore(endSample - this.#whole - KEPT_S * this.#rateHz)
    return (nowMs) => {
      kept.isAcknowledged = true
      for (const window of windows) {
        const dueAtMs = nowMs + AGAIN_MS.first
        if (window.repetitions === 0 && window.shortVersion === 0) window.dueAtMs = dueAtMs
      }
    }
  }

  /** A result has arrived. */
  answered(ecgId: EcgId, version: number, isShort: boolean, nowMs: number): void {
    const window = this.#windows.get(ecgId)
    if (window === undefined) return
    this.#answeredThrough = Math.max(this.#answeredThrough, window.firstSample)
    if (!isShort) {
      window.isWhole = true
      window.frames.clear()
    } else if (version > window.shortVersion) {
      window.shortVersion = version
      // Each repetition makes a new version at most, which comes after this time if it is short again.
      window.dueAtMs = Math.max(nowMs, window.repeatedAtMs + LATE_PATIENCE_MS)
    }
  }

  /** The frames to send again now, in order. */
  due(nowMs: number): readonly Buffer[] {
    const payloads = new Set<Buffer>()
    const waiting = [...this.#windows.values()].filter(({ isWhole }) => !isWhole)
    const oldest = waiting.find(({ shortVersion }) => shortVersion === 0)
    for (const window of waiting) {
      const isLost = window.shortVersion > 0 || window.firstSample < this.#answeredThrough || window === oldest
      if (!isLost || nowMs < window.dueAtMs) continue
      window.repetitions++
      window.repeatedAtMs = nowMs
      window.dueAtMs = nowMs + Math.min(AGAIN_MS.first * 2 ** window.repetitions, AGAIN_MS.longest)
      // The others are still on their way to the broker.
      for (const { payload, isAcknowledged } of window.frames.values()) if (isAcknowledged) payloads.add(payload)
    }
    return [...payloads]
  }

  #startOf(sample: number): number {
    return Math.floor(sample / this.#whole) * this.#whole
  }

  #windowAt(firstSample: number): KeptWindow {
    const ecgId = this.#ecgId(firstSample)
    const window = this.#windows.get(ecgId) ?? {
      firstSample,
      frames: new Map(),
      isWhole: false,
      dueAtMs: Number.POSITIVE_INFINITY,
      repeatedAtMs: Number.NEGATIVE_INFINITY,
      repetitions: 0,
      shortVersion: 0,
    }
    this.#windows.set(ecgId, window)
    return window
  }

  #dropBefore(sample: number): void {
    for (const [ecgId, { firstSample }] of this.#windows) {
      if (firstSample >= sample) return
      this.#windows.delete(ecgId)
    }
  }
}
