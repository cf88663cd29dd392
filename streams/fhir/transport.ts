/**
 * HTTP to one EHR and to nobody else: an address of another origin is refused before it is fetched, a redirect is followed within
 * the origin only, every call has a deadline, a bounded number of attempts and a bounded answer, and errors quote nothing of what came.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { CodedError, type ErrorDetail } from '../../shared/errors.ts'
import { traceHeaders } from '../../shared/observe/tracing.ts'
import { NoAnswer } from '../../shared/unreachable.ts'

export interface TransportOptions {
  /** Of one attempt, its answer's body included. */
  readonly timeoutMs: number
  /** Longest answer that is read. */
  readonly maxBytes: number
  /** Attempts at one call, the first included. */
  readonly attempts: number
  /** Pause after the first failed attempt; doubles with each further one, and is drawn between half and all of it. */
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
  /** Whether a repeat does no harm; a request that is not repeatable is tried again only when the server says that it did nothing. */
  readonly isRepeatable: boolean
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: Headers
  readonly body: Buffer
}

/** Longer than this nobody waits here: the queue does. */
const LONGEST_PAUSE_MS = 5_000
const MAX_REDIRECTS = 3

/** What a server says with these is `later`, and it has done nothing. */
const TOO_BUSY = new Set([429, 503])
const FAILED_BEHIND = new Set([500, 502, 504])

/**
 * The address that a reference means, when it lies on the server.
 * @throws CodedError `origin-foreign` when it lies anywhere else
 */
export function sameOrigin(reference: string, base: URL): URL {
  const url = URL.parse(reference, base.href)
  if (url === null || url.origin !== base.origin || url.username !== '' || url.password !== '') {
    throw new CodedError('origin-foreign', { field: 'reference' })
  }
  return url
}

/**
 * The address that a reference means, when it lies below the server's base. What else the same origin serves is not the EHR's FHIR API, and is not
 * asked with its token.
 * @param base with a slash at its end
 * @throws CodedError `origin-foreign` when it lies anywhere else
 */
export function belowBase(reference: string, base: URL): URL {
  const url = sameOrigin(reference, base)
  // A page of a search may be at the base itself. An encoded slash is a way up for a server that decodes it.
  const isBelow = url.pathname.startsWith(base.pathname) || `${url.pathname}/` === base.pathname
  if (!isBelow || /%2f|%5c/i.test(url.pathname)) throw new CodedError('origin-foreign', { field: 'reference' })
  return url
}

/**
 * Makes a call and returns the answer, whatever its status below 500 other than 429.
 * @throws CodedError `ehr-unavailable`, `origin-foreign` (a redirect to elsewhere), `payload-too-large`
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
      // The error's own text holds the address, and with it a patient's reference.
      const cause = error instanceof Error && error.name === 'TimeoutError' ? 'timeout' : 'connection'
      if (isLast || !request.isRepeatable) throw unavailable(url, { cause })
    }
    await sleep(Math.min(pauseMs, LONGEST_PAUSE_MS))
  }
}

/** The server's name only: the rest of the address holds a patient's reference. */
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

/** `Retry-After` in seconds or as a date (RFC 9110, 10.2.3); 0 where there is none. */
function retryAfterMs(headers: Headers): number {
  const text = headers.get('retry-after')
  if (text === null) return 0
  const ms = /^\d+$/.test(text.trim()) ? Number(text) * 1000 : Date.parse(text) - Date.now()
  return Number.isFinite(ms) ? Math.max(0, ms) : 0
}
