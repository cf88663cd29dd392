/**
 * `npm run sbom`: the components of this product as CycloneDX 1.5, in `sbom/npm.cdx.json` and, where uv is installed,
 * `sbom/python.cdx.json`. Both come from the lock files, so nothing needs to be installed.
 * @module
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Command } from 'commander'

const ROOT = resolve(import.meta.dirname, '../..')
const OUT = join(ROOT, 'sbom')

interface Sbom {
  readonly components: readonly unknown[]
}

new Command('npm run sbom --')
  .description('Writes the components of this product as CycloneDX 1.5 to sbom/, from the lock files.')
  .parse()

mkdirSync(OUT, { recursive: true })
write('npm', ROOT, 'npm', ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only'])
write('python', join(ROOT, 'models/training'), 'uv', [
  ...['export', '--quiet', '--frozen', '--format', 'cyclonedx1.5', '--preview-features', 'sbom-export'],
])

function write(name: string, cwd: string, command: string, args: readonly string[]): void {
  const file = join(OUT, `${name}.cdx.json`)
  const options = { cwd, encoding: 'utf8', maxBuffer: 1e8, shell: process.platform === 'win32' } as const
  const text = execFileSync(command, args, options)
  const { components }: Sbom = JSON.parse(text)
  writeFileSync(file, text)
  console.log(`${file}: ${components.length} components`)
}
