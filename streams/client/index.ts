/**
 * The typed client of our HTTP API: paths, parameters and bodies come from the OpenAPI document (`npm run client` generates `schema.ts`).
 * Runs in Node and in browsers.
 * @module
 */
import createFetchClient, { type Client, type ClientOptions } from 'openapi-fetch'
import type { components, paths } from './schema.ts'

export type { components, paths } from './schema.ts'

/** Schemas by their names in the OpenAPI document. */
export type Schemas = components['schemas']

export type ApiClient = Client<paths>

/**
 * Makes a client.
 * @example
 * const api = createClient({ baseUrl: 'http://127.0.0.1:8080' })
 * const { data, error } = await api.GET('/v1/ecgs', { params: { query: { limit: 5 } } })
 */
export function createClient(options: ClientOptions): ApiClient {
  return createFetchClient<paths>(options)
}
