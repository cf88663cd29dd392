/**
 * Notifications of a FHIR server about changes: R4's rest-hook (nothing, an id or a whole resource) and the topic-based Bundles of the R5
 * backport, in R4 (Parameters), R4B and R5 (SubscriptionStatus). https://hl7.org/fhir/R4/subscription.html#channels,
 * https://hl7.org/fhir/uv/subscriptions-backport/notifications.html
 * @module
 */
import * as z from 'zod'
import { CodedError } from '../../shared/errors.ts'

/** Resource types that may contain an ECG; changes of other types are ignored. */
const WATCHED_TYPES: readonly string[] = ['Observation', 'DocumentReference', 'DiagnosticReport', 'Media']

export interface Notification {
  readonly kind: 'handshake' | 'heartbeat' | 'event'
  /** Changed resources such as `Observation/123`, each once. */
  readonly references: readonly string[]
  /** Something changed, but the server does not say what. */
  readonly isVague: boolean
}

const NOTHING: Omit<Notification, 'kind'> = { references: [], isVague: false }

/** A notification without content; we must search for the change. */
export const EMPTY_NOTIFICATION: Notification = { kind: 'event', references: [], isVague: true }

const text = z.string().optional()
const Reference = z.object({ reference: text }).optional()
const Resource = z.looseObject({ resourceType: z.string(), id: text })

/** https://hl7.org/fhir/R5/subscriptionstatus.html */
const Status = z.object({
  resourceType: z.literal('SubscriptionStatus'),
  type: z.string(),
  notificationEvent: z.array(z.object({ focus: Reference })).default([]),
})

/** The same in R4: https://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition-backport-subscription-status-r4.html */
const StatusParameters = z.object({
  resourceType: z.literal('Parameters'),
  parameter: z
    .array(
      z.object({
        name: z.string(),
        valueCode: text,
        part: z.array(z.object({ name: z.string(), valueReference: Reference })).default([]),
      }),
    )
    .default([]),
})

const Bundle = z.object({
  resourceType: z.literal('Bundle'),
  entry: z.array(z.object({ fullUrl: text, resource: z.unknown().optional() })).default([]),
})

/** Far more events than a server collects in one notification. */
const MAX_EVENTS = 1000

/**
 * Parses the body of a notification. References must be on the EHR's own server, `baseUrl`.
 * @throws CodedError `payload-malformed`, `field-invalid`, `origin-foreign`, `payload-too-large`
 */
export function readNotification(body: string, baseUrl: string): Notification {
  const content = body.replace(/^\uFEFF/, '').trim()
  if (content === '' || content === '{}' || content === 'null') return EMPTY_NOTIFICATION
  const json = parse(content)
  const bundle = Bundle.safeParse(json)
  if (!bundle.success) return ofResource(json)
  const status = statusOf(bundle.data.entry[0]?.resource)
  if (status.type === 'handshake' || status.type === 'heartbeat') return { kind: status.type, ...NOTHING }
  if (status.type !== 'event-notification') throw new CodedError('field-invalid', { field: 'type' })
  if (status.focuses.length > MAX_EVENTS)
    throw new CodedError('payload-too-large', { field: 'entry', maxEvents: MAX_EVENTS })
  const said = status.focuses.filter((focus) => focus !== undefined)
  return {
    kind: 'event',
    references: [...new Set(said.flatMap((focus) => watched(focus, baseUrl)))],
    isVague: said.length < status.focuses.length || status.focuses.length === 0,
  }
}

/** The reference of a resource that was put or deleted below our address; `undefined` for a type that is ignored. */
export function watchedReference(type: string, id: string): string | undefined {
  return WATCHED_TYPES.includes(type) && /^[A-Za-z0-9\-.]{1,64}$/.test(id) ? `${type}/${id}` : undefined
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    throw new CodedError('payload-malformed', { field: 'body' })
  }
}

/** A resource, or only its type and id. Its other content is read from the EHR, which is more reliable than a message. */
function ofResource(json: unknown): Notification {
  const resource = Resource.safeParse(json)
  if (!resource.success) throw new CodedError('field-invalid', { field: 'resourceType' })
  const { resourceType, id } = resource.data
  if (id === undefined) throw new CodedError('field-invalid', { field: 'id' })
  const reference = watchedReference(resourceType, id)
  return { kind: 'event', references: reference === undefined ? [] : [reference], isVague: false }
}

interface StatusSaid {
  readonly type: string
  /** One per event; `undefined` where the server does not name the resource. */
  readonly focuses: readonly (string | undefined)[]
}

function statusOf(resource: unknown): StatusSaid {
  const status = Status.safeParse(resource)
  if (status.success) {
    return { type: status.data.type, focuses: status.data.notificationEvent.map(({ focus }) => focus?.reference) }
  }
  const parameters = StatusParameters.safeParse(resource)
  if (!parameters.success) throw new CodedError('field-invalid', { field: 'entry[0].resource' })
  const { parameter } = parameters.data
  return {
    type: parameter.find(({ name }) => name === 'type')?.valueCode ?? '',
    focuses: parameter
      .filter(({ name }) => name === 'notification-event')
      .map(({ part }) => part.find(({ name }) => name === 'focus')?.valueReference?.reference),
  }
}

function watched(focus: string, baseUrl: string): readonly string[] {
  const isAbsolute = /^[a-z][a-z0-9+.-]*:/i.test(focus)
  if (isAbsolute && !focus.startsWith(`${baseUrl}/`)) throw new CodedError('origin-foreign', { field: 'focus' })
  const [type = '', id = '', history] = (isAbsolute ? focus.slice(baseUrl.length + 1) : focus).split('/')
  if (history !== undefined && history !== '_history') throw new CodedError('field-invalid', { field: 'focus' })
  const reference = watchedReference(type, id)
  return reference === undefined ? [] : [reference]
}
