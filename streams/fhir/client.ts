/**
 * The client of the EHR's FHIR R4 server. `fhir-kit-client` composes the requests and `transport.ts` sends them, because the library would
 * follow redirects and references to any server, read responses of any length, and quote addresses in its errors.
 * @module
 */
import { Client, type FhirResource } from 'fhir-kit-client'
import { CodedError } from '../../shared/errors.ts'
import { type SmartOptions, SmartToken } from './smart.ts'
import { belowBase, type HttpAnswer, send, TRANSPORT_DEFAULTS, type TransportOptions } from './transport.ts'

export type { FhirResource } from 'fhir-kit-client'
export type { SmartOptions }

export interface EhrClientConfig {
  /** Base URL of the FHIR server, such as `https://ehr.example/fhir/r4`. Nothing outside it is ever fetched. */
  readonly baseUrl: string
  /** SMART Backend Services; absent for a server that requires no token (the sandbox). */
  readonly smart?: SmartOptions | undefined
  readonly transport?: Partial<TransportOptions>
}

/** An outgoing resource: any resource type of `@medplum/fhirtypes` is accepted. */
export interface OutgoingResource {
  readonly resourceType: string
  readonly id?: string | undefined
}

export type SearchParameters = Readonly<Record<string, string | number | readonly string[]>>

export interface BinaryContent {
  readonly contentType: string | undefined
  readonly bytes: Buffer
}

/**
 * Every method throws only CodedErrors: `ehr-unavailable` (retry later), `ehr-unauthorized`, `ehr-forbidden`, `not-found`, `ehr-refused`
 * (the EHR will never accept it, with its `status`), `ehr-malformed`, `origin-foreign`, `payload-too-large`. None quotes an address or a
 * response.
 */
export interface EhrClient {
  /** Without a slash at the end. */
  readonly baseUrl: string
  /** Reads `Observation/123`, or an absolute URL on the same server. */
  read(reference: string): Promise<FhirResource>
  /** Reads the content of a Binary, by `Binary/123` or the URL of an attachment on the same server. */
  readBinary(reference: string): Promise<BinaryContent>
  /** The first page of a search. */
  search(resourceType: string, parameters: SearchParameters): Promise<FhirResource>
  /** All pages of a search, one after another. */
  searchPages(resourceType: string, parameters: SearchParameters): AsyncGenerator<FhirResource>
  /**
   * Creates a resource and returns the server's version. With `ifNoneExist` (`identifier=system|value`) an existing resource is left
   * unchanged, so a lost response does not lead to a duplicate.
   */
  create(resource: OutgoingResource, options?: { readonly ifNoneExist?: string }): Promise<FhirResource>
  /** Replaces the resource with the same id. */
  update(resource: OutgoingResource & { readonly id: string }): Promise<FhirResource>
  delete(reference: string): Promise<void>
  /** All or nothing. Its creates must be conditional (`ifNoneExist`), because a transaction whose response was lost is repeated. */
  transaction(bundle: OutgoingResource): Promise<FhirResource>
  /** The server's CapabilityStatement. */
  capabilities(): Promise<FhirResource>
}

/** https://hl7.org/fhir/R4/references.html#literal and http.html#read */
const RELATIVE_REFERENCE = /^[A-Z][A-Za-z]{1,63}\/[A-Za-z0-9\-.]{1,64}(?:\/_history\/[A-Za-z0-9\-.]{1,64})?$/

/** Most pages of a search, so that an endless one is stopped. */
const MAX_PAGES = 1000

/**
 * Makes a client.
 * @throws CodedError `site-config-invalid` when the base URL cannot be trusted with a token
 * @example
 * const ehr = createEhrClient({ baseUrl: 'https://ehr.example/fhir', smart: { clientId, key, scope: 'system/Observation.rs' } })
 * const observation = await ehr.read('Observation/123')
 */
