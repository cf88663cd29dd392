/**
 * A small in-memory FHIR R4 server for the local stack and for tests: REST, search with paging, conditional writes, transactions with
 * rollback, validation, and rest-hook subscriptions. A development tool without users; all data is lost when it stops.
 * @module
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { type Context, Hono } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { forThisMachine } from '../../../shared/loopback.ts'
import { FhirError, isObject, type Resource, referenceTo, type StoredResource, toResource } from './resource.ts'
import { search, summarised } from './search.ts'
import { Store } from './store.ts'
import { Subscriptions, type SubscriptionsOptions } from './subscriptions.ts'
import { commit, processBundle, type WriteRequest } from './transaction.ts'

export type { Resource, StoredResource } from './resource.ts'
export { problemsOf } from './validation.ts'

const FHIR_JSON = 'application/fhir+json'

export interface SandboxEhr {
  /** FHIR base URL: `http://127.0.0.1:{port}/fhir`. */
  readonly baseUrl: string
  readonly store: Store
  /** Every request so far: method, path with query, status. */
  readonly requests: readonly SandboxRequest[]
  /** When set, every request is answered with this status, as by an EHR that is down. */
  outage: number | undefined
  /** Creates a resource as a client would. */
  create(resource: object): StoredResource
  /** Resolves when all pending notifications are delivered or given up. */
  delivered(): Promise<void>
  stop(): Promise<void>
}

export interface SandboxRequest {
  readonly method: string
  readonly path: string
  readonly status: number
}

export interface SandboxOptions extends Pick<SubscriptionsOptions, 'attempts' | 'backoffMs'> {
  /** 0 takes any free port. */
  readonly port?: number
}

