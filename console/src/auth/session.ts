/**
 * The user's session. Tokens are held in memory only. After a reload the user signs in again, silently while the provider's session lasts.
 * @module
 */
import { signal } from '@preact/signals'

export interface Session {
  readonly token: string
  /** `Date.now()` */
  readonly expiresAt: number
  readonly name: string | undefined
  readonly scopes: ReadonlySet<string>
}

/** `open`: this stack needs no sign-in. `ended`: the provider refuses to renew the token. */
export type AuthState = 'unknown' | 'open' | 'signed-out' | 'signed-in' | 'locked' | 'ended'

export const authState = signal<AuthState>('unknown')
export const session = signal<Session | undefined>(undefined)

type Renew = () => Promise<void>
let renew: Renew | undefined

export function setRenewal(wanted: Renew | undefined): void {
  renew = wanted
}

/** Time before a token's expiry at which it is renewed. */
const MARGIN_MS = 30_000

/** Returns a token that is valid for the next request; `undefined` if none is needed. */
export async function freshToken(): Promise<string | undefined> {
  const current = session.value
  if (current === undefined) return undefined
  if (current.expiresAt - Date.now() < MARGIN_MS) await renew?.()
  return session.value?.token
}

/** Returns a token other than the one that the API refused, because its clock may be ahead of ours; `undefined` if there is none. */
export async function tokenAfter(refused: string): Promise<string | undefined> {
  if (session.value?.token === refused) await renew?.()
  const token = session.value?.token
  return token === refused ? undefined : token
}

/** Whether the user has a scope; always true without sign-in. */
export const may = (scope: string) => authState.value === 'open' || (session.value?.scopes.has(scope) ?? false)
