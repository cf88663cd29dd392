/**
 * A clock that runs only while we listen. The silence of devices is measured with it.
 *
 * While the adapter is disconnected, stalled or away by itself, it cannot know whether a device is silent, so that time does not count. Nor
 * does time on a connection that turns out to be dead: time counts only after a later packet has proven that the connection was alive.
 * @module
 */

/** A longer gap between two looks at the clock is a stall of the process (SIGSTOP, a suspended machine), in which it did not listen. */
export const STALL_MS = 3000

export class ListeningClock {
  readonly #monotonic: () => number
  /** Time in which all connections appeared to be up. */
  #elapsedMs = 0
  #lookedAtMs: number
  /** By connection: `#elapsedMs` when it last proved to be alive; `undefined` while it is down. */
  readonly #heardAtMs = new Map<string, number | undefined>()
  #hasReturned = false

  /** @param connections all connections that must be up for us to hear every device */
  constructor(connections: readonly string[], monotonic: () => number) {
    this.#monotonic = monotonic
    this.#lookedAtMs = monotonic()
    for (const connection of connections) this.#heardAtMs.set(connection, undefined)
  }

  /** Milliseconds in which we provably listened. Must be called at least every second, because a longer interval counts as a stall. */
  now(): number {
    this.#look()
    return this.#provenMs()
  }

  /** The connection is subscribed from now on. */
  up(connection: string): void {
    this.#look()
    this.#heardAtMs.set(connection, this.#elapsedMs)
    if (this.#isListening) this.#hasReturned = true
  }

  /** The connection was lost, or turns out to have been dead. Unproven time does not count. */
  down(connection: string): void {
    this.#look()
    this.#elapsedMs = this.#provenMs()
    for (const [other, heardAtMs] of this.#heardAtMs) {
      if (heardAtMs !== undefined) this.#heardAtMs.set(other, this.#elapsedMs)
    }
    this.#heardAtMs.set(connection, undefined)
  }

  /** A packet arrived on a connection that is up. */
  heard(connection: string): void {
    this.#look()
    if (this.#heardAtMs.get(connection) !== undefined) this.#heardAtMs.set(connection, this.#elapsedMs)
  }

  /** Whether we have been away since the last call. Devices then get their full idle time again, to send what they kept. */
  takeReturn(): boolean {
    this.#look()
    const hasReturned = this.#hasReturned && this.#isListening
    if (hasReturned) this.#hasReturned = false
    return hasReturned
  }

  get #isListening(): boolean {
    return [...this.#heardAtMs.values()].every((heardAtMs) => heardAtMs !== undefined)
  }

  #provenMs(): number {
    const heard = [...this.#heardAtMs.values()].filter((heardAtMs) => heardAtMs !== undefined)
    return Math.min(this.#elapsedMs, ...heard)
  }

  #look(): void {
    const nowMs = this.#monotonic()
    const gapMs = nowMs - this.#lookedAtMs
    this.#lookedAtMs = nowMs
    if (gapMs > STALL_MS) this.#hasReturned = true
    else if (this.#isListening) this.#elapsedMs += gapMs
  }
}
