/**
 * The version of the code that made a result.
 * @module
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { RUNS_FROM_SOURCE } from './installation.ts'

const ROOT = join(import.meta.dirname, '..')
interface Manifest {
  readonly version: string
  /** Only in a built package. */
  readonly codeVersion?: string
}

const PACKAGES = ['package.json', 'package-lock.json']

/**
 * The package's version and, in a git work tree, the commit. A built package has both in its package.json; deployed code gets them as
 * `CODE_VERSION`.
 * @param sources with some, the last commit that changed one of them or the packages, so that other commits do not change what is built
 * from them
 */
export function codeVersion(sources: readonly string[] = []): string {
  const manifest: Manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const { version, codeVersion: built = version } = manifest
  if (!RUNS_FROM_SOURCE) return built
  try {
    const paths = sources.length > 0 ? [...sources, ...PACKAGES] : []
    const commit = execFileSync('git', ['log', '-1', '--format=%h', '--abbrev=12', 'HEAD', '--', ...paths], {
      cwd: ROOT,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return `${version}+${commit.trim()}`
  } catch {
    return version
  }
}
