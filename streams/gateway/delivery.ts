/**
 * Delivers results to one peer, in order and one at a time. An error that may pass is retried indefinitely, with increasing pauses. A
 * result that the peer refuses permanently goes to the dead letters with its reason, and the next one follows. No result is skipped.
 * @module
 */
import { type CodedError, toCodedError } from '../../shared/errors.ts'
import { pause } from '../../shared/pause.ts'
import type { Store } from './store.ts'

/** Called for each outcome: delivered, to be retried, or refused permanently. */
export type OnOutcome = (outcome: 'sent' | 'retry' | 'dead', error?: CodedError) => void

export interface DeliveryOptions {
  /** The peer's name in the store. */
  readonly peer: string
  readonly store: Store
  readonly signal: AbortSignal
  readonly onOutcome: OnOutcome
  /**
   * Delivers one result.
   * @param ecg the ECG's row in the store
   * @returns the reason when the peer refuses it permanently
   * @throws CodedError for an error that a retry may fix
   */
  readonly send: (ecg: number) => Promise<string | undefined>
}

const PAUSE_MS = { first: 500, longest: 60_000 } as const

export class Delivery {
  readonly #options: DeliveryOptions
  #wake: (() => void) | undefined
  readonly ended: Promise<void>

  constructor(options: DeliveryOptions) {
    this.#options = options
    options.signal.addEventListener('abort', () => this.wake(), { once: true })
    this.ended = this.#run()
  }

  /** Called when something may be waiting. */
  wake(): void {
    this.#wake?.()
  }

  async #run(): Promise<void> {
    const { peer, send, signal, store, onOutcome } = this.#options
    let pauseMs: number = PAUSE_MS.first
    while (!signal.aborted) {
      const delivery = store.nextDelivery(peer)
      if (delivery === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
          // A delivery, or the end, may have come between the check and this.
          if (signal.aborted || store.nextDelivery(peer) !== undefined) resolve()
        })
        continue
      }
      try {
        const refusal = await send(delivery.ecg)
        if (refusal === undefined) store.endDelivery(delivery.id, 'done')
        else store.endDelivery(delivery.id, 'dead', refusal)
        onOutcome(refusal === undefined ? 'sent' : 'dead')
        pauseMs = PAUSE_MS.first
      } catch (error) {
        if (signal.aborted) break
        onOutcome('retry', toCodedError(error))
        await pause(pauseMs, signal)
        pauseMs = Math.min(pauseMs * 2, PAUSE_MS.longest)
      }
    }
  }
}