/** Starts the server. Rejects with the system's own error (`EADDRINUSE`) when the port is taken. */
export async function startSandboxEhr({ port = 0, ...delivery }: SandboxOptions = {}): Promise<SandboxEhr> {
  const store = new Store()
  const requests: SandboxRequest[] = []
  let baseUrl = ''
  const subscriptions = new Subscriptions({
    ...delivery,
    baseUrl: () => baseUrl,
    onStatus: ({ id }, status, error) => {
      if (!store.exists('Subscription', id)) return
      const { error: _, ...current } = store.read('Subscription', id)
      store.change((writer) => writer.put({ ...current, status, ...(error === undefined ? {} : { error }) }))
    },
  })
  const write = (requests: readonly WriteRequest[]) => {
    const { results, changed } = commit(store, requests)
    subscriptions.notify(changed)
    return results
  }
  const create = (resource: Resource, ifNoneExist?: string) =>
    write([{ method: 'POST', url: resource.resourceType, resource, ifNoneExist }])[0]!

  const sandbox: { outage: number | undefined } = { outage: undefined }
  const app = new Hono()

  app.use(async (c, next) => {
    if (sandbox.outage === undefined) await next()
    const status = sandbox.outage ?? c.res.status
    const { pathname, search: query } = new URL(c.req.url)
    requests.push({ method: c.req.method, path: pathname + query, status })
    return sandbox.outage === undefined ? undefined : c.json({}, status as ContentfulStatusCode) // the test's own
  })

  app.get('/fhir/metadata', (c) => answer(c, capabilities(baseUrl)))

  app.post('/fhir', async (c) => {
    const { response, changed } = processBundle(store, await body(c))
    subscriptions.notify(changed)
    return answer(c, response)
  })

  app.get('/fhir/:type', (c) => answer(c, searchset(c.req.param('type'), new URL(c.req.url).searchParams)))
  app.post('/fhir/:type/_search', async (c) =>
    answer(c, searchset(c.req.param('type'), new URLSearchParams(await c.req.text()))),
  )

  app.post('/fhir/:type', async (c) => {
    const isRaw = c.req.param('type') === 'Binary' && !/json/.test(c.req.header('content-type') ?? 'json')
    const resource = isRaw ? await binary(c) : await body(c)
    const { status, resource: created } = create(resource, c.req.header('if-none-exist'))
    return answer(c, created!, status === 201 ? 201 : 200)
  })

  app.get('/fhir/:type/:id', (c) => {
    const resource = store.read(c.req.param('type'), c.req.param('id'))
    const wantsContent = resource.resourceType === 'Binary' && !/fhir|json/.test(c.req.header('accept') ?? '')
    if (!wantsContent) return answer(c, resource)
    const content = Buffer.from(String(resource.data), 'base64')
    return c.body(content, 200, { 'content-type': String(resource.contentType) })
  })
  app.get('/fhir/:type/:id/_history/:version', (c) => {
    const { type, id, version } = c.req.param()
    return answer(c, store.readVersion(type, id, version))
  })

  app.put('/fhir/:type/:id', async (c) => {
    const url = `${c.req.param('type')}/${c.req.param('id')}`
    const [result] = write([{ method: 'PUT', url, resource: await body(c), ifMatch: c.req.header('if-match') }])
    return answer(c, result!.resource!, result!.status === 201 ? 201 : 200)
  })
  app.delete('/fhir/:type/:id', (c) => {
    write([{ method: 'DELETE', url: `${c.req.param('type')}/${c.req.param('id')}` }])
    return c.body(null, 204)
  })

  app.notFound((c) => answer(c, new FhirError(404, 'not-found', 'no such address').outcome, 404))
  app.onError((error, c) => {
    const known = error instanceof FhirError ? error : new FhirError(500, 'exception', error.message)
    return answer(c, known.outcome, known.status as ContentfulStatusCode) // only statuses with a body
  })

  function searchset(type: string, query: URLSearchParams): Resource {
    const { total, page, nextOffset } = search(store.candidates(type, query), query)
    const link = (relation: string, parameters: URLSearchParams) => ({
      relation,
      url: `${baseUrl}/${type}?${parameters}`,
    })
    const next = new URLSearchParams(query)
    next.set('_offset', String(nextOffset))
    return {
      resourceType: 'Bundle',
      type: 'searchset',
      total,
      link: [link('self', query), ...(nextOffset === undefined ? [] : [link('next', next)])],
      entry: page.map((resource) => ({
        fullUrl: `${baseUrl}/${referenceTo(resource)}`,
        resource: summarised(resource, query),
        search: { mode: 'match' },
      })),
    }
  }

  const server = createServer(forThisMachine(getRequestListener(app.fetch)))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/fhir` // a TCP server's address
  return Object.assign(sandbox, {
    baseUrl,
    store,
    requests,
    create: (resource: object) => create(toResource(resource)).resource!,
    delivered: () => subscriptions.settled(),
    stop: () => {
      subscriptions.stop()
      return new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
    },
  })
}

function answer(c: Context, resource: Resource, status: ContentfulStatusCode = 200): Response {
  const { meta } = resource
  const headers: Record<string, string> = { 'content-type': FHIR_JSON }
  if (isObject(meta) && meta.versionId !== undefined && resource.id !== undefined) {
    headers.etag = `W/"${meta.versionId}"`
    if (status === 201)
      headers.location = `${new URL(c.req.url).origin}/fhir/${resource.resourceType}/${resource.id}/_history/${meta.versionId}`
  }
  return c.body(JSON.stringify(resource), status, headers)
}

async function body(c: Context): Promise<Resource> {
  try {
    return toResource(await c.req.json())
  } catch (error) {
    throw error instanceof FhirError ? error : new FhirError(400, 'structure', 'the body is no JSON')
  }
}

/** A Binary that is posted as raw content. */
async function binary(c: Context): Promise<Resource> {
  const data = Buffer.from(await c.req.arrayBuffer()).toString('base64')
  return { resourceType: 'Binary', contentType: c.req.header('content-type'), data }
}

function capabilities(url: string): Resource {
  return {
    resourceType: 'CapabilityStatement',
    status: 'active',
    date: '2026-01-01',
    kind: 'instance',
    implementation: { description: 'CardiacNets sandbox EHR: virtual patients, in memory', url },
    fhirVersion: '4.0.1',
    format: ['json'],
    rest: [{ mode: 'server', interaction: [{ code: 'transaction' }, { code: 'batch' }] }],
  }
}
