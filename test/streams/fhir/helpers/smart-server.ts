/**
 * An EHR's token endpoint that checks an assertion as SMART Backend Services asks, and a FHIR server behind it that asks for the token.
 * @module
 */
import { generateKeyPairSync } from 'node:crypto'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { type KeySet, parseKeySet, type SigningAlgorithm } from '../../../../streams/fhir/keys.ts'
import { type Answer, json, type TestServer, testServer } from './servers.ts'

export const CLIENT_ID = 'cardiacnets'
export const KEY_ID = 'key-1'

export function newKeySet(algorithm: SigningAlgorithm = 'ES384'): KeySet {
  return parseKeySet(newPem(algorithm), KEY_ID, algorithm)
}

export function newPem(algorithm: SigningAlgorithm = 'ES384'): string {
  const { privateKey } =
    algorithm === 'ES384'
      ? generateKeyPairSync('ec', { namedCurve: 'secp384r1' })
      : generateKeyPairSync('rsa', { modulusLength: 2048 })
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}

export interface SmartServer extends TestServer {
  readonly baseUrl: string
  /** How many tokens it has given, and the life of the next ones. */
  tokens: number
  expiresInS: number | string
  /** Revokes all tokens issued so far. */
  revoke(): void
}

/** @param fhir answers requests with a valid token, below `/fhir` */
export async function smartServer(keys: KeySet, fhir: Answer): Promise<SmartServer> {
  const publicKeys = createLocalJWKSet({ keys: keys.jwks.keys.map((key) => ({ ...key, kty: key.kty! })) })
  const seen = new Set<string>()
  let valid = new Set<string>()
  const server = await testServer()
  const self: SmartServer = Object.assign(server, {
    baseUrl: `${server.origin}/fhir`,
    tokens: 0,
    expiresInS: 300,
    revoke: () => {
      valid = new Set()
    },
  })
  const tokenUrl = `${server.origin}/auth/token`
  server.answer = async (asked, response) => {
    if (asked.url === '/fhir/.well-known/smart-configuration') return json(response, { token_endpoint: tokenUrl })
    if (asked.url === '/auth/token') {
      const form = new URLSearchParams(asked.body)
      try {
        const { payload } = await jwtVerify(form.get('client_assertion') ?? '', publicKeys, {
          audience: tokenUrl,
          issuer: CLIENT_ID,
          subject: CLIENT_ID,
          algorithms: ['ES384', 'RS384'],
          maxTokenAge: '5 min',
          requiredClaims: ['jti', 'exp'],
        })
        if (seen.has(payload.jti!)) throw new Error('used again')
        seen.add(payload.jti!)
        if (form.get('grant_type') !== 'client_credentials') throw new Error('another grant')
      } catch {
        return json(response, { error: 'invalid_client' }, 400)
      }
      self.tokens++
      const token = `token-${self.tokens}`
      valid.add(token)
      return json(response, {
        access_token: token,
        token_type: 'bearer',
        expires_in: self.expiresInS,
        scope: form.get('scope'),
      })
    }
    const token = asked.headers.authorization?.replace(/^Bearer /, '')
    if (token === undefined || !valid.has(token)) return json(response, { resourceType: 'OperationOutcome' }, 401)
    return fhir(asked, response)
  }
  return self
}
