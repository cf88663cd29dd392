/**
 * How people sign in to the console: what the site says, as the API passes it on to the page (`/console.json`).
 * @module
 */
import * as z from 'zod'

export const SignIn = z.object({
  issuer: z.url(),
  /** The console's name at the identity provider: a public client with PKCE, whose redirect address is the console's own, with a slash. */
  clientId: z.string().min(1),
  audience: z.string().min(1),
  scope: z.string().min(1),
  /** After so many minutes without a hand on it the page locks itself. */
  idleMinutes: z.int().min(1),
})
export type SignIn = z.infer<typeof SignIn>

/** The variable that it stands in, as JSON. */
export const SIGN_IN_VARIABLE = 'CONSOLE_SIGN_IN'

export function signInOf(environment: Readonly<Record<string, string | undefined>>): SignIn | undefined {
  const text = environment[SIGN_IN_VARIABLE]
  return text === undefined ? undefined : SignIn.parse(JSON.parse(text))
}
