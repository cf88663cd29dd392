/**
 * Batches and transactions (https://hl7.org/fhir/R4/http.html#transaction): creates, conditional creates, updates, deletes.
 * @module
 */
import {
  FhirError,
  isObject,
  type Resource,
  referenceTo,
  type StoredResource,
  toResource,
  withReferences,
} from './resource.ts'
import { search } from './search.ts'
import type { Store, Writer } from './store.ts'
import { checkSubscription } from './subscriptions.ts'
import { checkValid } from './validation.ts'

/** Result of one write. */
export interface Written {
  readonly status: 200 | 201 | 204
  /** Absent after a deletion. */
  readonly resource?: StoredResource
}

export interface Committed {
  readonly results: readonly Written[]
  /** New or changed resources, of which subscriptions are notified. */
  readonly changed: readonly StoredResource[]
}

/** One requested write. */
export interface WriteRequest {
  readonly method: 'POST' | 'PUT' | 'DELETE'
  /** `Observation`, `Observation/123` or `Observation?identifier=…`. */
  readonly url: string
  readonly resource?: Resource
  /** The search of a conditional create. */
  readonly ifNoneExist?: string | undefined
  /** The version that an update replaces. */
  readonly ifMatch?: string | undefined
  /** How other entries of the Bundle refer to it. */
  readonly fullUrl?: string | undefined
}

/** The order in which a server must process them, whatever their order in the Bundle. */
const ORDER = ['DELETE', 'POST', 'PUT'] as const

/** Applies all requests, or none and throws. */
export function commit(store: Store, requests: readonly WriteRequest[]): Committed {
  for (const { resource } of requests) {
    if (resource === undefined) continue
    checkValid(resource)
    if (resource.resourceType === 'Subscription') checkSubscription(resource)
  }
  const plans = requests.map((request) => plan(store, request))
  const names = new Map(
    plans.flatMap(({ request, type, id }) =>
      request.fullUrl === undefined ? [] : [[request.fullUrl, `${type}/${id}`]],
    ),
  )
  const results: Written[] = new Array(plans.length)
  const changed = store.change((writer) => {
    for (const method of ORDER) {
      for (const [index, each] of plans.entries()) {
        if (each.request.method === method) results[index] = write(store, writer, each, names)
      }
    }
  })
  return { results, changed }
}

interface Plan {
  readonly request: WriteRequest
  readonly type: string
  readonly id: string
  /** The resource that a conditional create found. */
  readonly existing?: StoredResource
}

/** The resource of a request, determined before anything is written. */
function plan(store: Store, request: WriteRequest): Plan {
  const { method, url, resource, ifNoneExist } = request
  const [path = '', query] = url.split('?', 2)
  const [type = '', id] = path.split('/')
  if (resource !== undefined && resource.resourceType !== type) {
    throw new FhirError(400, 'invalid', `a ${resource.resourceType} cannot be written to ${type}`)
  }
  if (method === 'POST') {
    const existing = ifNoneExist === undefined ? undefined : findOne(store, type, ifNoneExist)
    return existing ? { request, type, id: existing.id, existing } : { request, type, id: store.newId() }
  }
  if (id !== undefined) return { request, type, id }
  if (query === undefined) throw new FhirError(400, 'required', `${method} needs an id or a search`)
  const found = findOne(store, type, query)
  return { request, type, id: found?.id ?? store.newId() }
}

function findOne(store: Store, type: string, query: string): StoredResource | undefined {
  const parameters = new URLSearchParams(query.replace(/^.*\?/, ''))
  const { page, total } = search(store.candidates(type, parameters), parameters)
  if (total > 1) throw new FhirError(412, 'multiple-matches', `${total} resources of type ${type} meet the condition`)
  return page[0]
}

function write(store: Store, writer: Writer, { request, type, id, existing }: Plan, names: Names): Written {
  if (request.method === 'DELETE') {
    writer.remove(type, id)
    return { status: 204 }
  }
  if (existing !== undefined) return { status: 200, resource: existing }
  const isNew = !store.exists(type, id)
  if (request.ifMatch !== undefined) checkVersion(store.read(type, id), request.ifMatch)
  const resource = withReferences(request.resource!, (reference) => names.get(reference) ?? reference)
  return { status: isNew ? 201 : 200, resource: writer.put({ ...resource, id }) }
}

type Names = ReadonlyMap<string, string>

function checkVersion({ meta }: StoredResource, ifMatch: string): void {
  const wanted = /^(?:W\/)?"?([^"]*)"?$/.exec(ifMatch)?.[1]
  if (wanted !== meta.versionId) throw new FhirError(412, 'conflict', 'the resource has changed since')
}

/** Processes a Bundle of type `transaction` or `batch`. */
export function processBundle(
  store: Store,
  bundle: Resource,
): { response: Resource; changed: readonly StoredResource[] } {
  const entries = Array.isArray(bundle.entry) ? bundle.entry : []
  if (bundle.type === 'transaction') {
    const { results, changed } = commit(store, entries.map(toRequest))
    return { response: responseBundle('transaction-response', results.map(describeWritten)), changed }
  }
  if (bundle.type !== 'batch') throw new FhirError(400, 'invalid', 'a Bundle posted here is a transaction or a batch')
  const changed: StoredResource[] = []
  const responses = entries.map((entry) => {
    try {
      const { results, changed: own } = commit(store, [toRequest(entry)])
      changed.push(...own)
      return describeWritten(results[0]!)
    } catch (error) {
      if (!(error instanceof FhirError)) throw error
      return { response: { status: String(error.status), outcome: error.outcome } }
    }
  })
  return { response: responseBundle('batch-response', responses), changed }
}

function toRequest(entry: unknown): WriteRequest {
  const { request, resource, fullUrl } = isObject(entry) ? entry : {}
  const { method, url, ifNoneExist, ifMatch } = isObject(request) ? request : {}
  if ((method !== 'POST' && method !== 'PUT' && method !== 'DELETE') || typeof url !== 'string') {
    throw new FhirError(400, 'not-supported', 'an entry needs a request with POST, PUT or DELETE and a url')
  }
  if (method !== 'DELETE' && resource === undefined) throw new FhirError(400, 'required', `${method} needs a resource`)
  return {
    method,
    url,
    ...(resource === undefined ? {} : { resource: toResource(resource) }),
    ifNoneExist: text(ifNoneExist),
    ifMatch: text(ifMatch),
    fullUrl: text(fullUrl),
  }
}

const text = (value: unknown) => (typeof value === 'string' ? value : undefined)

function describeWritten({ status, resource }: Written) {
  if (resource === undefined) return { response: { status: String(status) } }
  return {
    response: {
      status: String(status),
      location: `${referenceTo(resource)}/_history/${resource.meta.versionId}`,
      etag: `W/"${resource.meta.versionId}"`,
      lastModified: resource.meta.lastUpdated,
    },
  }
}

const responseBundle = (type: string, entry: readonly object[]): Resource => ({ resourceType: 'Bundle', type, entry })
