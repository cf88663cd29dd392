/**
 * Who calls: bearer tokens (RFC 6750) that an identity provider signed, checked by its published keys.
 * @module
 */
import type { MiddlewareHandler } from 'hono'
import { createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose'
import * as z from 'zod'
import { SCOPES, type Scope } from '../../shared/config/scopes.ts'
import type { CmrJobId, EcgId } from '../../shared/domain/ecg-id.ts'
import { CodedError } from '../../shared/errors.ts'
import { Name } from '../../shared/messages.ts'

export { SCOPES, type Scope }

export interface Caller {
  /** Who that is, as the provider names it: for the audit trail. */
  readonly subject: string
  readonly tenant: string
  readonly scopes: ReadonlySet<string>
  /** When the token ends; a stream ends with it. */
  readonly expiresAt?: Date
}

/** From the `Authorization` header to the caller. Throws a CodedError: `token-missing`, `token-invalid`, `unavailable`. */
export type Authenticate = (authorization: string | undefined) => Promise<Caller>

export interface TokenRules {
  readonly issuer: string
  readonly audience: string
  /** Claim that names the tenant. */
  readonly tenantClaim: string
  /** Those of the site: a token of any other is no token here. */
  readonly tenants: ReadonlySet<string>
  readonly keys: JWTVerifyGetKey
}

/** Public-key signatures only: with a shared secret, every verifier of a token could also make one. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']

const Subject = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[^\p{Cc}]+$/u)

/** Clocks of the provider and ours may differ by so much. */
const CLOCK_TOLERANCE_S = 5

/** Variables that the routes find in their context. */
export interface AuthVariables {
  readonly Variables: {
    caller: Caller
    /** For the audit trail (`audit.ts`). */
    touched: Set<EcgId>
    jobId?: CmrJobId
    traceId: string
  }
}

/**
 * @example
 * const authenticate = tokenAuthenticator({ issuer, audience, tenantClaim: 'tenant', tenants, keys: remoteKeys(jwksUrl) })
 */
export function tokenAuthenticator({ issuer, audience, tenantClaim, tenants, keys }: TokenRules): Authenticate {
  return async (authorization) => {
    const token = /^Bearer +([\w.~+/=-]+)$/i.exec(authorization ?? '')?.[1]
    if (token === undefined) throw new CodedError('token-missing', { field: 'authorization' })
    const claims = await verify(token)
    const tenant = Name.safeParse(claims[tenantClaim])
    if (!tenant.success || !tenants.has(tenant.data)) throw new CodedError('token-invalid', { field: tenantClaim })
    // Who reads an ECG must be somebody (RFC 9068, section 2.2).
    const subject = Subject.safeParse(claims.sub)
    if (!subject.success) throw new CodedError('token-invalid', { field: 'sub' })
    return {
      subject: subject.data,
      tenant: tenant.data,
      scopes: scopesOf(claims),
      expiresAt: new Date(claims.exp! * 1000),
    }
  }

  async function verify(token: string): Promise<JWTPayload> {
    try {
      const { payload, protectedHeader } = await jwtVerify(token, keys, {
        issuer,
        audience,
        algorithms: ALGORITHMS,
        requiredClaims: ['exp'],
        clockTolerance: CLOCK_TOLERANCE_S,
      })
      if (!isAccessToken(protectedHeader.typ)) throw new CodedError('token-invalid', { field: 'typ' })
      return payload
    } catch (cause) {
      throw refusal(cause)
    }
  }
}

/** The provider's keys, fetched when first needed, kept for ten minutes, and looked up again for a key that is not among them. */
export function remoteKeys(url: URL): JWTVerifyGetKey {
  return createRemoteJWKSet(url, { timeoutDuration: 5_000, cacheMaxAge: 600_000, cooldownDuration: 30_000 })
}

/** Lets everyone in as one tenant. Only for the local stack: see `environment.ts`. */
export function openAuthenticator(tenant: string): Authenticate {
  return async () => ({ subject: 'local', tenant, scopes: new Set(SCOPES) })
}

/** Tells who calls. */
export function authentication(authenticate: Authenticate): MiddlewareHandler<AuthVariables> {
  return async (c, next) => {
    c.set('caller', await authenticate(c.req.header('authorization')))
    await next()
  }
}

/** Lets only callers with the scope through. */
export function requireScope(scope: Scope): MiddlewareHandler<AuthVariables> {
  return async (c, next) => {
    if (!c.get('caller').scopes.has(scope)) throw new CodedError('scope-missing', { field: 'scope', scope })
    await next()
  }
}

/**
 * What else the same keys may have signed for us (a logout, a security event, a proof of possession) says so in `typ`, and lets nobody in:
 * RFC 8725, section 3.11. An access token is `at+jwt` (RFC 9068); many providers still say `JWT`, or nothing.
 */
function isAccessToken(typ: string | undefined): boolean {
  return typ === undefined || ['jwt', 'at+jwt'].includes(typ.toLowerCase().replace(/^application\//, ''))
}

/** OAuth 2.0 has `scope`, a list in one text (RFC 8693); some providers have `scp`, a text or an array. */
function scopesOf({ scope, scp }: JWTPayload): ReadonlySet<string> {
  const listed = [scope, scp].flat().filter((part) => typeof part === 'string')
  return new Set(listed.flatMap((part) => part.split(' ')))
}

/** What is wrong with a token, without its text. Keys that cannot be fetched are our trouble, not the caller's. */
function refusal(cause: unknown): CodedError {
  if (cause instanceof CodedError) return cause
  if (cause instanceof errors.JWTClaimValidationFailed || cause instanceof errors.JWTExpired) {
    return new CodedError('token-invalid', { field: cause.claim }, { cause })
  }
  const isOurs = cause instanceof errors.JWKSTimeout || !(cause instanceof errors.JOSEError) || isFetchFailure(cause)
  return isOurs
    ? new CodedError('unavailable', { field: 'jwks' }, { cause })
    : new CodedError('token-invalid', { field: 'token' }, { cause })
}

/** jose says a failed download by its base class, with a generic code. */
const isFetchFailure = (error: InstanceType<typeof errors.JOSEError>) => error.code === 'ERR_JOSE_GENERIC'
