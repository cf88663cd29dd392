#!/usr/bin/env node
/**
 * The OpenAPI document of the API, without a running API. The typed client (`streams/client`) is generated from it.
 * @module
 */
import { type ApiOptions, createApi } from './app.ts'

/** The same document as `/openapi.json`. */
export async function openApiDocument(): Promise<unknown> {
  // No route runs while the document is made, so none of the dependencies is needed.
  const response = await createApi({} as ApiOptions).request('/openapi.json')
  return response.json()
}

if (import.meta.main) console.log(JSON.stringify(await openApiDocument(), null, 2))
