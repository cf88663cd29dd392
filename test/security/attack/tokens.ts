/**
 * Tokens that the provider did not sign for us: each must be refused.
 * @module
 */
import { createServer } from 'node:http'
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose'
import { closeServer, listen } from '../../../cdk/local/http.ts'
import type { Attack } from './attack.ts'
import { type Claims, type Header, type Provider, signedByHmac, unsigned } from './identity-provider.ts'
import { OTHER, OWNER, type World } from './world.ts'

const GOOD: Claims = { tenant: OWNER, scope: 'ecg:read' }
const now = () => Math.floor(Date.now() / 1000)

/** Each as it goes into the header. */
const CREDENTIALS: Readonly<Record<string, (provider: Provider) => Promise<string | undefined> | string | undefined>> =
  {
    'no credential': () => undefined,
    'another scheme': () => 'Basic amFuZTpzZWNyZXQ=',
    'a Bearer without a token': () => 'Bearer ',
    'alg none': (provider) => bearer(unsigned({ alg: 'none' }, provider.payload(GOOD))),
    'alg None': (provider) => bearer(unsigned({ alg: 'None', kid: 'ec' }, provider.payload(GOOD))),
    'alg none with a signature': (provider) => bearer(unsigned({ alg: 'none' }, provider.payload(GOOD), 'AAAA')),
    'no signature': async (provider) => bearer((await provider.token(GOOD)).replace(/[^.]+$/, '')),
    'HS256 with the RSA key as PEM': async (provider) =>
      bearer(hmac(provider, 'rsa', await exportSPKI(provider.publicKeys.rsa))),
    'HS256 with the RSA key as JWK': async (provider) =>
      bearer(hmac(provider, 'rsa', JSON.stringify(await exportJWK(provider.publicKeys.rsa)))),
    'HS256 with the EC key as PEM': async (provider) =>
      bearer(hmac(provider, 'ec', await exportSPKI(provider.publicKeys.ec))),
    'HS256 with an empty secret': (provider) => bearer(hmac(provider, 'ec', '')),
    'another payload under a good signature': async (provider) => {
      const [header, , signature] = (await provider.token({ ...GOOD, tenant: OTHER })).split('.')
      const payload = Buffer.from(JSON.stringify(provider.payload(GOOD))).toString('base64url')
      return bearer([header, payload, signature].join('.'))
    },
    'another key under a known kid': async (provider) => bearer(await provider.forged(GOOD, { kid: 'ec' })),
    'an unknown kid': async (provider) => bearer(await provider.forged(GOOD, { kid: 'unknown' })),
    'no kid, another key': async (provider) => bearer(await provider.forged(GOOD, {})),
    'a path as kid': async (provider) => bearer(await provider.forged(GOOD, { kid: '../../../../dev/null' })),
    'its own key in the header': async (provider) => {
      const { privateKey, publicKey } = await generateKeyPair('ES256')
      const header = { alg: 'ES256', kid: 'mine', jwk: await exportJWK(publicKey) }
      return bearer(await new SignJWT(provider.payload(GOOD)).setProtectedHeader(header).sign(privateKey))
    },
    'an unknown critical extension': (provider) =>
      bearer(unsigned({ alg: 'ES256', kid: 'ec', crit: ['x'], x: 1 }, provider.payload(GOOD), 'AAAA')),
    expired: signed({ exp: now() - 60 }),
    'without an expiry': signed({ exp: undefined }),
    'a text as expiry': signed({ exp: 'never' }),
    'not valid yet': signed({ nbf: now() + 600 }),
    'of another issuer': signed({ iss: 'https://id.example/' }),
    'without an issuer': signed({ iss: undefined }),
    'for another audience': signed({ aud: 'urn:another' }),
    'for other audiences': signed({ aud: ['urn:another', 'urn:cardiacnets'] }),
    'without an audience': signed({ aud: undefined }),
    'a logout token': signed({}, { typ: 'logout+jwt' }),
    'a proof of possession': signed({}, { typ: 'dpop+jwt' }),
    'a security event': signed({}, { typ: 'secevent+jwt' }),
    'without a subject': signed({ sub: undefined }),
    'with an empty subject': signed({ sub: '' }),
    'with a line break in the subject': signed({ sub: 'jane\nadmin' }),
    'of an unknown tenant': signed({ tenant: 'stranger' }),
    'without a tenant': signed({ tenant: undefined }),
    'of two tenants': signed({ tenant: [OTHER, OWNER] }),
    'of a tenant with a path': signed({ tenant: `${OWNER}/../${OTHER}` }),
    'of a tenant with a table key': signed({ tenant: `${OWNER}#quota` }),
    'of a tenant in another case': signed({ tenant: OWNER.toUpperCase() }),
    'of a tenant with a trailing space': signed({ tenant: `${OWNER} ` }),
  }

