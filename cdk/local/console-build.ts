/**
 * Builds the console (`console/`) for the local stack, unless the last build is newer than the sources.
 * @module
 */
import { execFile } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

const ROOT = resolve(import.meta.dirname, '../..')
const DIST = join(ROOT, 'console/dist')

/** Sources of the page. */
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
 * @throws Error with Vite's output, when the build fails
 */
export async function buildConsole(): Promise<string | undefined> {
  const vite = join(ROOT, 'node_modules/vite/bin/vite.js')
  const built = join(DIST, 'index.html')
  if (!existsSync(vite)) return existsSync(built) ? DIST : undefined
  const shared = [...SOURCES, 'shared/domain'].map((path) => join(ROOT, path))
  if (existsSync(built) && statSync(built).mtimeMs > Math.max(...shared.map(newest))) return DIST
  // Always the production page, whatever NODE_ENV the caller has (a test has `test`).
  const env = { ...process.env, NODE_ENV: 'production' }
  // Built aside, because another process may build or read it at the same time.
  const aside = `.dist-${process.pid}`
  const args = [vite, 'build', 'console', '--outDir', aside, '--emptyOutDir', '--logLevel', 'warn']
  await promisify(execFile)(process.execPath, args, { cwd: ROOT, env })
  await rm(DIST, { recursive: true, force: true })
  try {
    await rename(join(ROOT, 'console', aside), DIST)
  } catch (error) {
    // Another process was first, with the same page.
    await rm(join(ROOT, 'console', aside), { recursive: true, force: true })
    if (!existsSync(built)) throw error
  }
  return DIST
}

/** Latest modification in a folder. */
function newest(path: string): number {
  const own = statSync(path)
  if (!own.isDirectory()) return own.mtimeMs
  const entries = readdirSync(path, { withFileTypes: true }).filter(({ name }) => name !== 'node_modules')
  return Math.max(own.mtimeMs, ...entries.map(({ name }) => newest(join(path, name))))
}
