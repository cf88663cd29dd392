/**
 * Parts of the OpenAPI document beside routes and schemas: a name and a group for each operation, the licence, and the problem codes.
 * @module
 */

import { sentenceOf } from '../../shared/error-sentences.ts'

interface Operation {
  readonly operationId: string
  readonly tags: readonly [keyof typeof TAGS]
}

const TAGS = {
  ECGs: 'Upload, results and samples of ECGs',
  Cines: 'Synthetic CMR cines, drawn on demand',
  Devices: 'Associations of devices with patients',
  Events: 'New results and progress of jobs',
  Operations: 'State of the service, and dead-lettered messages',
} as const

const named = (operationId: string, tag: keyof typeof TAGS): Operation => ({ operationId, tags: [tag] })

/** Operation by method and path. Clients are generated from the names, so they never change. */
const OPERATIONS: Readonly<Record<string, Operation>> = {
  'post /v1/ecgs': named('uploadEcg', 'ECGs'),
  'get /v1/ecgs': named('listEcgs', 'ECGs'),
  'get /v1/ecgs/{id}': named('readEcg', 'ECGs'),
  'delete /v1/ecgs/{id}': named('deleteEcg', 'ECGs'),
  'get /v1/ecgs/{id}/waveform': named('readWaveform', 'ECGs'),
  'get /v1/ecgs/{id}/subject': named('readSubject', 'ECGs'),
  'get /v1/ecgs/{id}/model-input': named('readModelInput', 'ECGs'),
  'post /v1/ecgs/{id}/attribution': named('requestAttribution', 'ECGs'),
  'get /v1/ecgs/{id}/attribution': named('readAttribution', 'ECGs'),
  'post /v1/ecgs/{id}/cmr': named('requestCines', 'Cines'),
  'get /v1/ecgs/{id}/cmr': named('listJobs', 'Cines'),
  'get /v1/cmr/{jobId}': named('readJob', 'Cines'),
  'delete /v1/cmr/{jobId}': named('cancelJob', 'Cines'),
  'get /v1/cmr/{jobId}/artifacts/{name}': named('readArtifact', 'Cines'),
  'put /v1/devices/{id}/association': named('associateDevice', 'Devices'),
  'get /v1/unidentified': named('listUnidentified', 'Devices'),
  'get /v1/operations': named('readOperations', 'Operations'),
  'post /v1/operations/redrive': named('redriveMessages', 'Operations'),
  'get /v1/events': named('readEvents', 'Events'),
}

export const LICENCE = { name: 'Apache-2.0', identifier: 'Apache-2.0' }

/** Example in the document for each response that is a problem. */
const PROBLEM_EXAMPLE = {
  type: 'urn:cardiacnets:error:field-invalid',
  title: 'field invalid',
  status: 400,
  detail: sentenceOf({ code: 'field-invalid', detail: { field: 'limit' } }),
  code: 'field-invalid',
  field: 'limit',
}

type Paths = Readonly<Record<string, Readonly<Record<string, object>>>>

/**
 * Adds these parts to a document. Router settings of a route (`middleware`) are removed.
 * @throws Error for a route without a name here
 */
export function described<D extends object>(document: D): D {
  const { paths = {} } = document as { paths?: Paths } // as in every document
  const operations = Object.entries(paths).map(([path, methods]) => [
    path,
    Object.fromEntries(Object.entries(methods).map(([method, of]) => [method, describe(`${method} ${path}`, of)])),
  ])
  const tags = Object.entries(TAGS).map(([name, description]) => ({ name, description }))
  return { ...document, tags, paths: Object.fromEntries(operations) }
}

function describe(key: string, { middleware: _, ...operation }: { middleware?: unknown; responses?: object }) {
  const known = OPERATIONS[key]
  if (known === undefined) throw new Error(`functions/api/description.ts has no name for ${key}`)
  const responses = Object.entries(operation.responses ?? {}).map(([status, response]) => [
    status,
    withExample(response),
  ])
  return { ...known, ...operation, responses: Object.fromEntries(responses) }
}

function withExample(response: { content?: Readonly<Record<string, object>> }): object {
  const problem = response.content?.['application/problem+json']
  if (problem === undefined) return response
  return {
    ...response,
    content: { ...response.content, 'application/problem+json': { ...problem, example: PROBLEM_EXAMPLE } },
  }
}
