/**
 * What an attack is, and how one is judged.
 * @module
 */
import type { World } from './world.ts'

export interface Attack {
  readonly kind: string
  readonly name: string
  /** What `run` tells where the attack is withstood. */
  readonly expected: string
  run(world: World): Promise<string>
}

export interface Judged {
  readonly kind: string
  readonly attack: string
  readonly expected: string
  readonly got: string
  readonly ok: boolean
  readonly ms: number
}

/** Never throws: an attack that breaks off is not withstood. */
export async function judge({ kind, name, expected, run }: Attack, world: World): Promise<Judged> {
  const startedMs = performance.now()
  const got = await run(world).catch((error: unknown) => `broke off: ${error instanceof Error ? error.message : error}`)
  const ms = Math.round(performance.now() - startedMs)
  return { kind, attack: name, expected, got, ok: got === expected, ms }
}
