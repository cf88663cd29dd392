/**
 * What one tenant, and one caller of it, may have of what everybody shares. Beyond it: 429, with the time after which to ask again.
 * @module
 */
import type { MiddlewareHandler } from 'hono'
import type { ApiLimits } from '../../shared/config/deployment.ts'
import { CodedError } from '../../shared/errors.ts'
import type { QuotaStore } from '../../shared/store/quotas.ts'
import type { AuthVariables, Caller } from './auth.ts'

export type Limit = keyof ApiLimits

/** Of those that are counted over time. */
const SPAN_S: Readonly<Record<Exclude<Limit, 'streams'>, number>> = {
  cinesPerDay: 24 * 3600,
  uploadsPerMinute: 60,
  associationsPerMinute: 60,
  attributionsPerMinute: 60,
}

/** A stream that is refused may come back so soon. */
const STREAM_RETRY_S = 10

export interface QuotaOptions {
  readonly quotas: Pick<QuotaStore, 'take' | 'hold'>
  readonly apiLimits: ApiLimits
  /** Told of every refusal. */
  readonly onLimit?: ((limit: Limit) => void) | undefined
}

/** @throws CodedError `limit-exceeded` where the caller or its tenant has had its share */
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

/** The same for a whole route; behind the check of its scope, before its body is read. */
export function limited(options: QuotaOptions, limit: Exclude<Limit, 'streams'>): MiddlewareHandler<AuthVariables> {
  return async (c, next) => {
    await take(options, limit, c.get('caller'))
    await next()
  }
}

/**
 * A place for a stream, until `untilMs` at most.
 * @returns how to give it back
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
