/**
 * The past of a session: which of its windows were closed before all their samples had come, and so can still be corrected. Pure.
 *
 * What is not in here is complete. A normal session has nothing in here at all; a pause of hours is one entry.
 * @module
 */

/** Windows of which samples are missing: one that was closed short, or a run of which nothing has come. */
export interface Hole {
  /** A multiple of the window's length. */
  readonly firstSample: number
  /** One past its last sample: likewise. */
  readonly endSample: number
  /** The newest version that was closed; 0 while there was none. */
  readonly version: number
  /** Samples have come since that version. */
  readonly isReopened: boolean
}

export class PastWindows {
  readonly #whole: number
  /** In order, disjoint. */
  #holes: Hole[]
  #removed = new Set<number>()
  #saved = new Set<number>()

  constructor(whole: number, holes: readonly Hole[]) {
    this.#whole = whole
    this.#holes = [...holes].sort((a, b) => a.firstSample - b.firstSample)
  }

  get holes(): readonly Hole[] {
    return this.#holes
  }

  get reopened(): readonly Hole[] {
    return this.#holes.filter(({ isReopened }) => isReopened)
  }

  /** The holes that samples in [from, to) would fall into. */
  within(from: number, to: number): readonly Hole[] {
    return this.#holes.filter(({ firstSample, endSample }) => firstSample < to && endSample > from)
  }

  /** Notes windows that are left behind with samples missing. */
  add(hole: Hole): void {
    this.#holes.push(hole)
    this.#holes.sort((a, b) => a.firstSample - b.firstSample)
    this.#saved.add(hole.firstSample)
  }

  /** Samples have come for [from, to): cuts the windows that they touch out of their runs and opens them. Returns these windows' first samples. */
  reopen(from: number, to: number): readonly number[] {
    const touched: number[] = []
    for (const hole of this.within(from, to)) {
      const first = Math.max(hole.firstSample, Math.floor(from / this.#whole) * this.#whole)
      const end = Math.min(hole.endSample, Math.ceil(to / this.#whole) * this.#whole)
      this.#remove(hole.firstSample)
      if (hole.firstSample < first) this.add({ ...hole, endSample: first })
      for (let window = first; window < end; window += this.#whole) {
        this.add({ ...hole, firstSample: window, endSample: window + this.#whole, isReopened: true })
        touched.push(window)
      }
      if (end < hole.endSample) this.add({ ...hole, firstSample: end })
    }
    return touched
  }

  /** A reopened window is closed again, whole or still short. */
  close(window: number, isWhole: boolean): void {
    const hole = this.#holes.find(({ firstSample }) => firstSample === window)
    if (hole === undefined) return
    this.#remove(window)
    if (!isWhole) this.add({ ...hole, version: hole.version + 1, isReopened: false })
  }

  /** The hole that starts at `firstSample` can no longer be filled. */
  forget(firstSample: number): void {
    this.#remove(firstSample)
  }

  /** What has to be written down since the last call. */
  takeChanges(): { readonly removed: readonly number[]; readonly saved: readonly Hole[] } {
    const saved = this.#holes.filter(({ firstSample }) => this.#saved.has(firstSample))
    const removed = [...this.#removed].filter((firstSample) => !this.#saved.has(firstSample))
    this.#removed = new Set()
    this.#saved = new Set()
    return { removed, saved }
  }

  #remove(window: number): void {
    this.#holes = this.#holes.filter(({ firstSample }) => firstSample !== window)
    this.#removed.add(window)
    this.#saved.delete(window)
  }
}
