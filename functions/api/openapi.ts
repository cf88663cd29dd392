#!/usr/bin/env node
/**
 * The OpenAPI document of the API, without an API that runs: what the typed client (`streams/client`) is generated from.
 * @module
 */
import { type ApiOptions, createApi } from './app.ts'

/** As `/openapi.json` answers it. */
export async function openApiDocument(): Promise<unknown> {
  // No route runs while the document is made, so nothing that they need is needed.
  const response = await createApi({} as ApiOptions).request('/openapi.json')
  return response.json()
}

if (import.meta.main) console.log(JSON.stringify(await openApiDocument(), null, 2))
