/**
 * Sign-in at the site's identity provider: authorization code with PKCE (RFC 6749, RFC 7636, RFC 9700). Tokens live in memory; what survives the
 * way to the provider and back is the verifier, in this tab only.
 * @module
 */
import * as oauth from 'oauth4webapi'
import { stopFeed } from '../api/events.ts'
import { authState, session, setRenewal } from './session.ts'

/** What the API says of signing in (`/console.json`). */
export interface SignIn {
  readonly issuer: string
  readonly clientId: string
  readonly audience: string
  readonly scope: string
  readonly idleMinutes: number
}

/** Between leaving for the provider and coming back. */
const PENDING = 'cardiacnets.sign-in'

let config: SignIn | undefined
let server: oauth.AuthorizationServer | undefined
let refreshToken: string | undefined
let idToken: string | undefined
let renewing: Promise<void> | undefined

/** Plain HTTP is for providers on this very machine. */
const insecure = (url: string) =>
  new URL(url).hostname === '127.0.0.1' || new URL(url).hostname === 'localhost'
    ? { [oauth.allowInsecureRequests]: true }
    : {}

/**
 * Finds out whether anybody has to sign in, and takes up a sign-in that is under way.
 * @returns an error's code, for a sign-in that failed
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

/** Leaves for the provider. */
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
    // A refresh token is given to who was asked.
    ...(scope.includes('offline_access') ? { prompt: 'consent' } : {}),
  }
  for (const [name, value] of Object.entries(parameters)) to.searchParams.set(name, value)
  location.assign(to)
}

/** Forgets every token here, and ends the session at the provider, everywhere. */
export async function signOut(): Promise<void> {
  const hint = idToken
  forget('signed-out')
  const { end_session_endpoint } = await discover(config!.issuer)
  if (end_session_endpoint === undefined) return
  const to = new URL(end_session_endpoint)
  to.searchParams.set('client_id', config!.clientId)
  to.searchParams.set('post_logout_redirect_uri', redirectUri())
  // What Cognito calls the same.
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
  // The code is spent: it must not stay in the address.
  const { verifier, state, nonce, hash } = JSON.parse(pending ?? '{}') as Readonly<Record<string, string>>
  history.replaceState(null, '', '/')
  // Tells the router as well.
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

/** A new token before the old one ends; refresh tokens rotate. One renewal at a time. */
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
    // A provider that is away may come back; one that refuses has ended the session.
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
 * What an access token says that it allows, where it is a JWT: some providers add to what was asked for, and do not say so beside it. Only what the page
 * offers hangs on it; the API reads the token itself.
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

/** After minutes without a hand on it the page shows nothing and knows nothing. */
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
