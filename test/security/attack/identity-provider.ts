/**
 * A small identity provider on this machine: two keys at its own URL, tokens that it signs, and forged ones.
 * @module
 */
import { createHmac } from 'node:crypto'
import { createServer } from 'node:http'
import { type CryptoKey, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { closeServer, listen } from '../../../cdk/local/http.ts'

export const AUDIENCE = 'urn:cardiacnets:attack'

/** `undefined` removes a claim. */
export type Claims = Readonly<Record<string, unknown>>

export interface Header {
  readonly alg?: string
  readonly kid?: string
  readonly [name: string]: unknown
}

export interface Provider {
  readonly issuer: string
  readonly jwksUrl: string
  /** How often its keys were asked for. */
  readonly asked: number
  /** Its public keys, which anyone can read. */
  readonly publicKeys: { readonly rsa: CryptoKey; readonly ec: CryptoKey }
  /** A token as it signs them: by its EC key unless `alg` is one of RSA. */
  token(claims?: Claims, header?: Header): Promise<string>
  /** A token that another key signed. */
  forged(claims: Claims, header: Header): Promise<string>
  /** The payload of a good token, for tests that sign it by hand. */
  payload(claims?: Claims): JWTPayload
  stop(): Promise<void>
}

export async function startProvider(): Promise<Provider> {
  const [rsa, ec, strange] = await Promise.all(['RS256', 'ES256', 'ES256'].map((alg) => generateKeyPair(alg)))
  const keys = [
    { ...(await exportJWK(rsa!.publicKey)), kid: 'rsa', alg: 'RS256', use: 'sig' },
    { ...(await exportJWK(ec!.publicKey)), kid: 'ec', alg: 'ES256', use: 'sig' },
  ]
  let asked = 0
  const server = createServer((_request, response) => {
    asked++
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ keys }))
  })
  const { port } = await listen(server, 0)
  const issuer = `http://127.0.0.1:${port}/`

  function payload(claims: Claims = {}): JWTPayload {
    const now = Math.floor(Date.now() / 1000)
    const said = { iss: issuer, aud: AUDIENCE, sub: 'jane', iat: now, exp: now + 3600, ...claims }
    return Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined))
  }

  return {
    issuer,
    jwksUrl: `${issuer}jwks.json`,
    get asked() {
      return asked
    },
    publicKeys: { rsa: rsa!.publicKey, ec: ec!.publicKey },
    payload,
    token(claims, { alg = 'ES256', ...header } = {}) {
      const [key, kid] = alg === 'RS256' ? [rsa!.privateKey, 'rsa'] : [ec!.privateKey, 'ec']
      return new SignJWT(payload(claims)).setProtectedHeader({ kid, ...header, alg }).sign(key)
    },
    forged: (claims, { alg = 'ES256', ...header }) =>
      new SignJWT(payload(claims)).setProtectedHeader({ ...header, alg }).sign(strange!.privateKey),
    stop: () => closeServer(server),
  }
}

const encode = (part: unknown) => Buffer.from(JSON.stringify(part)).toString('base64url')

/** A token whose signature is the given text. */
export const unsigned = (header: Header, payload: JWTPayload, signature = ''): string =>
  `${encode(header)}.${encode(payload)}.${signature}`

/** A token signed with the public key as a shared secret, which a careless verifier accepts. */
export function signedByHmac(header: Header, payload: JWTPayload, secret: string): string {
  const input = `${encode(header)}.${encode(payload)}`
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
}
