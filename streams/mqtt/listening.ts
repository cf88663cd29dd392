/**
 * A clock that runs only while we listen: what a device's silence is measured by.
 *
 * While the adapter is disconnected, stalled or away by itself, it cannot know whether a device is silent. So that time does not count. Nor does
 * time on a connection that turns out to be dead: a stretch counts once a packet has come that proves the connection alive behind it.
 * @module
 */

/** A gap between two looks at the clock that is longer than this is a stall of the process (SIGSTOP, a suspended machine), not time in which it listened. */
export const STALL_MS = 3000

export class ListeningClock {
  readonly #monotonic: () => number
  /** Time in which all connections seemed to be up. */
  #elapsedMs = 0
  #lookedAtMs: number
  /** By connection: `#elapsedMs` when it last proved to be alive, `undefined` while it is down. */
  readonly #heardAtMs = new Map<string, number | undefined>()
  #hasReturned = false

  /** @param connections all that must be up for us to hear every device */
  constructor(connections: readonly string[], monotonic: () => number) {
    this.#monotonic = monotonic
    this.#lookedAtMs = monotonic()
    for (const connection of connections) this.#heardAtMs.set(connection, undefined)
  }

  /** Milliseconds in which we listened, as far as is proven. Look at least every second: what lies between two looks far apart is a stall. */
  now(): number {
    this.#look()
    return this.#provenMs()
  }

  /** The connection hears its topics from now on. */
  up(connection: string): void {
    this.#look()
    this.#heardAtMs.set(connection, this.#elapsedMs)
    if (this.#isListening) this.#hasReturned = true
  }

  /** The connection has gone, or turns out to have been dead. What is not proven does not count. */
  down(connection: string): void {
    this.#look()
    this.#elapsedMs = this.#provenMs()
    for (const [other, heardAtMs] of this.#heardAtMs) {
      if (heardAtMs !== undefined) this.#heardAtMs.set(other, this.#elapsedMs)
    }
    this.#heardAtMs.set(connection, undefined)
  }

  /** A packet came by a connection that is up. */
  heard(connection: string): void {
    this.#look()
    if (this.#heardAtMs.get(connection) !== undefined) this.#heardAtMs.set(connection, this.#elapsedMs)
  }

  /** Whether we have been away since the last call: devices then have their whole patience again, to send what they kept. */
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
