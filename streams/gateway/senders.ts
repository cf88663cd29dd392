/**
 * Everything that the gateway sends by itself: ECGs to the cloud, results to EHRs and archives. The code for a peer is loaded only if there
 * is one.
 * @module
 */
import type { CodedError } from '../../shared/errors.ts'
import { describeError, type Log } from '../../shared/observe/logging.ts'
import type { Cloud } from './cloud.ts'
import { Comparisons } from './comparisons.ts'
import type { GatewayConfig } from './config.ts'
import { type Counters, count } from './counters.ts'
import { Delivery, type OnOutcome } from './delivery.ts'
import { Forwarder } from './forwarder.ts'
import { archivePeer, devicePeer, FOLDER_PEER, hl7Peer } from './peers.ts'
import type { Store } from './store.ts'
import type { StoredEcg } from './stored-ecg.ts'

export interface SendersOptions {
  readonly config: GatewayConfig
  readonly cloud: Cloud | undefined
  readonly store: Store
  readonly counters: Counters
  readonly logger: Log
  readonly now: () => number
}

export class Senders {
  readonly #options: SendersOptions
  readonly #stopping = new AbortController()
  readonly #deliveries: Delivery[] = []
  readonly #closing: (() => void)[] = []
  #comparisons: Comparisons | undefined
  #forwarder: Forwarder | undefined

  constructor(options: SendersOptions) {
    this.#options = options
  }

  /** @throws CodedError `file-not-found` for a missing certificate */
  async open(): Promise<void> {
    const { config, store, now } = this.#options
    if (config.destinations.length > 0) {
      const { Hl7Delivery } = await import('./hl7-delivery.ts')
      for (const destination of config.destinations) {
        const delivery = new Hl7Delivery({ destination, config, store, now })
        this.#closing.push(() => delivery.close())
        this.#deliver(hl7Peer(destination), (ecg) => delivery.send(ecg))
      }
    }
    if (config.archives.length > 0) {
      const { ArchiveDelivery } = await import('./archive-delivery.ts')
      for (const archive of config.archives) {
        const delivery = new ArchiveDelivery({ archive, config, store })
        this.#deliver(archivePeer(archive), (ecg) => delivery.send(ecg))
      }
    }
    this.#forward()
  }

  get forwarding(): { readonly isAway: boolean; readonly forwarded: number } | undefined {
    return this.#forwarder && { isAway: this.#forwarder.isAway, forwarded: this.#forwarder.forwarded }
  }

  /** Called when an ECG was stored. */
  ecgStored(): void {
    this.#forwarder?.wake()
  }

  /** Called when a result was stored, or may be retried. */
  resultStored(): void {
    for (const delivery of this.#deliveries) delivery.wake()
  }

  /** Compares a result with the cloud's; must be called regularly. */
  compare(): void {
    void this.#comparisons?.next()
  }

  /** The receivers of a result: its device, its file's folder, EHRs and archives. */
  peersOf({ door, envelope, about }: StoredEcg): readonly string[] {
    const { origin, tenant } = envelope
    const { destinations, archives } = this.#options.config
    const isSent = ({ sends }: { readonly sends: 'recordings' | 'everything' }) =>
      sends === 'everything' || door !== 'mqtt'
    return [
      ...(origin.kind === 'mqtt' ? [devicePeer({ tenant, device: origin.device })] : []),
      ...(about.file === undefined ? [] : [FOLDER_PEER]),
      ...destinations.filter(isSent).map(hl7Peer),
      ...archives.filter(isSent).map(archivePeer),
    ]
  }

  async close(): Promise<void> {
    this.#stopping.abort()
    this.resultStored()
    await Promise.all([this.#forwarder?.ended, ...this.#deliveries.map(({ ended }) => ended)])
    for (const close of this.#closing) close()
  }

  #deliver(peer: string, send: (ecg: number) => Promise<string | undefined>): void {
    const { store, counters, logger } = this.#options
    const onOutcome: OnOutcome = (outcome, error) => {
      count(counters.delivered, outcome)
      if (outcome === 'dead') logger.error('a peer refuses a result for good', { code: 'delivery-refused' })
      else if (outcome === 'retry') logger.warn('a peer does not take a result now', describeError(error))
    }
    this.#deliveries.push(new Delivery({ peer, send, store, signal: this.#stopping.signal, onOutcome }))
  }

  #forward(): void {
    const { cloud, config, store, counters, logger, now } = this.#options
    const { signal } = this.#stopping
    if (cloud === undefined) return
    this.#comparisons = new Comparisons({ store, cloud, counters, logger, signal })
    this.#forwarder = new Forwarder({
      store,
      cloud,
      backlogPerSecond: config.backlogPerSecond,
      now,
      signal,
      onForwarded: (id) => this.#comparisons?.add(id),
      onState: (isAway: boolean, error?: CodedError) => {
        if (isAway) logger.warn('the cloud is away', describeError(error))
        else logger.info('the cloud is back')
      },
      onRefused: (error) => {
        counters.forwardRefused++
        logger.error('the cloud refuses an ECG for good', describeError(error))
      },
    })
  }
}
