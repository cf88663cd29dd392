/**
 * The API as the page calls it: the typed client, with the caller's token, and refusals as errors.
 * @module
 */
import { createClient } from '../../../streams/client/index.ts'
import { ApiError } from '../../../streams/client/problem.ts'
import { freshToken, tokenAfter } from '../auth/session.ts'

/** A request that is not answered in time is an API that is away. */
const TIMEOUT_MS = 30_000

/** `fetch` with the caller's token. Throws ApiError `unreachable` where nothing answers. */
export async function authorizedFetch(input: Request): Promise<Response> {
  const token = await freshToken()
  const response = await send(input, token)
  // What is asked with a body is not asked twice.
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
 * What an answer holds.
 * @throws ApiError for a refusal
 * @example
 * const page = await wanted(api.GET('/v1/ecgs', { params: { query: { limit: 50 } } }))
 */
export async function wanted<T>(asked: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await asked
  if (!response.ok) throw new ApiError(response.status, error)
  return data as T // of a success, what the document says
}

/** An error as one of ours: what breaks on the way is `unreachable`. */
export function toApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError(0, undefined)
}
