/**
 * Who is signed in. Tokens are held in memory only: a reload signs in anew, which the provider's own session makes silent.
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

/** `open`: this stack asks for no sign-in. `ended`: the provider renews the token no more. */
export type AuthState = 'unknown' | 'open' | 'signed-out' | 'signed-in' | 'locked' | 'ended'

export const authState = signal<AuthState>('unknown')
export const session = signal<Session | undefined>(undefined)

type Renew = () => Promise<void>
let renew: Renew | undefined

export function setRenewal(wanted: Renew | undefined): void {
  renew = wanted
}

/** A token is renewed so long before it ends. */
const MARGIN_MS = 30_000

/** A token that is good for the next request; `undefined` where none is asked for. */
export async function freshToken(): Promise<string | undefined> {
  const current = session.value
  if (current === undefined) return undefined
  if (current.expiresAt - Date.now() < MARGIN_MS) await renew?.()
  return session.value?.token
}

/** Another token than the one that the API refused, whose clock may be ahead of ours; `undefined` where there is none. */
export async function tokenAfter(refused: string): Promise<string | undefined> {
  if (session.value?.token === refused) await renew?.()
  const token = session.value?.token
  return token === refused ? undefined : token
}

/** Whether the caller may; where there is no sign-in, everything. */
export const may = (scope: string) => authState.value === 'open' || (session.value?.scopes.has(scope) ?? false)
