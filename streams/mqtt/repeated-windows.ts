/**
 * Closed windows whose frames a device sends again, although they are here. The device does so when it has no result, so its broker has
 * probably lost the result. Pure: its clock is an argument.
 * @module
 */

/**
 * How long after the last repeated frame the windows are reported. Frames of one repetition arrive together, so each window is reported
 * once.
 */
export const REPETITION_MS = 5000

/**
 * A window that was closed in this time has its result still on the way. A device repeats it later (`AGAIN_MS`), unless the repetition has
 * just completed it.
 */
export const UNDER_WAY_MS = 20_000

/** Most windows of a session at a time. A device keeps the frames of an hour (`KEPT_S`). */
const MAX_WINDOWS = 360

export class RepeatedWindows {
  readonly #whole: number
  readonly #windows = new Set<number>()
  #lastAtMs = 0
  /** When a window was last closed, for those that were closed in `UNDER_WAY_MS`; in the order of time. */
  readonly #closedAtMs = new Map<number, number>()

  /** @param whole samples of a window */
  constructor(whole: number) {
    this.#whole = whole
  }

  /** Records that a window has been closed, for the first time or again. */
  closed(firstSample: number, nowMs: number): void {
    for (const [window, atMs] of this.#closedAtMs) {
      if (nowMs - atMs < UNDER_WAY_MS) break
      this.#closedAtMs.delete(window)
    }
    this.#closedAtMs.delete(firstSample)
    this.#closedAtMs.set(firstSample, nowMs)
    this.#windows.delete(firstSample)
  }

  /** Records that samples [from, to) of closed windows have arrived again. */
  note(from: number, to: number, nowMs: number): void {
    for (let start = Math.floor(from / this.#whole) * this.#whole; start < to; start += this.#whole) {
      const isUnderWay = nowMs - (this.#closedAtMs.get(start) ?? -Infinity) < UNDER_WAY_MS
      if (isUnderWay || this.#windows.size >= MAX_WINDOWS) continue
      this.#windows.add(start)
      this.#lastAtMs = nowMs
    }
  }

  /** First samples of the windows whose repetition has ended, each once. */
  take(nowMs: number): readonly number[] {
    if (this.#windows.size === 0 || nowMs - this.#lastAtMs < REPETITION_MS) return []
    const taken = [...this.#windows].sort((a, b) => a - b)
    this.#windows.clear()
    return taken
  }
}
