import { createServer } from 'node:http'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { closeServer, listen } from '../../../cdk/local/http.ts'
import { remoteKeys, tokenAuthenticator } from '../../../functions/api/auth.ts'
import { authenticatorOf } from '../../../functions/api/environment.ts'
import { AUDIENCE, type Claims, ISSUER, startTestApi, type TestApi } from './helpers.ts'

let api: TestApi
beforeAll(async () => {
  api = await startTestApi()
})
afterAll(() => api.stop())

const withHeader = (authorization: string) => api.app.request('/v1/ecgs', { headers: { authorization } })
const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const past = () => Math.floor(Date.now() / 1000) - 60

describe('a caller', () => {
  it('is admitted with a token of the identity provider', async () => {
    const response = await withHeader(`Bearer ${await api.token()}`)

    expect(response.status).toBe(200)
  })

  it.each([
    'GET /v1/ecgs',
    'POST /v1/ecgs',
    'DELETE /v1/ecgs/x',
    'GET /v1/events',
    'PUT /v1/devices/d/association',
    'GET /v1/unidentified',
    'GET /v1/nonsense',
  ])('is rejected without a token (%s)', async (route) => {
    const [method, path] = route.split(' ') as [string, string]

    const response = await api.app.request(path, { method })

    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toBe('Bearer')
    expect(response.headers.get('content-type')).toBe('application/problem+json')
    expect(await response.json()).toMatchObject({ code: 'token-missing', status: 401 })
  })

  it.each<[string, Claims, string]>([
    ['for another audience', { aud: 'other' }, 'aud'],
    ['of another issuer', { iss: 'https://evil.example/' }, 'iss'],
    ['that has expired', { exp: past() }, 'exp'],
    ['without an expiry', { exp: undefined }, 'exp'],
    ['that is not valid yet', { nbf: past() + 600 }, 'nbf'],
    ['without a tenant', { tenant: undefined }, 'tenant'],
    ['of an unknown tenant', { tenant: 'stranger' }, 'tenant'],
    ['whose tenant contains a key separator', { tenant: 'clinic#1' }, 'tenant'],
  ])('is rejected with a token %s', async (_, claims, field) => {
    const response = await withHeader(`Bearer ${await api.token(claims)}`)

    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toContain('invalid_token')
    expect(await response.json()).toMatchObject({ code: 'token-invalid', field })
  })

  it.each(['logout+jwt', 'secevent+jwt', 'dpop+jwt', 'application/token-introspection+jwt'])(
    'is rejected with a signed %s, which is not an access token',
    async (typ) => {
      const response = await withHeader(`Bearer ${await api.token({}, { typ })}`)

      expect(response.status).toBe(401)
      expect(await response.json()).toMatchObject({ code: 'token-invalid', field: 'typ' })
    },
  )

  it.each(['JWT', 'at+jwt', 'application/at+jwt'])('is admitted with a token of type %s', async (typ) => {
    const response = await withHeader(`Bearer ${await api.token({}, { typ })}`)

    expect(response.status).toBe(200)
  })

  it.each([
    ['no one (alg none)', async () => `${base64({ alg: 'none' })}.${(await api.token()).split('.')[1]}.`],
    ['another key pair', async () => api.token({}, { key: (await generateKeyPair('ES256')).privateKey })],
    [
      'a shared secret',
      async () =>
        new SignJWT({ iss: ISSUER, aud: AUDIENCE, tenant: 'clinic', exp: past() + 600 })
          .setProtectedHeader({ alg: 'HS256', kid: 'k1' })
          .sign(new Uint8Array(32)),
    ],
    [
      'a key unknown to the provider',
      async () => `${base64({ alg: 'ES256', kid: 'k2' })}.${(await api.token()).split('.').slice(1).join('.')}`,
    ],
    [
      'the provider and then changed',
      async () =>
        (await api.token()).replace(
          /\.[^.]+\./,
          `.${base64({ iss: ISSUER, aud: AUDIENCE, tenant: 'other', exp: past() + 600 })}.`,
        ),
    ],
    ['no one, because it is not a token', async () => 'x.y.z'],
  ])('is rejected with a token signed by %s', async (_, make) => {
    const token = await make()

    const response = await withHeader(`Bearer ${token}`)

    expect(response.status).toBe(401)
    expect(await response.text()).not.toContain(token)
  })

  it.each([
    ['GET', '/v1/ecgs', 'ecg:write', 'ecg:read'],
    ['GET', '/v1/events', 'ecg:write', 'ecg:read'],
    ['GET', '/v1/unidentified', 'cmr:request', 'ecg:read'],
    ['POST', '/v1/ecgs', 'ecg:read', 'ecg:write'],
    ['DELETE', '/v1/ecgs/00000000-0000-5000-8000-000000000000', 'ecg:read', 'ecg:write'],
    ['PUT', '/v1/devices/d/association', 'ecg:read', 'ecg:write'],
  ])('may not %s %s with the scope %s', async (method, path, scope, needed) => {
    const response = await api.as('clinic', path, { method }, { scope })

    expect(response.status).toBe(403)
    expect(response.headers.get('www-authenticate')).toBe(`Bearer error="insufficient_scope", scope="${needed}"`)
    expect(await response.json()).toMatchObject({ code: 'scope-missing' })
  })

  it('can have its scopes as a list', async () => {
    const response = await api.as('clinic', '/v1/ecgs', {}, { scope: undefined, scp: ['ecg:read'] })

    expect(response.status).toBe(200)
  })
})

