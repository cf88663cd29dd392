/**
 * Liveness of the adapter's process, for the health check of its container: it touches a file beside its journal every ten seconds. Exits
 * with 0 or 1.
 * @module
 */
import { statSync, writeFileSync } from 'node:fs'

const TOUCH_MS = 10_000

/** Journal upkeep may block the process for seconds, but never for a minute. */
const MAX_SILENCE_MS = 60_000

const fileOf = (journalPath: string) => `${journalPath}.alive`

/**
 * Touches the file now and every ten seconds.
 * @returns a function that stops it
 */
export function keepAlive(journalPath: string): () => void {
  const touch = () => writeFileSync(fileOf(journalPath), '')
  touch()
  const timer = setInterval(touch, TOUCH_MS)
  return () => clearInterval(timer)
}

export function isAlive(journalPath: string, nowMs: number): boolean {
  const touched = statSync(fileOf(journalPath), { throwIfNoEntry: false })
  return touched !== undefined && nowMs - touched.mtimeMs < MAX_SILENCE_MS
}

if (import.meta.main) process.exit(isAlive(process.env.JOURNAL_PATH ?? '', Date.now()) ? 0 : 1)
