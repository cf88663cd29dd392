/**
 * Where an EHR tells us of new ECGs, and where it finds our public key. It only notes what is to be read, so that it answers at once and
 * an EHR that cannot be read right then costs nothing but time.
 * @module
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { Hono, type MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { CodedError } from '../../shared/errors.ts'
import type { FhirInboundMessage } from '../../shared/messages.ts'
import type { KeySet } from './keys.ts'
import { EMPTY_NOTIFICATION, type Notification, readNotification, watchedReference } from './notifications.ts'

/** Below the address that the endpoint is mounted at. */
export const NOTIFICATIONS_PATH = '/notifications'
export const JWKS_PATH = '/.well-known/jwks.json'

/** What the EHR must send with each notification. */
export const SECRET_HEADER = 'x-cardiacnets-secret'

/** Of Medplum: what happened to the resource. */
const MEDPLUM_INTERACTION = 'x-medplum-interaction'

/** A notification names resources; a whole ECG in it is not even looked at. */
const MAX_BODY_BYTES = 6 * 1024 * 1024

export interface FhirEndpointOptions {
  readonly tenant: string
  /** Base of the EHR's FHIR server: a notification that names another is refused. */
  readonly baseUrl: string
  /** The secret as it is now; asked for with each notification. */
  readonly secret: () => Promise<string>
  /** Ours, where the EHR asks for tokens. */
  readonly jwks: () => Promise<KeySet['jwks'] | undefined>
  /** Resolves when they are where nothing is lost. */
  readonly enqueue: (messages: readonly FhirInboundMessage[]) => Promise<void>
}

/**
 * Throws CodedErrors, for the app that it is mounted in to answer: `unauthorized`, `payload-malformed`, `field-invalid`,
 * `origin-foreign`, `payload-too-large`.
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
    // Medplum tells of a deletion by a header, with an empty resource: what was deleted cannot be screened.
    if (c.req.header(MEDPLUM_INTERACTION)?.toLowerCase() === 'delete') return c.body(null, 200)
    await note(readNotification(await c.req.text(), baseUrl))
    return c.body(null, 200)
  })

  // R4 sends a whole resource as an update of it, to an address made of the endpoint, its type and id.
  app.on(['PUT', 'POST'], `${NOTIFICATIONS_PATH}/:type/:id`, async (c) => {
    const reference = watchedReference(c.req.param('type'), c.req.param('id'))
    await note({ ...EMPTY_NOTIFICATION, references: reference === undefined ? [] : [reference], isVague: false })
    return c.body(null, 200)
  })

  // What was deleted cannot be screened.
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

/** Compares digests, in a time that says nothing of how much of a guess was right, nor of how long the secret is. */
function checkSecret(secret: () => Promise<string>): MiddlewareHandler {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return async (c, next) => {
    const given = digest(c.req.header(SECRET_HEADER) ?? '')
    const wanted = await secret()
    // An empty secret would be met by no header at all.
    if (!timingSafeEqual(given, digest(wanted)) || wanted === '')
      throw new CodedError('unauthorized', { field: SECRET_HEADER })
    await next()
  }
}
