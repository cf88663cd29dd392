/**
 * Sends results to one peer: in order, one at a time. What may go better is tried again, with growing pauses, for ever; what the peer refuses for good goes
 * to the dead letters with its reason, and the next follows. Nothing is skipped in between.
 * @module
 */
import { type CodedError, toCodedError } from '../../shared/errors.ts'
import { pause } from '../../shared/pause.ts'
import type { Store } from './store.ts'

/** Told of each answer: delivered, tried in vain, or refused for good. */
export type OnOutcome = (outcome: 'sent' | 'retry' | 'dead', error?: CodedError) => void

export interface DeliveryOptions {
  /** The peer's name in the store. */
  readonly peer: string
  readonly store: Store
  readonly signal: AbortSignal
  readonly onOutcome: OnOutcome
  /**
   * @param ecg its row in the store
   * @returns why the peer refuses it for good, if it does
   * @throws CodedError for what may go better next time
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

  /** Something may wait. */
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
          // It may have come, or the end, between the look and this.
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
