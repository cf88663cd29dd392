/** Messages as earlier versions wrote them. */
import { readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Of schema 1, written by commit 8344be0 (2026-11-25) of the synthetic recording of `recordings.ts`. Never rewritten: that is their use. */
const V1 = join(import.meta.dirname, '../fixtures/messages/v1')

export const OLD_MESSAGES = readdirSync(V1).map((file) => file.replace(/\.json$/, ''))

/** The body, as it would lie in the queue. */
export async function oldMessage(name: string): Promise<string> {
  return (await readFile(join(V1, `${name}.json`), 'utf8')).trim()
}
