import fc from 'fast-check'
import { Hono } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { describe, expect, it } from 'vitest'
import { toCodedError } from '../../../shared/errors.ts'
import { FhirInboundMessage } from '../../../shared/messages.ts'
import { createFhirEndpoint, type FhirEndpointOptions, SECRET_HEADER } from '../../../streams/fhir/endpoint.ts'
import { newKeySet } from './helpers/smart-server.ts'

const SECRET = 'a long enough secret'
const BASE = 'https://ehr.example/fhir'
const PARAMETERS = 'http://hl7.org/fhir/uv/subscriptions-backport'

/** The endpoint in an app that answers coded errors, as `functions/api` does. */
function endpoint(options: Partial<FhirEndpointOptions> = {}) {
  const queued: FhirInboundMessage[] = []
  const app = new Hono({ strict: false })
    .route(
      '/fhir',
      createFhirEndpoint({
        tenant: 'clinic',
        baseUrl: BASE,
        secret: async () => SECRET,
        jwks: async () => undefined,
        enqueue: async (messages) => void queued.push(...messages),
        ...options,
      }),
    )
    .onError((thrown, c) => {
      const { code, kind, detail } = toCodedError(thrown)
      return c.json({ code, ...detail }, kind.status as ContentfulStatusCode) // only statuses with a body
    })
  const send = (
    path: string,
    body?: unknown,
    method = 'POST',
    headers: Record<string, string> = { [SECRET_HEADER]: SECRET },
  ) =>
    app.request(`/fhir/notifications${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
  return { app, send, queued }
}

const resource = (reference: string): FhirInboundMessage => ({
  schema: 1,
  tenant: 'clinic',
  kind: 'resource',
  reference,
})
const POLL: FhirInboundMessage = { schema: 1, tenant: 'clinic', kind: 'poll' }

/** A notification of the R5 backport, in the form of R4. */
const r4 = (type: string, ...focuses: (string | undefined)[]) => ({
  resourceType: 'Bundle',
  type: 'history',
  entry: [
    {
      fullUrl: 'urn:uuid:1',
      resource: {
        resourceType: 'Parameters',
        meta: { profile: [`${PARAMETERS}/StructureDefinition/backport-subscription-status-r4`] },
        parameter: [
          { name: 'subscription', valueReference: { reference: `${BASE}/Subscription/1` } },
          { name: 'topic', valueCanonical: `${PARAMETERS}/SubscriptionTopic/1` },
          { name: 'status', valueCode: 'active' },
          { name: 'type', valueCode: type },
          ...focuses.map((reference, i) => ({
            name: 'notification-event',
            part: [
              { name: 'event-number', valueString: String(i + 1) },
              ...(reference === undefined ? [] : [{ name: 'focus', valueReference: { reference } }]),
            ],
          })),
        ],
      },
    },
  ],
})

/** The same in R4B and R5. */
const r5 = (type: string, ...focuses: string[]) => ({
  resourceType: 'Bundle',
  type: 'subscription-notification',
  entry: [
    {
      resource: {
        resourceType: 'SubscriptionStatus',
        type,
        notificationEvent: focuses.map((reference, i) => ({ eventNumber: i + 1, focus: { reference } })),
      },
    },
    ...focuses.map((fullUrl) => ({ fullUrl, resource: { resourceType: 'Observation', id: 'elsewhere' } })),
  ],
})

describe('a FHIR notification', () => {
  it.each([
    ['an empty one, which starts a poll', '', undefined, 'POST', [POLL]],
    [
      'a whole resource, which is read again by its URL',
      '/Observation/7',
      { resourceType: 'Observation', id: '8' },
      'PUT',
      [resource('Observation/7')],
    ],
    [
      'a resource in the body',
      '',
      { resourceType: 'DiagnosticReport', id: '9', status: 'final' },
      'POST',
      [resource('DiagnosticReport/9')],
    ],
    ['only an id in the body', '', { resourceType: 'Observation', id: '10' }, 'POST', [resource('Observation/10')]],
    [
      'an event on a topic',
      '',
      r4('event-notification', `${BASE}/Observation/1`, 'Media/2'),
      'POST',
      [resource('Observation/1'), resource('Media/2')],
    ],
    [
      'a repeated event',
      '',
      r4('event-notification', `${BASE}/Observation/1`, 'Observation/1'),
      'POST',
      [resource('Observation/1')],
    ],
    [
      'a version of a resource',
      '',
      r4('event-notification', `${BASE}/Observation/1/_history/3`),
      'POST',
      [resource('Observation/1')],
    ],
    ['an event without a focus', '', r4('event-notification', undefined), 'POST', [POLL]],
    [
      'events with and without a focus',
      '',
      r4('event-notification', 'Observation/1', undefined),
      'POST',
      [resource('Observation/1'), POLL],
    ],
    [
      'an event in R5',
      '',
      r5('event-notification', `${BASE}/DocumentReference/4`),
      'POST',
      [resource('DocumentReference/4')],
    ],
    ['a handshake', '', r4('handshake'), 'POST', []],
    ['a handshake in R5', '', r5('handshake'), 'POST', []],
    ['a heartbeat', '', r4('heartbeat'), 'POST', []],
    ['a change to another resource type', '', r4('event-notification', 'Patient/1'), 'POST', []],
    ['a put Patient', '/Patient/1', {}, 'PUT', []],
    ['a deletion', '/Observation/7', undefined, 'DELETE', []],
  ])('is accepted: %s', async (_what, path, body, method, expected) => {
    const { send, queued } = endpoint()

    const response = await send(path, body, method)

    expect(response.status).toBe(200)
    expect(queued).toEqual(expected)
    for (const message of queued) expect(FhirInboundMessage.parse(message)).toEqual(message)
  })

  it.each([
    ['text that is not JSON', '{"resourceType": "Bund', 400, 'payload-malformed'],
    ['JSON that is not a resource', [1, 2], 400, 'field-invalid'],
    ['a resource without an id', { resourceType: 'Observation' }, 400, 'field-invalid'],
    ['a Bundle without a status', { resourceType: 'Bundle', entry: [] }, 400, 'field-invalid'],
    ['a Bundle of another type', r4('query-status'), 400, 'field-invalid'],
    [
      'a focus on another server',
      r4('event-notification', 'https://elsewhere.example/fhir/Observation/1'),
      400,
      'origin-foreign',
    ],
    [
      'a focus on a server with a similar name',
      r4('event-notification', `${BASE}.elsewhere.example/Observation/1`),
      400,
      'origin-foreign',
    ],
    [
      'a focus on the metadata service',
      r4('event-notification', 'http://169.254.169.254/Observation/1'),
      400,
      'origin-foreign',
    ],
    ['a file URL', r4('event-notification', 'file:///etc/passwd'), 400, 'origin-foreign'],
    [
      'too many events',
      r4('event-notification', ...Array.from({ length: 1001 }, (_, i) => `Observation/${i}`)),
      413,
      'payload-too-large',
    ],
  ])('is refused with nothing queued: %s', async (_what, body, status, code) => {
    const { send, queued } = endpoint()

    const response = await send('', body)

    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject({ code })
    expect(queued).toEqual([])
  })

  it.each(['..%2F..%2Fadmin', 'a b', 'x'.repeat(65), '%2e%2e'])('queues nothing for the invalid ID %s', async (id) => {
    const { send, queued } = endpoint()

    await send(`/Observation/${id}`, {}, 'PUT')

    expect(queued).toEqual([])
  })

  it('is not read when it is too large', async () => {
    const { send } = endpoint()

    const response = await send('', 'x'.repeat(6 * 1024 * 1024 + 1))

    expect(response.status).toBe(413)
  })

  it('gets an error status when it cannot be queued, so that the server sends it again', async () => {
    const { send } = endpoint({ enqueue: () => Promise.reject(new Error('the queue is away')) })

    const response = await send('', r4('event-notification', 'Observation/1'))

    expect(response.status).toBe(500)
  })

  it('gets a status below 500 for any JSON, and queues valid references only', async () => {
    const { send, queued } = endpoint()
    const part = fc.record({ name: fc.constantFrom('focus', 'type', 'x'), valueReference: fc.anything() })
    const parameter = fc.record({
      name: fc.constantFrom('type', 'notification-event'),
      valueCode: fc.constantFrom('event-notification', 3),
      part: fc.array(part),
    })
    const body = fc.oneof(
      fc.json(),
      fc.record({
        resourceType: fc.constant('Bundle'),
        entry: fc.array(
          fc.record({
            resource: fc.record({ resourceType: fc.constant('Parameters'), parameter: fc.array(parameter) }),
          }),
        ),
      }),
    )

    await fc.assert(
      fc.asyncProperty(body, async (value) => {
        const response = await send('', value)

        expect(response.status).toBeLessThan(500)
        for (const message of queued) FhirInboundMessage.parse(message)
      }),
    )
  })
})

describe('the notification secret', () => {
  it.each<[string, Record<string, string>]>([
    ['is missing', {}],
    ['is wrong', { [SECRET_HEADER]: 'another secret of some length' }],
    ['is empty', { [SECRET_HEADER]: '' }],
    ['is truncated', { [SECRET_HEADER]: SECRET.slice(0, -1) }],
    ['is in another header', { authorization: `Bearer ${SECRET}` }],
  ])('causes a 401 and queues nothing when it %s', async (_what, headers) => {
    const { send, queued } = endpoint()

    const answers = await Promise.all([
      send('', undefined, 'POST', headers),
      send('', 'no JSON {', 'POST', headers),
      send('/Observation/1', {}, 'PUT', headers),
      send('/Observation/1', undefined, 'DELETE', headers),
    ])

    expect(answers.map(({ status }) => status)).toEqual([401, 401, 401, 401])
    expect(queued).toEqual([])
  })

  it('causes a 401 for every request when it was never set', async () => {
    const { send } = endpoint({ secret: async () => '' })

    const answers = await Promise.all([
      send('', undefined, 'POST', {}),
      send('', undefined, 'POST', { [SECRET_HEADER]: '' }),
    ])

    expect(answers.map(({ status }) => status)).toEqual([401, 401])
  })

  it('is read for each request, so that it can be rotated', async () => {
    let secret = 'old'
    const { send } = endpoint({ secret: async () => secret })
    const before = await send('', undefined, 'POST', { [SECRET_HEADER]: 'new' })
    secret = 'new'

    const after = await send('', undefined, 'POST', { [SECRET_HEADER]: 'new' })

    expect([before.status, after.status]).toEqual([401, 200])
  })
})

describe('the JWKS endpoint', () => {
  it.each(['ES384', 'RS384'] as const)('serves the public key only, without authentication (%s)', async (algorithm) => {
    const { app } = endpoint({ jwks: async () => newKeySet(algorithm).jwks })

    const response = await app.request('/fhir/.well-known/jwks.json')

    const { keys } = (await response.json()) as { keys: Record<string, unknown>[] }
    expect(response.status).toBe(200)
    expect(keys).toHaveLength(1)
    expect(keys[0]).toMatchObject({ kid: 'key-1', alg: algorithm, use: 'sig' })
    const members = algorithm === 'ES384' ? ['crv', 'kty', 'x', 'y'] : ['e', 'kty', 'n']
    expect(Object.keys(keys[0]!).toSorted()).toEqual([...members, 'alg', 'key_ops', 'kid', 'use'].toSorted())
  })

  it('is absent when the EHR requires no token', async () => {
    const { app } = endpoint()

    const response = await app.request('/fhir/.well-known/jwks.json')

    expect(response.status).toBe(404)
  })
})

describe('the FHIR endpoint beyond the standard', () => {
  it('accepts a trailing slash', async () => {
    const { send, queued } = endpoint()

    const response = await send('/', { resourceType: 'Observation', id: 'e1' })

    expect([response.status, queued.length]).toEqual([
      (await endpoint().send('', { resourceType: 'Observation', id: 'e1' })).status,
      1,
    ])
  })

  it("accepts Medplum's deletion notice with an empty resource", async () => {
    const { send, queued } = endpoint()
    const headers = {
      [SECRET_HEADER]: SECRET,
      'content-type': 'application/fhir+json',
      'x-medplum-interaction': 'delete',
      'x-medplum-deleted-resource': 'Observation/e1',
    }

    const response = await send('', '{}', 'POST', headers)

    expect(response.status).toBe(200)
    expect(queued).toEqual([])
  })

  it('accepts an empty object in place of an empty body', async () => {
    const { send, queued } = endpoint()

    const response = await send('', '{}')

    expect(response.status).toBe(200)
    expect(queued).toEqual([POLL])
  })
})
