/**
 * Endpoint for the EHR's notifications about new ECGs, and for our public keys. It only queues what is to be read, so that it answers at
 * once, and an EHR that cannot be read at that moment only causes a delay.
 * @module
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { Hono, type MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { CodedError } from '../../shared/errors.ts'
import type { FhirInboundMessage } from '../../shared/messages.ts'
import type { KeySet } from './keys.ts'
import { EMPTY_NOTIFICATION, type Notification, readNotification, watchedReference } from './notifications.ts'

/** Relative to the path at which the endpoint is mounted. */
export const NOTIFICATIONS_PATH = '/notifications'
export const JWKS_PATH = '/.well-known/jwks.json'

/** Header with the secret of each notification. */
export const SECRET_HEADER = 'x-cardiacnets-secret'

/** Medplum's header: what happened to the resource. */
const MEDPLUM_INTERACTION = 'x-medplum-interaction'

/** A notification names resources; an ECG that it contains is not read. */
const MAX_BODY_BYTES = 6 * 1024 * 1024

export interface FhirEndpointOptions {
  readonly tenant: string
  /** Base URL of the EHR's FHIR server: a notification that names another server is refused. */
  readonly baseUrl: string
  /** The current secret; requested for each notification. */
  readonly secret: () => Promise<string>
  /** Our public keys, if the EHR requires tokens. */
  readonly jwks: () => Promise<KeySet['jwks'] | undefined>
  /** Resolves when the messages are stored safely. */
  readonly enqueue: (messages: readonly FhirInboundMessage[]) => Promise<void>
}

/**
 * Makes the endpoint. It throws CodedErrors, which the app that mounts it must handle: `unauthorized`, `payload-malformed`,
 * `field-invalid`, `origin-foreign`, `payload-too-large`.
 * @example
 * app.route('/fhir', createFhirEndpoint({ tenant, baseUrl, secret, jwks, enqueue }))
 */
export function createFhirEndpoint(options: FhirEndpointOptions): Hono {
  const { tenant, baseUrl, enqueue } = options
  const app = new Hono({ strict: false })

  app.get(JWKS_PATH, async (c) => {
    const jwks = await options.jwks()
    if (jwks === undefined) throw new CodedError('not-found', { field: 'path' })
    return c.json(jwks, 200, { 'cache-control': 'public, max-age=300' })
  })

  const limit = bodyLimit({
    maxSize: MAX_BODY_BYTES,
    onError: () => {
      throw new CodedError('payload-too-large', { field: 'body', maxBytes: MAX_BODY_BYTES })
    },
  })
  app.use(`${NOTIFICATIONS_PATH}/*`, checkSecret(options.secret), limit)

  app.post(NOTIFICATIONS_PATH, async (c) => {
    // Medplum reports a deletion by a header, with an empty resource. A deleted resource cannot be screened.
    if (c.req.header(MEDPLUM_INTERACTION)?.toLowerCase() === 'delete') return c.body(null, 200)
    await note(readNotification(await c.req.text(), baseUrl))
    return c.body(null, 200)
  })

  // R4 sends a whole resource as an update, to an address made of the endpoint, its type and its id.
  app.on(['PUT', 'POST'], `${NOTIFICATIONS_PATH}/:type/:id`, async (c) => {
    const reference = watchedReference(c.req.param('type'), c.req.param('id'))
    await note({ ...EMPTY_NOTIFICATION, references: reference === undefined ? [] : [reference], isVague: false })
    return c.body(null, 200)
  })

  // A deleted resource cannot be screened.
  app.delete(`${NOTIFICATIONS_PATH}/:type/:id`, (c) => c.body(null, 200))

  async function note({ references, isVague }: Notification): Promise<void> {
    const messages: FhirInboundMessage[] = references.map((reference) => ({
      schema: 1,
      tenant,
      kind: 'resource',
      reference,
    }))
    if (isVague) messages.push({ schema: 1, tenant, kind: 'poll' })
    if (messages.length > 0) await enqueue(messages)
  }

  return app
}

/** Compares digests in constant time, which reveals neither how much of a guess is right nor the secret's length. */
function checkSecret(secret: () => Promise<string>): MiddlewareHandler {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return async (c, next) => {
    const given = digest(c.req.header(SECRET_HEADER) ?? '')
    const wanted = await secret()
    // No header at all would match an empty secret.
    if (!timingSafeEqual(given, digest(wanted)) || wanted === '')
      throw new CodedError('unauthorized', { field: SECRET_HEADER })
    await next()
  }
}
