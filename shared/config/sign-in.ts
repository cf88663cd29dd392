/**
 * How people sign in to the console. The API passes this part of the site's configuration to the page as `/console.json`.
 * @module
 */
import * as z from 'zod'

export const SignIn = z.object({
  issuer: z.url(),
  /**
   * The console's client id at the identity provider: a public client with PKCE whose redirect address is the console's own, with a
   * trailing slash.
   */
  clientId: z.string().min(1),
  audience: z.string().min(1),
  scope: z.string().min(1),
  /** Minutes without input after which the page locks itself. */
  idleMinutes: z.int().min(1),
})
export type SignIn = z.infer<typeof SignIn>

/** Environment variable that holds it as JSON. */
export const SIGN_IN_VARIABLE = 'CONSOLE_SIGN_IN'

export function signInOf(environment: Readonly<Record<string, string | undefined>>): SignIn | undefined {
  const text = environment[SIGN_IN_VARIABLE]
  return text === undefined ? undefined : SignIn.parse(JSON.parse(text))
}
