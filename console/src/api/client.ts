/**
 * Typed client of the API. Adds the caller's token, and turns refusals into errors.
 * @module
 */
import { createClient } from '../../../streams/client/index.ts'
import { ApiError } from '../../../streams/client/problem.ts'
import { freshToken, tokenAfter } from '../auth/session.ts'

/** Time limit of a request. After it the API counts as unreachable. */
const TIMEOUT_MS = 30_000

/**
 * `fetch` with the caller's token.
 * @throws ApiError `unreachable` if nothing answers
 */
export async function authorizedFetch(input: Request): Promise<Response> {
  const token = await freshToken()
  const response = await send(input, token)
  // A request with a body is not repeated.
  if (response.status !== 401 || token === undefined || input.method !== 'GET') return response
  const another = await tokenAfter(token)
  return another === undefined ? response : send(input, another)
}

async function send(input: Request, token: string | undefined): Promise<Response> {
  const headers = new Headers(input.headers)
  if (token !== undefined) headers.set('authorization', `Bearer ${token}`)
  try {
    return await fetch(new Request(input, { headers }))
  } catch (error) {
    if (input.signal.aborted) throw error
    throw new ApiError(0, undefined)
  }
}

export const api = createClient({
  baseUrl: location.origin,
  fetch: (request) => {
    const signal = AbortSignal.any([request.signal, AbortSignal.timeout(TIMEOUT_MS)])
    return authorizedFetch(new Request(request, { signal }))
  },
})

interface Answer<T> {
  readonly data?: T
  readonly error?: unknown
  readonly response: Response
}

/**
 * Returns the body of a response.
 * @throws ApiError for a refusal
 * @example
 * const page = await wanted(api.GET('/v1/ecgs', { params: { query: { limit: 50 } } }))
 */
export async function wanted<T>(asked: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await asked
  if (!response.ok) throw new ApiError(response.status, error)
  return data as T // the type of a success in the document
}

/** Converts any error to an `ApiError`; a network error is `unreachable`. */
export function toApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError(0, undefined)
}
