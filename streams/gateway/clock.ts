/**
 * Whether this machine's time can be believed: a gateway may start without a network, on a clock that forgot the year.
 * @module
 */
import type { Clock } from '../mqtt/ingest.ts'

/** No gateway of this version ran before. */
const EARLIEST_MS = Date.UTC(2026, 0, 1)

/** A clock that moves by more than so much against the machine's own ticking was set. */
const JUMP_MS = 60_000

/** How long a clock that was set is doubted: whatever set it may set it again. */
const DOUBT_MS = 10 * 60_000

export class TrustedClock implements Clock {
  readonly #now: () => number
  readonly #monotonic: () => number
  #newestMs: number
  #offset: number
  #jumpedAt = Number.NEGATIVE_INFINITY

  /** @param newestMs the last time that the journal knows: a clock before it is wrong */
  constructor(newestMs = EARLIEST_MS, now: () => number = Date.now, monotonic = () => performance.now()) {
    this.#now = now
    this.#monotonic = monotonic
    this.#newestMs = Math.max(newestMs, EARLIEST_MS)
    this.#offset = now() - monotonic()
  }

  now(): number {
    return this.#now()
  }

  monotonic(): number {
    return this.#monotonic()
  }

  /** Looks at the clock; call it now and then. */
  get isTrusted(): boolean {
    const [now, ticks] = [this.#now(), this.#monotonic()]
    if (Math.abs(now - ticks - this.#offset) > JUMP_MS) this.#jumpedAt = ticks
    // A slow drift is how a clock is kept right.
    this.#offset = now - ticks
    const isTrusted = now >= this.#newestMs - JUMP_MS && ticks - this.#jumpedAt > DOUBT_MS
    if (isTrusted) this.#newestMs = Math.max(this.#newestMs, now)
    return isTrusted
  }
}
