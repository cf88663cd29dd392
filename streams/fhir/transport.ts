/**
 * HTTP to one EHR only: a URL with another origin is refused before it is fetched, and a redirect is followed only within the origin. Every
 * call has a deadline, a limited number of attempts and a limited response size, and errors quote nothing that was received.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { CodedError, type ErrorDetail } from '../../shared/errors.ts'
import { traceHeaders } from '../../shared/observe/tracing.ts'
import { NoAnswer } from '../../shared/unreachable.ts'

export interface TransportOptions {
  /** Of one attempt, including the body of the response. */
  readonly timeoutMs: number
  /** Largest response that is read. */
  readonly maxBytes: number
  /** Attempts per call, including the first. */
  readonly attempts: number
  /**
   * Pause after the first failed attempt; it doubles with each further one. The actual pause is random, between half of it and all of it.
   */
  readonly backoffMs: number
}

export const TRANSPORT_DEFAULTS: TransportOptions = {
  timeoutMs: 10_000,
  maxBytes: 64 * 1024 * 1024,
  attempts: 4,
  backoffMs: 250,
}

export interface HttpRequest {
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | undefined
  /** Whether a repetition is harmless. Other requests are retried only when the server reports that it did nothing. */
  readonly isRepeatable: boolean
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: Headers
  readonly body: Buffer
}

/** Longest pause between attempts; for longer outages the queue retries. */
const LONGEST_PAUSE_MS = 5_000
const MAX_REDIRECTS = 3

/** With these statuses a server asks to retry later, and has done nothing. */
const TOO_BUSY = new Set([429, 503])
const FAILED_BEHIND = new Set([500, 502, 504])

/**
 * The URL that a reference means, if it is on this server.
 * @throws CodedError `origin-foreign` for any other
 */
export function sameOrigin(reference: string, base: URL): URL {
  const url = URL.parse(reference, base.href)
  if (url === null || url.origin !== base.origin || url.username !== '' || url.password !== '') {
    throw new CodedError('origin-foreign', { field: 'reference' })
  }
  return url
}

/**
 * The URL that a reference means, if it is below the server's base URL. Other paths of the same origin are not the EHR's FHIR API, and are
 * never requested with its token.
 * @param base with a trailing slash
 * @throws CodedError `origin-foreign` for any other
 */
export function belowBase(reference: string, base: URL): URL {
  const url = sameOrigin(reference, base)
  // A page of a search may be at the base itself. A server that decodes an encoded slash could be led out of the base.
  const isBelow = url.pathname.startsWith(base.pathname) || `${url.pathname}/` === base.pathname
  if (!isBelow || /%2f|%5c/i.test(url.pathname)) throw new CodedError('origin-foreign', { field: 'reference' })
  return url
}

/**
 * Sends a request. Returns the response for every status below 500 except 429.
 * @throws CodedError `ehr-unavailable`, `origin-foreign` (a redirect to another server), `payload-too-large`
 */
export async function send(url: URL, request: HttpRequest, options: TransportOptions): Promise<HttpAnswer> {
  for (let attempt = 1; ; attempt++) {
    const isLast = attempt >= options.attempts
    let pauseMs = options.backoffMs * 2 ** (attempt - 1) * (0.5 + Math.random() / 2)
    try {
      const answer = await sendOnce(url, request, options)
      const { status } = answer
      const isWorthAnother = TOO_BUSY.has(status) || (request.isRepeatable && FAILED_BEHIND.has(status))
      if (status < 500 && !TOO_BUSY.has(status)) return answer
      pauseMs = Math.max(pauseMs, retryAfterMs(answer.headers))
      if (isLast || !isWorthAnother || pauseMs > LONGEST_PAUSE_MS) throw unavailable(url, { status })
    } catch (error) {
      if (error instanceof CodedError) throw error
      // The error's own message contains the URL, and with it a patient's reference.
      const cause = error instanceof Error && error.name === 'TimeoutError' ? 'timeout' : 'connection'
      if (isLast || !request.isRepeatable) throw unavailable(url, { cause })
    }
    await sleep(Math.min(pauseMs, LONGEST_PAUSE_MS))
  }
}

/** Contains only the server's name: the rest of the URL includes a patient's reference. */
const unavailable = ({ origin }: URL, detail: ErrorDetail) =>
  new CodedError('ehr-unavailable', detail, { cause: new NoAnswer(origin) })

async function sendOnce(first: URL, request: HttpRequest, options: TransportOptions): Promise<HttpAnswer> {
  const signal = AbortSignal.timeout(options.timeoutMs)
  let url = first
  for (let redirects = 0; ; redirects++) {
    const response = await fetch(url, {
      method: request.method,
      headers: { ...traceHeaders(), ...request.headers },
      ...(request.body === undefined ? {} : { body: request.body }),
      redirect: 'manual',
      signal,
    })
    const location = response.status >= 300 && response.status < 400 ? response.headers.get('location') : null
    if (location === null) {
      return { status: response.status, headers: response.headers, body: await readBody(response, options.maxBytes) }
    }
    await response.body?.cancel()
    url = sameOrigin(location, url)
    if (request.method !== 'GET' || redirects === MAX_REDIRECTS)
      throw new CodedError('ehr-refused', { status: response.status })
  }
}

async function readBody(response: Response, maxBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    // Leaving the loop cancels the rest.
    if (bytes > maxBytes) throw new CodedError('payload-too-large', { field: 'response', maxBytes })
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** `Retry-After` in seconds or as a date (RFC 9110, 10.2.3); 0 when absent. */
function retryAfterMs(headers: Headers): number {
  const text = headers.get('retry-after')
  if (text === null) return 0
  const ms = /^\d+$/.test(text.trim()) ? Number(text) * 1000 : Date.parse(text) - Date.now()
  return Number.isFinite(ms) ? Math.max(0, ms) : 0
}
