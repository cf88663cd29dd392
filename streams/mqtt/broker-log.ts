/**
 * What the adapter's log says of its broker: once that it cannot be reached, with its address, not at each try of each connection.
 * @module
 */
import { CodedError } from '../../shared/errors.ts'
import { describeError, type Log } from '../../shared/observe/logging.ts'
import type { ConnectionState } from './connection.ts'

/** While the broker stays away, it is said again. */
const AGAIN_MS = 60_000

/** Scheme, host and port: what an operator looks for, and no secret of the URL's. */
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
    // Each try that fails ends with one.
    if (state === 'disconnected' && this.#toldAt !== undefined) return
    if (state === 'subscribed') this.#toldAt = undefined
    this.#logger.info(`inbound connection ${state}`, { clientId })
  }
}

/** The code that a broker refuses a connection with, if it is one that answers. */
function refusal(error: unknown): number | undefined {
  const { code } = (error ?? {}) as { code?: unknown } // as mqtt.js throws
  return typeof code === 'number' ? code : undefined
}
