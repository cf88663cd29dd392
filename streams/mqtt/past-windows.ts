/**
 * The past of a session: windows that were closed before all their samples had arrived, and can still be corrected. Pure.
 *
 * Every window that is not listed here is complete. A normal session has no entry; a pause of hours is one entry.
 * @module
 */

/** Windows with missing samples: one that was closed incomplete, or a run of windows without any samples. */
export interface Hole {
  /** A multiple of the window's length. */
  readonly firstSample: number
  /** Index after its last sample; also a multiple. */
  readonly endSample: number
  /** Newest version that was closed; 0 when there was none. */
  readonly version: number
  /** Samples have arrived since that version. */
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

  /** The holes that overlap samples [from, to). */
  within(from: number, to: number): readonly Hole[] {
    return this.#holes.filter(({ firstSample, endSample }) => firstSample < to && endSample > from)
  }

  /** Records windows that are closed with samples missing. */
  add(hole: Hole): void {
    this.#holes.push(hole)
    this.#holes.sort((a, b) => a.firstSample - b.firstSample)
    this.#saved.add(hole.firstSample)
  }

  /**
   * Samples of [from, to) have arrived: splits the affected windows from their runs and reopens them. Returns the first samples of these
   * windows.
   */
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

  /** Closes a reopened window again, complete or still incomplete. */
  close(window: number, isWhole: boolean): void {
    const hole = this.#holes.find(({ firstSample }) => firstSample === window)
    if (hole === undefined) return
    this.#remove(window)
    if (!isWhole) this.add({ ...hole, version: hole.version + 1, isReopened: false })
  }

  /** Removes a hole that can no longer be filled. */
  forget(firstSample: number): void {
    this.#remove(firstSample)
  }

  /** Changes to store since the last call. */
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