export function createEhrClient({ baseUrl, smart, transport }: EhrClientConfig): EhrClient {
  const base = parseBase(baseUrl, smart !== undefined)
  const options = { ...TRANSPORT_DEFAULTS, ...transport }
  const token = smart && new SmartToken(base, smart, options)
  const root = new URL(base.href.slice(0, -1))
  const client = new Client({ baseUrl: base.href })

  /** One authorised call. A token that the server no longer accepts is renewed once. */
  async function call(method: string, url: URL, headers: Record<string, string>, body?: string): Promise<HttpAnswer> {
    const isRepeatable = method !== 'POST' || 'if-none-exist' in headers || url.href === root.href
    for (let isFirst = true; ; isFirst = false) {
      const value = await token?.get()
      const authorization: Record<string, string> = value === undefined ? {} : { authorization: `Bearer ${value}` }
      const answer = await send(url, { method, headers: { ...headers, ...authorization }, body, isRepeatable }, options)
      if (answer.status !== 401 || value === undefined || !isFirst) return accepted(answer)
      token?.refused(value)
    }
  }

  // Replaces the library's own `request`, so that all its requests are sent by our transport.
  client.httpClient.request = async (method, path, { headers } = {}, body) => {
    // A transaction is posted to the base URL itself, which a server need not accept with a trailing slash.
    const url = path === '/' ? root : belowBase(path, base)
    const json = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
    const answer = await call(method, url, { accept: 'application/fhir+json', ...lowerCase(headers) }, json)
    const resource = parseResource(answer)
    return method === 'GET' || url === root ? notOutcome(resource, answer) : resource
  }

  const address = (reference: string) => {
    if (!RELATIVE_REFERENCE.test(reference) && !/^https?:\/\//i.test(reference)) {
      throw new CodedError('field-invalid', { field: 'reference' })
    }
    return belowBase(reference, base)
  }

  return {
    baseUrl: root.href.replace(/\/$/, ''),
    read: (reference) => promised(() => client.request(address(reference).href)),
    async readBinary(reference) {
      // Without a FHIR type the server returns the content itself (https://hl7.org/fhir/R4/binary.html#rest); some servers wrap it anyway.
      const answer = await call('GET', address(reference), { accept: '*/*' })
      const { headers, body } = answer
      const contentType = headers.get('content-type')?.split(';')[0]?.trim().toLowerCase()
      return (contentType?.endsWith('json') && unwrapBinary(answer)) || { contentType, bytes: body }
    },
    search: (resourceType, searchParams) => client.search({ resourceType, searchParams: mutable(searchParams) }),
    async *searchPages(resourceType, searchParams) {
      let page = await client.search({ resourceType, searchParams: mutable(searchParams) })
      for (let count = 1; ; count++) {
        yield page
        const next = nextLink(page)
        if (next === undefined) return
        if (count === MAX_PAGES) throw new CodedError('ehr-malformed', { field: 'link', maxPages: MAX_PAGES })
        page = await client.request(belowBase(next, base).href)
      }
    },
    create: (resource, { ifNoneExist } = {}) =>
      client.create({
        resourceType: resource.resourceType,
        body: outgoing(resource),
        options: { headers: ifNoneExist === undefined ? {} : { 'if-none-exist': ifNoneExist } },
      }),
    update: (resource) =>
      client.update({ resourceType: resource.resourceType, id: resource.id, body: outgoing(resource) }),
    async delete(reference) {
      await call('DELETE', address(reference), { accept: 'application/fhir+json' })
    },
    transaction: async (bundle) => wholeTransaction(await client.transaction({ body: outgoing(bundle) })),
    capabilities: () => client.capabilityStatement(),
  }
}

/** The base URL with a trailing slash, so that references resolve below it. */
function parseBase(baseUrl: string, carriesToken: boolean): URL {
  const base = URL.parse(baseUrl.endsWith('/') ? baseUrl : `${baseUrl}/`)
  const isPlain = base?.username === '' && base.password === '' && base.search === '' && base.hash === ''
  if (base === null || !isPlain) throw new CodedError('site-config-invalid', { field: 'site.ehr.baseUrl' })
  const isLoopback = /^(localhost|127\.0\.0\.1|\[::1\])$/.test(base.hostname)
  // Without TLS the token and every ECG could be read on the way.
  if (base.protocol !== 'https:' && !(base.protocol === 'http:' && (isLoopback || !carriesToken))) {
    throw new CodedError('site-config-invalid', { field: 'site.ehr.baseUrl', expected: 'https' })
  }
  return base
}

