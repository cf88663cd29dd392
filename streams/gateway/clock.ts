/**
 * Whether this machine's clock can be trusted: a gateway may start without a network, with a clock that lost the date.
 * @module
 */
import type { Clock } from '../mqtt/ingest.ts'

/** No gateway of this version ran earlier. */
const EARLIEST_MS = Date.UTC(2026, 0, 1)

/** A difference from the monotonic clock above this means that the clock was set. */
const JUMP_MS = 60_000

/** How long a clock is distrusted after it was set, because it may be set again. */
const DOUBT_MS = 10 * 60_000

export class TrustedClock implements Clock {
  readonly #now: () => number
  readonly #monotonic: () => number
  #newestMs: number
  #offset: number
  #jumpedAt = Number.NEGATIVE_INFINITY

  /** @param newestMs newest time in the journal; an earlier clock is wrong */
  constructor(newestMs = EARLIEST_MS, now: () => number = Date.now, monotonic = () => performance.now()) {
    this.#now = now
    this.#monotonic = monotonic
    this.#newestMs = Math.max(newestMs, EARLIEST_MS)
    this.#offset = now() - monotonic()
  }

  /** Bound functions, because the ingest passes them on separately. */
  readonly now = (): number => this.#now()

  readonly monotonic = (): number => this.#monotonic()

  /** Checks the clock; must be called regularly. */
  get isTrusted(): boolean {
    const [now, ticks] = [this.#now(), this.#monotonic()]
    if (Math.abs(now - ticks - this.#offset) > JUMP_MS) this.#jumpedAt = ticks
    // Slow drift is normal clock discipline.
    this.#offset = now - ticks
    const isTrusted = now >= this.#newestMs - JUMP_MS && ticks - this.#jumpedAt > DOUBT_MS
    if (isTrusted) this.#newestMs = Math.max(this.#newestMs, now)
    return isTrusted
  }
}
