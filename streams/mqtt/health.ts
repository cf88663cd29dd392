/**
 * The adapter's status report once a minute: one log line, and the same values as metrics.
 * @module
 */
import type { ErrorCode } from '../../shared/errors.ts'
import type { Log } from '../../shared/observe/logging.ts'
import { METRICS, type ServiceMetrics } from '../../shared/observe/metrics.ts'
import type { ConnectionState } from './connection.ts'
import type { FrameCounts } from './ingest.ts'
import type { LimitName } from './limits.ts'

/** Counts are since the start. */
export interface AdapterState {
  readonly frames: FrameCounts
  readonly sessions: number
  readonly waitingWindows: number
  readonly sentWindows: number
  /** How long the oldest window has waited for SQS, since the process started. */
  readonly oldestWindowMs: number
  readonly journalBytes: number
}

export class Health {
  readonly #adapter: string
  readonly #metrics: ServiceMetrics
  readonly #logger: Log
  readonly #subscribed = new Set<string>()
  #refusals = new Map<ErrorCode, number>()
  #limits = new Map<LimitName, number>()
  #told = { received: 0, refused: 0, sent: 0 }

  /** @param adapter the name of its session at the broker, which is unique among adapters */
  constructor(adapter: string, metrics: ServiceMetrics, logger: Log) {
    this.#adapter = adapter
    this.#metrics = metrics
    this.#logger = logger
  }

  connection(clientId: string, state: ConnectionState): void {
    if (state === 'subscribed') this.#subscribed.add(clientId)
    if (state === 'disconnected') this.#subscribed.delete(clientId)
  }

  refused(code: ErrorCode): void {
    this.#refusals.set(code, (this.#refusals.get(code) ?? 0) + 1)
  }

  limited(limit: LimitName): void {
    this.#limits.set(limit, (this.#limits.get(limit) ?? 0) + 1)
  }

  report(state: AdapterState): void {
    const { frames, sessions, waitingWindows, sentWindows, oldestWindowMs, journalBytes } = state
    this.#logger.info('adapter state', { frames, sessions, waitingWindows, journalBytes })
    const { accepted, repeated, late, refused } = frames
    const now = { received: accepted + repeated + late + refused, refused, sent: sentWindows }
    this.#metrics.addBy(
      'adapter',
      this.#adapter,
      [METRICS.brokerConnected, this.#subscribed.size],
      [METRICS.framesReceived, now.received - this.#told.received],
      [METRICS.framesRefused, now.refused - this.#told.refused],
      [METRICS.windowsSent, now.sent - this.#told.sent],
      [METRICS.liveSessions, sessions],
      [METRICS.journalBytes, journalBytes],
      [METRICS.journalAgeS, oldestWindowMs / 1000],
    )
    for (const [code, count] of this.#refusals) this.#metrics.addBy('reason', code, [METRICS.frameRefusals, count])
    for (const [limit, count] of this.#limits) this.#metrics.addBy('limit', limit, [METRICS.framesLimited, count])
    this.#refusals = new Map()
    this.#limits = new Map()
    this.#told = now
  }
}
