/**
 * Log lines about the broker. An unreachable broker is reported once with its address, and not for each attempt of each connection.
 * @module
 */
import { CodedError } from '../../shared/errors.ts'
import { describeError, type Log } from '../../shared/observe/logging.ts'
import type { ConnectionState } from './connection.ts'

/** Interval at which an unreachable broker is reported again. */
const AGAIN_MS = 60_000

/** Scheme, host and port: what an operator needs, without secrets of the URL. */
const addressOf = (url: string): string => {
  const { protocol, host } = new URL(url)
  return `${protocol}//${host}`
}

export class BrokerLog {
  readonly #logger: Log
  readonly #broker: string
  readonly #now: () => number
  #toldAt: number | undefined

  constructor(logger: Log, url: string, now: () => number = () => performance.now()) {
    this.#logger = logger
    this.#broker = addressOf(url)
    this.#now = now
  }

  failed(clientId: string, error: unknown): void {
    const now = this.#now()
    if (this.#toldAt !== undefined && now - this.#toldAt < AGAIN_MS) return
    this.#toldAt = now
    const unavailable = new CodedError('unavailable', { field: 'broker', status: refusal(error) }, { cause: error })
    this.#logger.error('the broker cannot be reached, trying again', {
      broker: this.#broker,
      clientId,
      ...describeError(unavailable),
    })
  }

  changed(clientId: string, state: ConnectionState): void {
    // Each failed attempt ends with this state.
    if (state === 'disconnected' && this.#toldAt !== undefined) return
    if (state === 'subscribed') this.#toldAt = undefined
    this.#logger.info(`inbound connection ${state}`, { clientId })
  }
}

/** The code with which a broker refuses a connection, if it answers with one. */
function refusal(error: unknown): number | undefined {
  const { code } = (error ?? {}) as { code?: unknown } // as mqtt.js throws
  return typeof code === 'number' ? code : undefined
}
