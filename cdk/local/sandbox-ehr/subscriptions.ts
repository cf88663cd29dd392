/**
 * Rest-hook subscriptions: those of R4 (https://hl7.org/fhir/R4/subscription.html#rest-hook: an empty POST, or a PUT of the resource) and
 * the topic-based ones of the R5 backport (handshake and notification Bundles; payload empty, id-only or full-resource).
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { FhirError, isObject, type Resource, referenceTo, type StoredResource } from './resource.ts'
import { matcher } from './search.ts'

const BACKPORT = 'http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition'
const FHIR_JSON = 'application/fhir+json'
const LOOPBACK = ['127.0.0.1', 'localhost', '[::1]']

export interface SubscriptionsOptions {
  /** Base URL of this server, for full URLs in notifications. */
  readonly baseUrl: () => string
  readonly attempts?: number
  /** Delay before the second attempt; doubles with each further one. */
  readonly backoffMs?: number
  /** Stores a subscription's new status. */
  readonly onStatus: (subscription: StoredResource, status: 'active' | 'error', error?: string) => void
}

interface Active {
  readonly resource: StoredResource
  readonly type: string
  readonly matches: (resource: StoredResource) => boolean
  readonly isTopic: boolean
  events: number
  /** Deliveries are sequential, so that none overtakes one that is retried. */
  tail: Promise<void>
}

/** @throws FhirError 422 for a subscription that this server cannot deliver */
export function checkSubscription(resource: Resource): void {
  const { channel } = resource
  const endpoint = isObject(channel) ? URL.parse(String(channel.endpoint)) : null
  if (!isObject(channel) || channel.type !== 'rest-hook') throw new FhirError(422, 'not-supported', 'rest-hook only')
  if (endpoint === null || !LOOPBACK.includes(endpoint.hostname)) {
    throw new FhirError(422, 'value', 'this sandbox delivers to this machine only')
  }
  matcher(criteriaOf(resource).query)
}

export class Subscriptions {
  readonly #options: SubscriptionsOptions
  readonly #active = new Map<string, Active>()
  readonly #stopping = new AbortController()

  constructor(options: SubscriptionsOptions) {
    this.#options = options
  }

  /** Called with every resource that was created or changed. */
  notify(changed: readonly StoredResource[]): void {
    for (const resource of changed) {
      if (resource.resourceType === 'Subscription') this.#take(resource)
      else for (const each of this.#active.values()) this.#offer(each, resource)
    }
  }

  /** Resolves when all pending deliveries are done or given up. */
  async settled(): Promise<void> {
    await Promise.all([...this.#active.values()].map(({ tail }) => tail))
  }

  stop(): void {
    this.#stopping.abort()
  }

  #take(resource: StoredResource): void {
    if (resource.status === 'off' || resource.status === 'error') this.#active.delete(resource.id)
    if (resource.status !== 'requested') return
    const { type, query, isTopic } = criteriaOf(resource)
    const active: Active = { resource, type, matches: matcher(query), isTopic, events: 0, tail: Promise.resolve() }
    this.#active.set(resource.id, active)
    this.#enqueue(active, async () => {
      if (isTopic) await this.#deliver(active, notification(active, this.#options.baseUrl(), 'handshake'))
      this.#options.onStatus(resource, 'active')
    })
  }

