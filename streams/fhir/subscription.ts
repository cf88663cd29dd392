/**
 * Subscriptions on the EHR: one for each of the site's criteria, created or updated. https://hl7.org/fhir/R4/subscription.html,
 * https://hl7.org/fhir/uv/subscriptions-backport/components.html
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { CodedError } from '../../shared/errors.ts'
import type { EhrClient, FhirResource } from './client.ts'
import { SECRET_HEADER } from './endpoint.ts'

/** Content of a notification: the resource, nothing, or (for a topic) an id. */
export type Payload = 'full' | 'empty' | { readonly topic: string }

export interface SubscribeOptions {
  readonly criteria: readonly string[]
  /** Our URL for notifications. */
  readonly endpoint: string
  readonly secret: string
  readonly payload: Payload
  /** How long a server may take to activate a subscription, and the interval of checks. */
  readonly waitMs?: number
  readonly pollMs?: number
}

export interface Subscribed {
  readonly criteria: string
  /** `active`, `error`, still `requested`, or `refused` when the server does not accept it. */
  readonly status: string
  /** The server's error message, shortened. */
  readonly error?: string
}

const BACKPORT = 'http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition'

/**
 * Creates or updates the subscriptions and waits until they are active. Existing ones are updated, because the payload and the secret may
 * have changed.
 */
export async function subscribe(ehr: EhrClient, options: SubscribeOptions): Promise<Subscribed[]> {
  const { criteria, endpoint, payload, waitMs = 10_000, pollMs = 250 } = options
  const existing = await ourSubscriptions(ehr, endpoint)
  const made: Subscribed[] = []
  for (const each of criteria) {
    const wanted = subscription(each, options)
    const old = existing.find((one) => filterOf(one) === each && isTopic(one) === (typeof payload === 'object'))
    try {
      const resource =
        old?.id === undefined ? await ehr.create(wanted) : await ehr.update({ ...wanted, id: String(old.id) })
      made.push(await settled(ehr, resource, each, Date.now() + waitMs, pollMs))
    } catch (error) {
      // Not every server supports every search; the others may work.
      if (!(error instanceof CodedError) || error.code !== 'ehr-refused') throw error
      made.push({ criteria: each, status: 'refused', error: `answers ${error.detail.status}` })
    }
  }
  return made
}

/** Subscriptions that notify our endpoint. */
export async function ourSubscriptions(ehr: EhrClient, endpoint: string): Promise<FhirResource[]> {
  const found: FhirResource[] = []
  for await (const { entry } of ehr.searchPages('Subscription', { url: endpoint })) {
    for (const each of Array.isArray(entry) ? entry : []) {
      if (each?.resource?.resourceType === 'Subscription') found.push(each.resource)
    }
  }
  return found
}

/** Current state of a subscription. */
export function stateOf(resource: FhirResource): Subscribed {
  const { status, error } = resource
  const line = typeof error === 'string' ? error.split('\n')[0]!.slice(0, 120) : undefined
  return { criteria: filterOf(resource), status: String(status), ...(line === undefined ? {} : { error: line }) }
}

function subscription(criteria: string, { endpoint, secret, payload }: SubscribeOptions) {
  const channel = { type: 'rest-hook', endpoint, header: [`${SECRET_HEADER}: ${secret}`] }
  const common = { resourceType: 'Subscription', status: 'requested', reason: 'CardiacNets Edge screens new ECGs' }
  if (payload === 'empty') return { ...common, criteria, channel }
  const withPayload = { ...channel, payload: 'application/fhir+json' }
  if (payload === 'full') return { ...common, criteria, channel: withPayload }
  const content = { url: `${BACKPORT}/backport-payload-content`, valueCode: 'id-only' }
  return {
    ...common,
    meta: { profile: [`${BACKPORT}/backport-subscription`] },
    criteria: payload.topic,
    _criteria: { extension: [{ url: `${BACKPORT}/backport-filter-criteria`, valueString: criteria }] },
    channel: { ...withPayload, _payload: { extension: [content] } },
  }
}

/** The search of a subscription: its criteria, or the filter of its topic. */
function filterOf({ criteria, _criteria }: FhirResource): string {
  const extensions: unknown =
    typeof _criteria === 'object' && _criteria !== null && 'extension' in _criteria ? _criteria.extension : []
  for (const each of Array.isArray(extensions) ? extensions : []) {
    if (each?.url === `${BACKPORT}/backport-filter-criteria`) return String(each.valueString)
  }
  return String(criteria)
}

const isTopic = ({ criteria }: FhirResource) => /^https?:/.test(String(criteria))

/** Waits until the server has completed its handshake. */
async function settled(ehr: EhrClient, made: FhirResource, criteria: string, untilMs: number, pollMs: number) {
  let state = { ...stateOf(made), criteria }
  while (made.id !== undefined && state.status !== 'active' && state.status !== 'error' && Date.now() < untilMs) {
    await sleep(pollMs)
    state = { ...stateOf(await ehr.read(`Subscription/${String(made.id)}`)), criteria }
  }
  return state
}