function accepted(answer: HttpAnswer): HttpAnswer {
  const { status } = answer
  if (status < 300) return answer
  if (status === 401) throw new CodedError('ehr-unauthorized', { status })
  if (status === 403) throw new CodedError('ehr-forbidden', { status })
  if (status === 404 || status === 410) throw new CodedError('not-found', { field: 'reference', status })
  throw new CodedError('ehr-refused', { status })
}

/** The resource that a location such as `https://ehr.example/fhir/Observation/123/_history/1` names. */
function created(location: string): FhirResource {
  const parts = location.split('/')
  const [resourceType = '', id = ''] = parts.slice(parts.at(-2) === '_history' ? -4 : -2)
  const isResource = /^[A-Z][A-Za-z]{1,63}$/.test(resourceType) && /^[A-Za-z0-9\-.]{1,64}$/.test(id)
  return isResource ? { resourceType, id } : { resourceType: 'Parameters' }
}

function parseResource(answer: HttpAnswer): FhirResource {
  // A create may have a response without a body; the id is then in its location (https://hl7.org/fhir/R4/http.html#create).
  if (answer.body.length === 0) {
    return created(answer.headers.get('location') ?? '')
  }
  const resource = resourceIn(answer)
  if (resource === undefined) throw new CodedError('ehr-malformed', { field: 'response', status: answer.status })
  return resource
}

/** The resource in a body; `undefined` for anything else. */
function resourceIn({ body }: HttpAnswer): FhirResource | undefined {
  try {
    const json: unknown = JSON.parse(body.toString('utf8'))
    if (typeof json === 'object' && json !== null && 'resourceType' in json && typeof json.resourceType === 'string') {
      return { ...json, resourceType: json.resourceType }
    }
  } catch {
    // The parser's message would quote the response.
  }
  return undefined
}

/**
 * What was asked for. Some servers report an error with the status 200: nothing was found or written then.
 * @throws CodedError `ehr-malformed` for an OperationOutcome
 */
function notOutcome(resource: FhirResource, { status }: HttpAnswer): FhirResource {
  if (resource.resourceType === 'OperationOutcome') throw new CodedError('ehr-malformed', { field: 'response', status })
  return resource
}

/**
 * The response to a transaction of which every part was accepted. A server that handles it as a batch may refuse some of them.
 * @throws CodedError `ehr-unavailable`, `ehr-refused`
 */
function wholeTransaction(response: FhirResource): FhirResource {
  for (const each of Array.isArray(response.entry) ? response.entry : []) {
    const status = Number.parseInt(String(each?.response?.status), 10)
    if (status >= 400) throw new CodedError(status >= 500 ? 'ehr-unavailable' : 'ehr-refused', { status })
  }
  return response
}

/**
 * The content of a Binary; `undefined` for JSON that is itself the content.
 * @throws CodedError `ehr-malformed` for an OperationOutcome
 */
function unwrapBinary(answer: HttpAnswer): BinaryContent | undefined {
  const json = resourceIn(answer)
  if (json === undefined) return undefined
  const { resourceType, data, contentType } = notOutcome(json, answer)
  if (resourceType !== 'Binary' || typeof data !== 'string') return undefined
  return {
    contentType: typeof contentType === 'string' ? contentType : undefined,
    bytes: Buffer.from(data, 'base64'),
  }
}

function nextLink({ link }: FhirResource): string | undefined {
  if (!Array.isArray(link)) return undefined
  const next: unknown = link.find(
    (each: unknown) => typeof each === 'object' && each !== null && 'relation' in each && each.relation === 'next',
  )
  return typeof next === 'object' && next !== null && 'url' in next && typeof next.url === 'string'
    ? next.url
    : undefined
}

/** Turns synchronous errors of the library into rejections, so that callers handle one kind of failure. */
async function promised<T>(make: () => Promise<T>): Promise<T> {
  return make()
}

const outgoing = (resource: OutgoingResource): FhirResource => ({ ...resource })

const mutable = (parameters: SearchParameters): Record<string, string | number | string[]> =>
  Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => [name, typeof value === 'object' ? [...value] : value]),
  )

const lowerCase = (headers: Readonly<Record<string, string>> = {}) =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