const bearer = (token: string) => `Bearer ${token}`

function signed(claims: Claims, header: Header = {}) {
  return async (provider: Provider) => bearer(await provider.token({ ...GOOD, ...claims }, header))
}

const hmac = (provider: Provider, kid: string, secret: string) =>
  signedByHmac({ alg: 'HS256', kid }, provider.payload(GOOD), secret)

const statusWith = async ({ request }: World, authorization: string | undefined): Promise<string> =>
  String((await request('/v1/ecgs', authorization === undefined ? {} : { headers: { authorization } })).status)

const kind = 'tokens'

export const TOKEN_ATTACKS: readonly Attack[] = [
  ...['ES256', 'RS256'].map((alg) => ({
    kind,
    name: `(control) a valid token, ${alg}`,
    expected: '200',
    run: async (world: World) => statusWith(world, bearer(await world.provider.token(GOOD, { alg, typ: 'at+jwt' }))),
  })),
  ...Object.entries(CREDENTIALS).map(([name, credential]) => ({
    kind,
    name,
    expected: '401',
    run: async (world: World) => statusWith(world, await credential(world.provider)),
  })),
  {
    kind,
    name: 'a valid token in the URL',
    expected: '401',
    run: async ({ request, provider }) =>
      String((await request(`/v1/ecgs?access_token=${await provider.token(GOOD)}`)).status),
  },
  {
    kind,
    name: 'missing scopes',
    expected: '403',
    run: async (world) =>
      statusWith(world, bearer(await world.provider.token({ ...GOOD, scope: 'openid cmr:request' }))),
  },
  {
    kind,
    name: 'keys at a URL in the token (jku, x5u)',
    expected: '401 401, nobody asked there',
    async run(world) {
      let asked = 0
      const server = createServer((_request, response) => {
        asked++
        response.end('{"keys":[]}')
      })
      const { port } = await listen(server, 0)
      const address = `http://127.0.0.1:${port}/jwks.json`
      const statuses = []
      for (const name of ['jku', 'x5u']) {
        const token = await world.provider.forged(GOOD, { kid: 'theirs', [name]: address })
        statuses.push(await statusWith(world, bearer(token)))
      }
      await closeServer(server)
      return `${statuses.join(' ')}, ${asked === 0 ? 'nobody' : asked} asked there`
    },
  },
  {
    kind,
    name: '60 tokens with unknown keys, without a request to the provider for each',
    expected: '401, at most 4 times asked',
    async run(world) {
      const before = world.provider.asked
      const statuses = new Set<string>()
      for (let index = 0; index < 60; index++) {
        const token = await world.provider.forged(GOOD, { kid: `k${index}` })
        statuses.add(await statusWith(world, bearer(token)))
      }
      // Two sandboxes, each with its own cached keys.
      const asked = world.provider.asked - before
      return `${[...statuses].join(' ')}, ${asked <= 4 ? 'at most 4' : asked} times asked`
    },
  },
  {
    kind,
    name: 'a token of 100 kB',
    expected: 'refused',
    async run(world) {
      const status = Number(await statusWith(world, bearer(`${'a'.repeat(50_000)}.${'b'.repeat(50_000)}.c`)))
      return status >= 400 && status < 500 ? 'refused' : String(status)
    },
  },
]
