import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Hono } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type SandboxEhr, startSandboxEhr } from '../../../cdk/local/sandbox-ehr/index.ts'
import { type EhrConfig, parseSiteConfig } from '../../../shared/config/site.ts'
import { toCodedError } from '../../../shared/errors.ts'
import type { FhirInboundMessage } from '../../../shared/messages.ts'
import { checkSite, notificationsUrl } from '../../../streams/fhir/check.ts'
import { ehrOfSite, endpointOfSite, keySetOfSite, secretOf } from '../../../streams/fhir/site.ts'
import { type Payload, subscribe } from '../../../streams/fhir/subscription.ts'
import { ecgObservation } from '../../helpers/fhir-observations.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'
import { json, type TestServer, testServer } from './helpers/servers.ts'
import { CLIENT_ID, KEY_ID, newKeySet, newPem, smartServer } from './helpers/smart-server.ts'

let ehr: SandboxEhr
let us: TestServer
let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'site-'))
  await writeFile(join(folder, 'secret'), 'one secret\n')
  ehr = await startSandboxEhr({ attempts: 1 })
  us = await testServer()
})
afterEach(async () => {
  await ehr.stop()
  await us[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

const OBSERVATIONS = 'Observation?code=http://loinc.org|11524-6'
const NO_AUTH = { kind: 'none' }

function site(change: Readonly<Record<string, unknown>> = {}): EhrConfig {
  const text = JSON.stringify({
    ehr: {
      baseUrl: ehr.baseUrl,
      auth: NO_AUTH,
      timeoutMs: 2000,
      criteria: [OBSERVATIONS],
      subscription: { secret: { file: join(folder, 'secret') }, ourUrl: us.origin },
      ...change,
    },
  })
  return parseSiteConfig(text).ehr!
}

/** Our endpoint on its own port; returns what it queued. */
async function serve(config: EhrConfig): Promise<FhirInboundMessage[]> {
  const queued: FhirInboundMessage[] = []
  const app = new Hono()
    .route(
      '/fhir',
      endpointOfSite(config, async (messages) => void queued.push(...messages)),
    )
    .onError((thrown, c) => c.json({}, toCodedError(thrown).kind.status as ContentfulStatusCode)) // only statuses with a body
  us.answer = async ({ method, url, headers, body }, response) => {
    const answer = await app.request(url, {
      method,
      headers: Object.entries(headers).map(([name, value]): [string, string] => [name, String(value)]),
      ...(body === '' ? {} : { body }),
    })
    response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(await answer.text())
  }
  return queued
}

const makeSubscription = async (config: EhrConfig, payload: Payload) =>
  subscribe(ehrOfSite(config), {
    criteria: config.criteria,
    endpoint: notificationsUrl(config.subscription!),
    secret: await secretOf(config.subscription!),
    payload,
    pollMs: 5,
  })

const check = async (config: EhrConfig) => {
  const lines: string[] = []
  for await (const { name, isOk, says } of checkSite(config)) lines.push(`${isOk ? 'ok' : 'failed'} ${name}: ${says}`)
  return lines
}

const createEcg = () =>
  ehr.create(
    ecgObservation(
      syntheticRecording({ seconds: 0.1, leads: ['II'] }),
      `Patient/${ehr.create({ resourceType: 'Patient' }).id}`,
    ),
  )

describe('makeSubscription', () => {
  it.each<[string, Payload]>([
    ['with whole resources', 'full'],
    ['without content', 'empty'],
    ['to a topic', { topic: 'https://ehr.example/topics/ecg' }],
  ])('subscribes %s, so that the EHR notifies us of new ECGs but not of our results', async (_how, payload) => {
    const config = site()
    const queued = await serve(config)

    const made = await makeSubscription(config, payload)
    const { id } = createEcg()
    await ehr.delivered()

    const { tenant } = config
    expect(made).toEqual([{ criteria: OBSERVATIONS, status: 'active' }])
    expect(queued).toEqual([
      payload === 'empty'
        ? { schema: 1, tenant, kind: 'poll' }
        : { schema: 1, tenant, kind: 'resource', reference: `Observation/${id}` },
    ])
  })

  it('replaces an earlier subscription and uses the new secret', async () => {
    const config = site()
    await serve(config)
    await makeSubscription(config, 'full')
    await writeFile(join(folder, 'secret'), 'another secret')
    const queued = await serve(config)

    await makeSubscription(config, 'empty')
    createEcg()
    await ehr.delivered()

    expect([...ehr.store.all('Subscription')]).toHaveLength(1)
    expect(queued).toHaveLength(1)
  })

  it('reports the criteria that the server refuses, and subscribes to the rest', async () => {
    const config = site({ criteria: ['Media?unheard=of', OBSERVATIONS] })
    await serve(config)

    const made = await makeSubscription(config, 'full')

    expect(made).toEqual([
      { criteria: 'Media?unheard=of', status: 'refused', error: 'answers 400' },
      { criteria: OBSERVATIONS, status: 'active' },
    ])
  })

  it('reports the server’s error when it cannot reach us', async () => {
    const config = site()
    await serve(config)
    us.answer = (_asked, response) => void response.writeHead(500).end()

    const made = await makeSubscription(config, { topic: 'https://ehr.example/topics/ecg' })

    expect(made).toEqual([{ criteria: OBSERVATIONS, status: 'error', error: 'answered 500' }])
  })
})

describe('the FHIR check', () => {
  it('reports no problem when everything is set up', async () => {
    const config = site()
    await serve(config)
    await makeSubscription(config, 'full')

    const lines = await check(config)

    expect(lines).toEqual([
      'ok server: FHIR 4.0.1',
      `ok search: ${OBSERVATIONS}`,
      `ok endpoint: ${us.origin}/fhir/notifications`,
      'ok subscription: 1 active',
    ])
  })

  it('reports that nothing listens at the EHR’s address', async () => {
    const lines = await check(site({ baseUrl: 'http://127.0.0.1:9/fhir' }))

    expect(lines).toEqual(['failed server: the EHR cannot be reached (connection)'])
  })

  it.each([
    ['a page of HTML', '<html>', 'answers, but not as a FHIR server: is site.ehr.baseUrl its base?'],
    [
      'another FHIR release',
      JSON.stringify({ resourceType: 'CapabilityStatement', fhirVersion: '3.0.2' }),
      'FHIR 3.0.2: we speak R4 (4.0) and R4B (4.3)',
    ],
  ])('reports that the EHR answers with %s', async (_what, body, says) => {
    await using other = await testServer((_asked, response) => void response.writeHead(200).end(body))

    const lines = await check(site({ baseUrl: `${other.origin}/fhir` }))

    expect(lines).toEqual([`failed server: ${says}`])
  })

  it('reports that our endpoint rejects the secret and that there is no subscription', async () => {
    const config = site()
    await serve(site({ subscription: undefined }))

    const lines = await check(config)

    expect(lines.slice(2)).toEqual([
      'failed endpoint: our endpoint does not take the secret: do both read the same site.ehr.subscription.secret?',
      `failed subscription: none for ${OBSERVATIONS}: run \`fhir subscribe\``,
    ])
  })

  it('reports a subscription in error', async () => {
    const config = site()
    await serve(config)
    await makeSubscription(config, 'full')
    us.answer = (_asked, response) => void response.writeHead(500).end()
    createEcg()
    await ehr.delivered()
    await serve(config)

    const lines = await check(config)

    expect(lines.at(-1)).toBe(
      `failed subscription: ${OBSERVATIONS} is error (answered 500): run \`fhir subscribe\` again`,
    )
  })

  it('reports an EHR without Subscription', async () => {
    await using other = await testServer(({ url }, response) =>
      json(
        response,
        url.endsWith('/metadata')
          ? {
              resourceType: 'CapabilityStatement',
              fhirVersion: '4.0.1',
              rest: [{ resource: [{ type: 'Observation' }] }],
            }
          : { resourceType: 'Bundle' },
      ),
    )
    const config = site({ baseUrl: `${other.origin}/fhir` })
    await serve(config)

    const lines = await check(config)

    expect(lines.at(-1)).toBe(
      'failed subscription: the EHR has none: ECGs are found by looking only, every five minutes',
    )
  })

  it.each([
    ['our key is unknown', newKeySet(), /^failed token: the token server refuses our assertion \(400\)/],
    ['our key is known', undefined, /^ok token: the EHR takes our key$/],
  ])('reports that %s', async (_what, known, says) => {
    await writeFile(join(folder, 'key.pem'), newPem())
    const auth = { kind: 'smart-backend', clientId: CLIENT_ID, key: { file: join(folder, 'key.pem') }, keyId: KEY_ID }
    const keys = known ?? (await keySetOfSite(site({ auth })))!
    await using server = await smartServer(keys, (_asked, response) => json(response, { resourceType: 'Bundle' }))
    const withMetadata = server.answer
    server.answer = (asked, response) =>
      asked.url === '/fhir/metadata'
        ? json(response, { resourceType: 'CapabilityStatement', fhirVersion: '4.0.1' })
        : withMetadata(asked, response)

    const lines = await check(site({ auth, baseUrl: server.baseUrl, subscription: undefined }))

    expect(lines[1]).toMatch(says)
  })

  it.each([
    ['answers without a token', { status: 200, body: '{"expires_in":"soon"}' }, 'answers, but not with a token'],
    ['is down', { status: 503, body: '' }, 'cannot be reached'],
  ])('names the token server, not the EHR, when it %s', async (_what, { status, body }, says) => {
    await writeFile(join(folder, 'key.pem'), newPem())
    const auth = { kind: 'smart-backend', clientId: CLIENT_ID, key: { file: join(folder, 'key.pem') }, keyId: KEY_ID }
    await using server = await testServer(({ url }, response) => {
      if (url === '/t') return void response.writeHead(status).end(body)
      json(
        response,
        url.endsWith('smart-configuration')
          ? { token_endpoint: `${server.origin}/t` }
          : { resourceType: 'CapabilityStatement', fhirVersion: '4.0.1' },
      )
    })

    const lines = await check(site({ auth, baseUrl: `${server.origin}/fhir`, timeoutMs: 500 }))

    expect(lines[1]).toContain('failed token: the token server')
    expect(lines[1]).toContain(says)
  })

  it('reports an unreadable key', async () => {
    const auth = { kind: 'smart-backend', clientId: CLIENT_ID, key: { file: join(folder, 'none') }, keyId: KEY_ID }
    await using server = await testServer(({ url }, response) =>
      json(
        response,
        url.endsWith('smart-configuration')
          ? { token_endpoint: `${server.origin}/t` }
          : { resourceType: 'CapabilityStatement', fhirVersion: '4.0.1' },
      ),
    )

    const lines = await check(site({ auth, baseUrl: `${server.origin}/fhir` }))

    expect(lines[1]).toBe('failed token: site-config-invalid: field=site.ehr.auth.key')
  })
})
