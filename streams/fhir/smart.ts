/**
 * SMART Backend Services: exchanges a signed assertion for an access token, and keeps it until shortly before it expires.
 * https://hl7.org/fhir/smart-app-launch/backend-services.html
 * @module
 */
import { randomUUID } from 'node:crypto'
import { SignJWT } from 'jose'
import * as z from 'zod'
import { CodedError } from '../../shared/errors.ts'
import type { SigningKey } from './keys.ts'
import { type HttpAnswer, sameOrigin, send, type TransportOptions } from './transport.ts'

export interface SmartOptions {
  readonly clientId: string
  readonly key: () => Promise<SigningKey>
  /** Space-separated, such as `system/Observation.rs system/Subscription.crs`. */
  readonly scope: string
  /** For a token server on another origin than the FHIR server; otherwise it is discovered. */
  readonly tokenUrl?: string | undefined
}

/** Life of an assertion; SMART allows five minutes. */
const ASSERTION_S = 240

/** A token is renewed this long before it expires, or after nine tenths of a short life. */
const MARGIN_MS = 60_000

const SmartConfiguration = z.object({ token_endpoint: z.string() })
const DEFAULT_LIFE_S = 300

/** Servers write a token's life as a number or as text. Any other value is replaced by a short life. */
const TokenAnswer = z.object({
  access_token: z.string().min(1),
  expires_in: z.coerce.number().positive().catch(DEFAULT_LIFE_S),
})

interface Token {
  readonly value: string
  readonly renewAtMs: number
}

export class SmartToken {
  readonly #base: URL
  readonly #smart: SmartOptions
  readonly #transport: TransportOptions
  /** Concurrent calls that need a token share one request for it. */
  #pending: Promise<Token> | undefined
  #current: Token | undefined
  #tokenUrl: URL | undefined

  /** @param base the FHIR server's base URL, with a trailing slash */
  constructor(base: URL, smart: SmartOptions, transport: TransportOptions) {
    this.#base = base
    this.#smart = smart
    this.#transport = transport
  }

  /**
   * Returns a valid token.
   * @throws CodedError `ehr-unauthorized`, `ehr-unavailable`, `ehr-malformed`, `origin-foreign`, `site-config-invalid`
   */
  async get(): Promise<string> {
    if (this.#current !== undefined && Date.now() < this.#current.renewAtMs) return this.#current.value
    this.#pending ??= this.#request().finally(() => {
      this.#pending = undefined
    })
    this.#current = await this.#pending
    return this.#current.value
  }

  /** Discards `value` because the server refused it, unless there is already a newer token. */
  refused(value: string): void {
    if (this.#current?.value === value) this.#current = undefined
  }

  async #request(): Promise<Token> {
    const { clientId, key, scope } = this.#smart
    this.#tokenUrl ??= await this.#discover()
    const { keyId, algorithm, privateKey } = await key()
    const requestedAtMs = Date.now()
    const assertion = await new SignJWT()
      .setProtectedHeader({ typ: 'JWT', alg: algorithm, kid: keyId })
      .setIssuer(clientId)
      .setSubject(clientId)
      .setAudience(this.#tokenUrl.href)
      .setJti(randomUUID())
      .setIssuedAt()
      .setExpirationTime(`${ASSERTION_S}s`)
      .sign(privateKey)
    const body = new URLSearchParams({
      grant_type: 'client_credentials',
      scope,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: assertion,
    }).toString()
    const headers = { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' }
    // An assertion may be used only once (its jti), so a request that may have arrived is not repeated with the same one.
    const request = { method: 'POST', headers, body, isRepeatable: false } as const
    const answer = await send(this.#tokenUrl, request, this.#transport).catch(ofTokenServer)
    if (answer.status !== 200) throw new CodedError('ehr-unauthorized', { field: 'token', status: answer.status })
    const { access_token, expires_in } = parseJson(TokenAnswer, answer, 'token')
    const lifeMs = expires_in * 1000
    return {
      value: access_token,
      renewAtMs: requestedAtMs + Math.max(lifeMs - MARGIN_MS, 0.9 * Math.min(lifeMs, MARGIN_MS)),
    }
  }

  async #discover(): Promise<URL> {
    const { tokenUrl } = this.#smart
    if (tokenUrl !== undefined) return new URL(tokenUrl)
    const url = new URL('.well-known/smart-configuration', this.#base)
    const headers = { accept: 'application/json' }
    const answer = await send(url, { method: 'GET', headers, isRepeatable: true }, this.#transport)
    if (answer.status !== 200)
      throw new CodedError('ehr-unauthorized', { field: 'smart-configuration', status: answer.status })
    const { token_endpoint } = parseJson(SmartConfiguration, answer, 'smart-configuration')
    return sameOrigin(token_endpoint, this.#base)
  }
}

/** Marks the error as one of the token server, because the FHIR server is not at fault. */
function ofTokenServer(error: unknown): never {
  if (error instanceof CodedError && error.code === 'ehr-unavailable')
    throw new CodedError('ehr-unavailable', { ...error.detail, field: 'token' }, { cause: error })
  throw error
}

function parseJson<T>(type: z.ZodType<T>, { body }: HttpAnswer, field: string): T {
  try {
    return type.parse(JSON.parse(body.toString('utf8')))
  } catch {
    throw new CodedError('ehr-malformed', { field })
  }
}
