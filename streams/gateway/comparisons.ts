/**
 * Compares ECGs that were screened both here and in the cloud: requests the cloud's result and counts the differences.
 * @module
 */
import { parseResult } from '../../shared/domain/result.ts'
import type { Log } from '../../shared/observe/logging.ts'
import type { Cloud } from './cloud.ts'
import { differenceOf } from './compare.ts'
import { type Counters, count } from './counters.ts'
import type { Store } from './store.ts'

export interface ComparisonsOptions {
  readonly store: Store
  readonly cloud: Cloud
  readonly counters: Counters
  readonly logger: Log
  readonly signal: AbortSignal
}

/** Most ECGs that wait for a comparison; beyond it the oldest is dropped. */
const MAX_COMPARED = 200

/** Most requests for the cloud's result of one ECG. */
const MAX_TRIES = 20

export class Comparisons {
  readonly #options: ComparisonsOptions
  readonly #waiting: { readonly id: number; readonly tries: number }[] = []

  constructor(options: ComparisonsOptions) {
    this.#options = options
  }

  /** Called when the cloud has an ECG. */
  add(id: number): void {
    if (this.#options.cloud.result === undefined) return
    this.#waiting.push({ id, tries: 0 })
    if (this.#waiting.length > MAX_COMPARED) this.#waiting.shift()
  }

  /** Compares the ECG that has waited longest. */
  async next(): Promise<void> {
    const { store, cloud, counters, logger, signal } = this.#options
    const next = this.#waiting.shift()
    const ecg = next && store.readEcg(next.id)
    if (next === undefined || ecg === undefined) return
    const again = () => {
      if (next.tries < MAX_TRIES) this.#waiting.push({ ...next, tries: next.tries + 1 })
    }
    if (ecg.result === undefined) return again()
    try {
      const clouds = await cloud.result?.(ecg.envelope, signal)
      if (clouds === undefined) return again()
      const difference = differenceOf(parseResult(ecg.result), parseResult(clouds))
      if (difference === undefined) return
      count(counters.differences, difference)
      if (difference === 'flags') {
        store.markDiffering(next.id)
        logger.error('gateway and cloud flag an ECG differently', { ecgId: ecg.envelope.ecgId })
      }
    } catch {
      // The comparison is optional: without an answer of the cloud there is none.
    }
  }
}