  #offer(active: Active, resource: StoredResource): void {
    if (resource.resourceType !== active.type || !active.matches(resource)) return
    const event = ++active.events
    this.#enqueue(active, () => {
      if (!active.isTopic) return this.#deliver(active, plainDelivery(active, resource))
      return this.#deliver(
        active,
        notification(active, this.#options.baseUrl(), 'event-notification', { event, resource }),
      )
    })
  }

  #enqueue(active: Active, work: () => Promise<void>): void {
    active.tail = active.tail.then(work).catch((error: unknown) => {
      if (this.#stopping.signal.aborted) return
      this.#active.delete(active.resource.id)
      this.#options.onStatus(active.resource, 'error', error instanceof Error ? error.message : 'unknown')
    })
  }

  /** Tries as often as the options allow. */
  async #deliver({ resource }: Active, { method, path, body }: Delivery): Promise<void> {
    const { attempts = 8, backoffMs = 250 } = this.#options
    const { endpoint, headers } = channelOf(resource)
    for (let attempt = 1; ; attempt++) {
      const failure = await send(`${endpoint}${path}`, method, headers, body, this.#stopping.signal)
      if (failure === undefined) return
      if (attempt === attempts) throw new Error(failure)
      await sleep(backoffMs * 2 ** (attempt - 1), undefined, { signal: this.#stopping.signal })
    }
  }
}

interface Delivery {
  readonly method: 'POST' | 'PUT'
  /** Appended to the endpoint. */
  readonly path: string
  readonly body?: Resource
}

function plainDelivery({ resource: { channel } }: Active, resource: StoredResource): Delivery {
  const hasPayload = isObject(channel) && channel.payload !== undefined
  return hasPayload
    ? { method: 'PUT', path: `/${referenceTo(resource)}`, body: resource }
    : { method: 'POST', path: '' }
}

/** https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/notifications.html, in its R4 form. */
function notification(
  { resource: subscription, events }: Active,
  baseUrl: string,
  type: 'handshake' | 'event-notification',
  happened?: { readonly event: number; readonly resource: StoredResource },
): Delivery {
  const content = payloadContent(subscription)
  const focus = happened && `${baseUrl}/${referenceTo(happened.resource)}`
  const hasFocus = focus !== undefined && content !== 'empty'
  const status: Resource = {
    resourceType: 'Parameters',
    meta: { profile: [`${BACKPORT}/backport-subscription-status-r4`] },
    parameter: [
      { name: 'subscription', valueReference: { reference: `${baseUrl}/${referenceTo(subscription)}` } },
      { name: 'topic', valueCanonical: subscription.criteria },
      { name: 'status', valueCode: type === 'handshake' ? 'requested' : 'active' },
      { name: 'type', valueCode: type },
      { name: 'events-since-subscription-start', valueString: String(happened?.event ?? events) },
      ...(happened === undefined
        ? []
        : [
            {
              name: 'notification-event',
              part: [
                { name: 'event-number', valueString: String(happened.event) },
                { name: 'timestamp', valueInstant: happened.resource.meta.lastUpdated },
                ...(hasFocus ? [{ name: 'focus', valueReference: { reference: focus } }] : []),
              ],
            },
          ]),
    ],
  }
  const focusEntry = {
    fullUrl: focus,
    request: { method: 'PUT', url: happened && referenceTo(happened.resource) },
    response: { status: '200' },
    ...(content === 'full-resource' && happened ? { resource: happened.resource } : {}),
  }
  const body: Resource = {
    resourceType: 'Bundle',
    meta: { profile: [`${BACKPORT}/backport-subscription-notification-r4`] },
    type: 'history',
    timestamp: new Date().toISOString(),
    entry: [
      {
        fullUrl: `urn:uuid:${crypto.randomUUID()}`,
        resource: status,
        request: { method: 'GET', url: `Subscription/${subscription.id}/$status` },
        response: { status: '200' },
      },
      ...(hasFocus ? [focusEntry] : []),
    ],
  }
  return { method: 'POST', path: '', body }
}

/** The criteria of a plain subscription are a search; those of a topic are its URL, with the search in an extension. */
function criteriaOf(resource: Resource): { type: string; query: URLSearchParams; isTopic: boolean } {
  const { criteria, _criteria } = resource
  if (typeof criteria !== 'string') throw new FhirError(422, 'required', 'criteria are missing')
  const isTopic = /^https?:/.test(criteria)
  const filter = isTopic ? extensionValue(_criteria, `${BACKPORT}/backport-filter-criteria`, 'valueString') : criteria
  if (filter === undefined) throw new FhirError(422, 'required', 'a topic needs filter criteria here')
  const [type = '', query = ''] = filter.split('?', 2)
  return { type, query: new URLSearchParams(query), isTopic }
}

function payloadContent({ channel }: StoredResource): string {
  const payload = isObject(channel) ? channel._payload : undefined
  return extensionValue(payload, `${BACKPORT}/backport-payload-content`, 'valueCode') ?? 'empty'
}

function extensionValue(element: unknown, url: string, value: string): string | undefined {
  const extensions = isObject(element) && Array.isArray(element.extension) ? element.extension : []
  const found: unknown = extensions.find((each) => isObject(each) && each.url === url)
  const text = isObject(found) ? found[value] : undefined
  return typeof text === 'string' ? text : undefined
}

function channelOf({ channel }: StoredResource) {
  const { endpoint, header } = isObject(channel) ? channel : {}
  const lines = Array.isArray(header) ? header.map(String) : []
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()]
  })
  return { endpoint: String(endpoint).replace(/\/$/, ''), headers }
}

/** Why the delivery failed, or `undefined` when it succeeded. */
async function send(
  url: string,
  method: string,
  headers: readonly [string, string][],
  body: Resource | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const response = await fetch(url, {
      method,
      headers: [...headers, ...(body === undefined ? [] : [['content-type', FHIR_JSON] satisfies [string, string]])],
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]),
    })
    await response.body?.cancel()
    return response.ok ? undefined : `answered ${response.status}`
  } catch (error) {
    return error instanceof Error ? error.name : 'unknown'
  }
}
