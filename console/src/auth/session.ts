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

/** `open`: this stack asks for no sign-in. */
export type AuthState = 'unknown' | 'open' | 'signed-out' | 'signed-in' | 'locked'

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

/** Whether the caller may; where there is no sign-in, everything. */
export const may = (scope: string) => authState.value === 'open' || (session.value?.scopes.has(scope) ?? false)
