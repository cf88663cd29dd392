/**
 * Builds the console (`console/`) for the local stack, unless what was built last is newer than its sources.
 * @module
 */
import { execFile } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

const ROOT = resolve(import.meta.dirname, '../..')
const DIST = join(ROOT, 'console/dist')

/** What the page is made of. */
const SOURCES = [
  'console/src',
  'console/public',
  'console/index.html',
  'console/vite.config.ts',
  'streams/client',
  'docs/operator-runbook.md',
]

/**
 * The folder of the built console; `undefined` where Vite is not installed (`npm ci --omit=dev`).
 * @throws Error with what Vite says, for sources that do not build
 */
export async function buildConsole(): Promise<string | undefined> {
  const vite = join(ROOT, 'node_modules/vite/bin/vite.js')
  const built = join(DIST, 'index.html')
  if (!existsSync(vite)) return existsSync(built) ? DIST : undefined
  const shared = [...SOURCES, 'shared/domain'].map((path) => join(ROOT, path))
  if (existsSync(built) && statSync(built).mtimeMs > Math.max(...shared.map(newest))) return DIST
  // Whatever runs this (a test says `test`) gets the page that is deployed.
  const env = { ...process.env, NODE_ENV: 'production' }
  await promisify(execFile)(process.execPath, [vite, 'build', 'console', '--logLevel', 'warn'], { cwd: ROOT, env })
  return DIST
}

/** When something in a folder changed last. */
function newest(path: string): number {
  const own = statSync(path)
  if (!own.isDirectory()) return own.mtimeMs
  const entries = readdirSync(path, { withFileTypes: true }).filter(({ name }) => name !== 'node_modules')
  return Math.max(own.mtimeMs, ...entries.map(({ name }) => newest(join(path, name))))
}