describe('the identity provider’s keys', () => {
  /** A provider's server; `serve` gives its answer. */
  async function provider(serve: () => { status: number; body: string }) {
    let asked = 0
    const server = createServer((_request, response) => {
      asked++
      const { status, body } = serve()
      response.writeHead(status, { 'content-type': 'application/json' }).end(body)
    })
    const { port } = await listen(server, 0)
    onTestFinished(() => closeServer(server))
    return { url: new URL(`http://127.0.0.1:${port}/jwks`), asked: () => asked }
  }

  it('are fetched once for many callers', async () => {
    const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true })
    const body = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'k1', alg: 'RS256' }] })
    const { url, asked } = await provider(() => ({ status: 200, body }))
    const authenticate = tokenAuthenticator({
      issuer: ISSUER,
      audience: AUDIENCE,
      tenantClaim: 't',
      tenants: new Set(['clinic']),
      keys: remoteKeys(url),
    })
    const token = await api.token({ t: 'clinic' }, { key: privateKey, alg: 'RS256' })

    const callers = await Promise.all(Array.from({ length: 5 }, () => authenticate(`Bearer ${token}`)))

    expect(callers.map(({ tenant }) => tenant)).toEqual(Array(5).fill('clinic'))
    expect(asked()).toBe(1)
  })

  it('cause 503, not 401, when they cannot be fetched', async () => {
    const { url } = await provider(() => ({ status: 500, body: '' }))
    const authenticate = tokenAuthenticator({
      issuer: ISSUER,
      audience: AUDIENCE,
      tenantClaim: 't',
      tenants: new Set(['clinic']),
      keys: remoteKeys(url),
    })

    const caller = authenticate(`Bearer ${await api.token()}`)

    await expect(caller).rejects.toMatchObject({ code: 'unavailable', detail: { field: 'jwks' } })
  })
})

describe('authenticatorOf', () => {
  it('refuses every caller without an identity provider', async () => {
    const caller = authenticatorOf({})(`Bearer ${await api.token()}`)

    await expect(caller).rejects.toMatchObject({ code: 'unavailable' })
  })

  it('refuses unauthenticated access unless the table is local', () => {
    expect(() => authenticatorOf({ UNAUTHENTICATED_TENANT: 'local' })).toThrow('local stack only')
    expect(() =>
      authenticatorOf({
        UNAUTHENTICATED_TENANT: 'local',
        AWS_ENDPOINT_URL_DYNAMODB: 'https://dynamodb.eu-central-1.amazonaws.com',
      }),
    ).toThrow('local stack only')
  })

  it('refuses every caller without a list of tenants', async () => {
    const provider = { AUTH_ISSUER: ISSUER, AUTH_AUDIENCE: AUDIENCE, AUTH_JWKS_URL: `${ISSUER}jwks.json` }
    const caller = authenticatorOf(provider)(`Bearer ${await api.token()}`)

    await expect(caller).rejects.toMatchObject({ code: 'unavailable', detail: { field: 'identityProvider' } })
  })

  it('admits every caller in the local stack', async () => {
    const authenticate = authenticatorOf({
      UNAUTHENTICATED_TENANT: 'local',
      AWS_ENDPOINT_URL_DYNAMODB: 'http://127.0.0.1:4567',
    })

    expect((await authenticate(undefined)).tenant).toBe('local')
  })
})
