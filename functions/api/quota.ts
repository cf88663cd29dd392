/**
 * Limits of one tenant and of one of its callers on shared resources. Above a limit the API answers 429, with the time to wait.
 * @module
 */
import type { MiddlewareHandler } from 'hono'
import type { ApiLimits } from '../../shared/config/deployment.ts'
import { CodedError } from '../../shared/errors.ts'
import type { QuotaStore } from '../../shared/store/quotas.ts'
import type { AuthVariables, Caller } from './auth.ts'

export type Limit = keyof ApiLimits

/** Time spans of the limits that count over time, s. */
const SPAN_S: Readonly<Record<Exclude<Limit, 'streams'>, number>> = {
  cinesPerDay: 24 * 3600,
  uploadsPerMinute: 60,
  associationsPerMinute: 60,
  attributionsPerMinute: 60,
}

/** Time after which a refused stream may be requested again, s. */
const STREAM_RETRY_S = 10

export interface QuotaOptions {
  readonly quotas: Pick<QuotaStore, 'take' | 'hold'>
  readonly apiLimits: ApiLimits
  /** Called for every refusal. */
  readonly onLimit?: ((limit: Limit) => void) | undefined
}

/**
 * Counts one use of a limit.
 * @throws CodedError `limit-exceeded` when the caller or its tenant has reached the limit
 */
export async function take(
  { quotas, apiLimits, onLimit }: QuotaOptions,
  limit: Exclude<Limit, 'streams'>,
  caller: Caller,
): Promise<void> {
  const retryAfterS = await quotas.take(limit, caller, apiLimits[limit], SPAN_S[limit], new Date())
  if (retryAfterS === undefined) return
  onLimit?.(limit)
  throw new CodedError('limit-exceeded', { field: limit, retryAfterS })
}

/** Middleware that counts a use of a route. It runs after the scope is checked and before the body is read. */
export function limited(options: QuotaOptions, limit: Exclude<Limit, 'streams'>): MiddlewareHandler<AuthVariables> {
  return async (c, next) => {
    await take(options, limit, c.get('caller'))
    await next()
  }
}

/**
 * Takes a slot for a stream, until `untilMs` at most.
 * @returns a function that frees the slot
 * @throws CodedError `limit-exceeded`
 */
export async function holdStream(
  { quotas, apiLimits, onLimit }: QuotaOptions,
  caller: Caller,
  untilMs: number,
): Promise<() => Promise<void>> {
  const giveBack = await quotas.hold('streams', caller, apiLimits.streams, untilMs, new Date())
  if (giveBack !== undefined) return giveBack
  onLimit?.('streams')
  throw new CodedError('limit-exceeded', { field: 'streams', retryAfterS: STREAM_RETRY_S })
}
