/**
 * Sign-in at the site's identity provider: authorization code with PKCE (RFC 6749, RFC 7636, RFC 9700). Tokens live in memory. Only the
 * verifier survives the redirect to the provider and back, in this tab.
 * @module
 */
import * as oauth from 'oauth4webapi'
import { stopFeed } from '../api/events.ts'
import { authState, session, setRenewal } from './session.ts'

/** Sign-in settings from the API (`/console.json`). */
export interface SignIn {
  readonly issuer: string
  readonly clientId: string
  readonly audience: string
  readonly scope: string
  readonly idleMinutes: number
}

/** Session storage key of a sign-in that is in progress. */
const PENDING = 'cardiacnets.sign-in'

let config: SignIn | undefined
let server: oauth.AuthorizationServer | undefined
let refreshToken: string | undefined
let idToken: string | undefined
let renewing: Promise<void> | undefined

/** Plain HTTP is allowed only for a provider on this machine. */
const insecure = (url: string) =>
  new URL(url).hostname === '127.0.0.1' || new URL(url).hostname === 'localhost'
    ? { [oauth.allowInsecureRequests]: true }
    : {}

/**
 * Determines whether sign-in is needed, and completes one that is in progress.
 * @returns the error code of a sign-in that failed
 */
export async function begin(): Promise<string | undefined> {
  const response = await fetch('/console.json')
  const { identity } = response.ok ? ((await response.json()) as { identity: SignIn | null }) : { identity: null }
  if (identity === null) {
    authState.value = 'open'
    return undefined
  }
  config = identity
  setRenewal(renew)
  watchIdleness(identity.idleMinutes)
  const here = new URL(location.href)
  const isBack = here.searchParams.has('state')
  if (!isBack) {
    authState.value = 'signed-out'
    return undefined
  }
  try {
    await finish(here)
    return undefined
  } catch {
    authState.value = 'signed-out'
    return 'sign-in-failed'
  }
}

/** Redirects to the provider. */
export async function signIn(): Promise<void> {
  const { issuer, clientId, scope, audience } = config!
  const { authorization_endpoint } = await discover(issuer)
  const verifier = oauth.generateRandomCodeVerifier()
  const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()]
  sessionStorage.setItem(PENDING, JSON.stringify({ verifier, state, nonce, hash: location.hash }))
  const to = new URL(authorization_endpoint!)
  const parameters = {
    client_id: clientId,
    redirect_uri: redirectUri(),
    response_type: 'code',
    scope,
    state,
    nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    ...(URL.canParse(audience) ? { resource: audience } : {}),
    // Some providers issue a refresh token only after consent.
    ...(scope.includes('offline_access') ? { prompt: 'consent' } : {}),
  }
  for (const [name, value] of Object.entries(parameters)) to.searchParams.set(name, value)
  location.assign(to)
}

/** Forgets every token, and ends the session at the provider. */
export async function signOut(): Promise<void> {
  const hint = idToken
  forget('signed-out')
  const { end_session_endpoint } = await discover(config!.issuer)
  if (end_session_endpoint === undefined) return
  const to = new URL(end_session_endpoint)
  to.searchParams.set('client_id', config!.clientId)
  to.searchParams.set('post_logout_redirect_uri', redirectUri())
  // Cognito's name for the same parameter.
  to.searchParams.set('logout_uri', redirectUri())
  if (hint !== undefined) to.searchParams.set('id_token_hint', hint)
  location.assign(to)
}

const redirectUri = () => `${location.origin}/`

async function discover(issuer: string): Promise<oauth.AuthorizationServer> {
  const url = new URL(issuer)
  server ??= await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, insecure(issuer)))
  return server
}

async function finish(here: URL): Promise<void> {
  const pending = sessionStorage.getItem(PENDING)
  sessionStorage.removeItem(PENDING)
  // The code is used up and must not stay in the address.
  const { verifier, state, nonce, hash } = JSON.parse(pending ?? '{}') as Readonly<Record<string, string>>
  history.replaceState(null, '', '/')
  // This notifies the router too.
  if (hash !== undefined && hash !== '') location.replace(hash)
  const { issuer, clientId } = config!
  const [as, client] = [await discover(issuer), { client_id: clientId }]
  const answer = oauth.validateAuthResponse(as, client, here, state!)
  const response = await oauth.authorizationCodeGrantRequest(
    as,
    client,
    oauth.None(),
    answer,
    redirectUri(),
    verifier!,
    insecure(issuer),
  )
  take(
    await oauth.processAuthorizationCodeResponse(as, client, response, { expectedNonce: nonce!, requireIdToken: true }),
  )
}

/** Renews the token before it expires; refresh tokens rotate. Only one renewal runs at a time. */
function renew(): Promise<void> {
  renewing ??= renewOnce().finally(() => {
    renewing = undefined
  })
  return renewing
}

async function renewOnce(): Promise<void> {
  if (refreshToken === undefined) return forget('ended')
  const { issuer, clientId } = config!
  const [as, client] = [await discover(issuer), { client_id: clientId }]
  try {
    const response = await oauth.refreshTokenGrantRequest(as, client, oauth.None(), refreshToken, insecure(issuer))
    take(await oauth.processRefreshTokenResponse(as, client, response))
  } catch (error) {
    // An unreachable provider may come back; one that refuses has ended the session.
    if (error instanceof oauth.ResponseBodyError) forget('ended')
  }
}

function take(answer: oauth.TokenEndpointResponse): void {
  const { access_token, expires_in = 300, refresh_token, id_token, scope } = answer
  refreshToken = refresh_token ?? refreshToken
  idToken = id_token ?? idToken
  const claims: Readonly<Record<string, unknown>> = oauth.getValidatedIdTokenClaims(answer) ?? {}
  const { name, email, sub } = claims
  const granted = [scope ?? config!.scope, scopeOf(access_token)].join(' ')
  session.value = {
    token: access_token,
    expiresAt: Date.now() + expires_in * 1000,
    name: [name, email, sub].find((each) => typeof each === 'string') ?? session.peek()?.name,
    scopes: new Set(granted.split(' ')),
  }
  authState.value = 'signed-in'
}

/**
 * Scope of an access token that is a JWT. Some providers grant more than was requested and omit it from the response. Only what the page
 * offers depends on it; the API validates the token itself.
 */
function scopeOf(token: string): string {
  try {
    const claims = atob(token.split('.')[1]!.replaceAll('-', '+').replaceAll('_', '/'))
    const { scope } = JSON.parse(claims) as { scope?: unknown }
    return typeof scope === 'string' ? scope : ''
  } catch {
    return ''
  }
}

function forget(state: 'signed-out' | 'locked' | 'ended'): void {
  stopFeed()
  ;[refreshToken, idToken] = [undefined, undefined]
  session.value = undefined
  authState.value = state
}

/** Locks the page after minutes without input: tokens are forgotten and nothing is shown. */
function watchIdleness(minutes: number): void {
  let touchedAt = Date.now()
  const touch = () => {
    touchedAt = Date.now()
  }
  for (const kind of ['pointerdown', 'pointermove', 'keydown', 'wheel'] as const) {
    addEventListener(kind, touch, { passive: true, capture: true })
  }
  setInterval(() => {
    const isIdle = Date.now() - touchedAt > minutes * 60_000
    if (isIdle && authState.peek() === 'signed-in') forget('locked')
  }, 1_000)
}
