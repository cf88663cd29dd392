/**
 * Authentication: bearer tokens (RFC 6750) signed by an identity provider, verified with its published keys.
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
  /** The provider's id of the caller, for the audit trail. */
  readonly subject: string
  readonly tenant: string
  readonly scopes: ReadonlySet<string>
  /** When the token expires; a stream ends with it. */
  readonly expiresAt?: Date
}

/**
 * Finds the caller from the `Authorization` header.
 * @throws CodedError `token-missing`, `token-invalid`, `unavailable`
 */
export type Authenticate = (authorization: string | undefined) => Promise<Caller>

export interface TokenRules {
  readonly issuer: string
  readonly audience: string
  /** Claim that names the caller's tenant. */
  readonly tenantClaim: string
  /** The site's tenants. A token of any other tenant is invalid here. */
  readonly tenants: ReadonlySet<string>
  readonly keys: JWTVerifyGetKey
}

/** Public-key algorithms only: with a shared secret, every verifier could also issue tokens. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']

const Subject = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[^\p{Cc}]+$/u)

/** Accepted difference between the provider's clock and ours, s. */
const CLOCK_TOLERANCE_S = 5

/** Variables in the context of the routes. */
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
 * Makes the authenticator for a provider's tokens.
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
    // Access to ECGs must be attributable to a subject (RFC 9068, section 2.2).
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

/** The provider's keys: fetched when first needed, cached for ten minutes, and fetched again for an unknown key. */
export function remoteKeys(url: URL): JWTVerifyGetKey {
  return createRemoteJWKSet(url, { timeoutDuration: 5_000, cacheMaxAge: 600_000, cooldownDuration: 30_000 })
}

/** Accepts every caller as one tenant. Only for the local stack: see `environment.ts`. */
export function openAuthenticator(tenant: string): Authenticate {
  return async () => ({ subject: 'local', tenant, scopes: new Set(SCOPES) })
}

/** Middleware that authenticates the caller. */
export function authentication(authenticate: Authenticate): MiddlewareHandler<AuthVariables> {
  return async (c, next) => {
    c.set('caller', await authenticate(c.req.header('authorization')))
    await next()
  }
}

/**
 * Middleware that requires a scope.
 * @throws CodedError `scope-missing`
 */
export function requireScope(scope: Scope): MiddlewareHandler<AuthVariables> {
  return async (c, next) => {
    if (!c.get('caller').scopes.has(scope)) throw new CodedError('scope-missing', { field: 'scope', scope })
    await next()
  }
}

/**
 * Whether `typ` marks an access token. The same keys may have signed other tokens for us (a logout, a security event, a proof of
 * possession), which are marked in `typ` and must not be accepted (RFC 8725, section 3.11). An access token is `at+jwt` (RFC 9068); many
 * providers use `JWT` or nothing.
 */
function isAccessToken(typ: string | undefined): boolean {
  return typ === undefined || ['jwt', 'at+jwt'].includes(typ.toLowerCase().replace(/^application\//, ''))
}

/** OAuth 2.0 defines `scope`, a space-separated list (RFC 8693). Some providers send `scp`, a string or an array. */
function scopesOf({ scope, scp }: JWTPayload): ReadonlySet<string> {
  const listed = [scope, scp].flat().filter((part) => typeof part === 'string')
  return new Set(listed.flatMap((part) => part.split(' ')))
}

/** The error for an invalid token, without the token's text. A failed download of keys is our fault, not the caller's. */
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

/** jose reports a failed download with its base class and a generic code. */
const isFetchFailure = (error: InstanceType<typeof errors.JOSEError>) => error.code === 'ERR_JOSE_GENERIC'
