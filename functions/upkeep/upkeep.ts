/**
 * Follow-up work of API requests: removes a deleted ECG, releases the results that waited for an association, and computes attributions.
 * The first two may affect thousands of rows, and each of their steps may be repeated. For adapters: publishes a result to its device again.
 * @module
 */

import type { EcgId } from '../../shared/domain/ecg-id.ts'
import type { ResultMessage, UpkeepMessage } from '../../shared/messages.ts'
import type { AssociationStore, Unidentified } from '../../shared/store/associations.ts'
import { type EcgDeletion, removeEcg } from '../../shared/store/ecg-deletion.ts'

export interface UpkeepOptions {
  readonly deletion: EcgDeletion
  readonly associations: Pick<AssociationStore, 'waitingFor' | 'markReported'>
  /** Passes a result to the report. */
  readonly report: (message: ResultMessage) => Promise<void>
  /** Passes a result to its device. */
  readonly publish: (message: ResultMessage) => Promise<void>
  /** Computes which stretches of an ECG moved its scores. */
  readonly explain: (tenant: string, ecgId: EcgId) => Promise<void>
  /** Sends the rest of the work as a new message. */
  readonly goOn: (message: UpkeepMessage) => Promise<void>
}

/** Results that are passed on at the same time, and by one message; well within a function's time limit. */
const CONCURRENCY = 20
const MAX_RESULTS = 2000

type Released = Extract<UpkeepMessage, { kind: 'association' }>

export class Upkeep {
  readonly #options: UpkeepOptions

  constructor(options: UpkeepOptions) {
    this.#options = options
  }

  /** Handles a message. Resolves when it has had its effect, or when the rest is in a new message. */
  async handle(message: UpkeepMessage): Promise<void> {
    if (message.kind === 'association') return this.#release(message)
    const { deletion, explain } = this.#options
    if (message.kind === 'attribution') return explain(message.tenant, message.ecgId)
    if (message.kind === 'result') return this.#publishAgain(message.tenant, message.ecgId)
    // The ECG was uploaded again, which is possible only after its removal: this message arrived twice.
    if (!(await deletion.results.isBeingDeleted(message.tenant, message.ecgId))) return
    await removeEcg(deletion, message.tenant, message.ecgId)
  }

  /** Without a result there is nothing to publish yet, or no longer. */
  async #publishAgain(tenant: string, ecgId: EcgId): Promise<void> {
    const { deletion, publish } = this.#options
    const message = await deletion.results.message(tenant, ecgId)
    if (message?.origin.kind === 'mqtt') await publish(message)
  }

  async #release(message: Released): Promise<void> {
    const { associations, goOn } = this.#options
    const { tenant, device, from, to, after } = message
    const span = { from: new Date(from), to: to === null ? undefined : new Date(to) }
    const behind = after && { ...after, at: new Date(after.at) }
    let count = 0
    let batch: Unidentified[] = []
    for await (const waiting of associations.waitingFor(tenant, device, span, behind)) {
      batch.push(waiting)
      if (batch.length < CONCURRENCY) continue
      await this.#handOver(tenant, batch)
      count += batch.length
      batch = []
      if (count < MAX_RESULTS) continue
      return goOn({ ...message, after: { at: waiting.at.toISOString(), ecgId: waiting.ecgId } })
    }
    await this.#handOver(tenant, batch)
  }

  /** A result leaves the list when it is reported, so passing it on twice loses nothing. */
  async #handOver(tenant: string, batch: readonly Unidentified[]): Promise<void> {
    const { associations, deletion, report } = this.#options
    await Promise.all(
      batch.map(async (waiting) => {
        const result = await deletion.results.latest(tenant, waiting.ecgId)
        if (result === undefined) return associations.markReported(tenant, waiting) // deleted meanwhile
        return report({ schema: 1, tenant, origin: waiting.origin, result })
      }),
    )
  }
}
