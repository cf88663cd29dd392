/**
 * Turns of the event loop for computations, so that the requests of one are sent while the next computes.
 * @module
 */
import { setImmediate } from 'node:timers/promises'

/**
 * Messages of one batch are handled side by side. When all of them are ready to compute, each computes before the first gets to send its
 * request: the first of ten windows would wait for the other nine. With turns, input and output are served between two computations.
 * @example
 * await turns.next()
 * const prepared = preparer.prepare(waveform)
 */
export class Turns {
  #last: Promise<void> = Promise.resolve()

  /** Resolves in a turn of the event loop that belongs to this caller alone; callers in their order. */
  next(): Promise<void> {
    this.#last = this.#last.then(() => setImmediate())
    return this.#last
  }
}
