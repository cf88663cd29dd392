/**
 * What npm installs for a package, read from this checkout's lock file.
 * @module
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join, posix, resolve } from 'node:path'

const ROOT = resolve(import.meta.dirname, '../..')
const BLOCK_BYTES = 4096

interface Locked {
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
}

const { packages }: { packages: Readonly<Record<string, Locked>> } = JSON.parse(
  readFileSync(join(ROOT, 'package-lock.json'), 'utf8'),
)

/** The folders (`node_modules/mqtt`) of the named packages and of all that they need on this machine. */
export function installedWith(names: readonly string[]): readonly string[] {
  const found = new Set<string>()
  const add = (name: string, from: string) => {
    const path = folderOf(name, from)
    if (path === undefined || found.has(path)) return
    found.add(path)
    const { dependencies, optionalDependencies, peerDependencies } = packages[path] ?? {}
    for (const needed of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })) {
      add(needed, path)
    }
  }
  for (const name of names) add(name, '')
  return [...found]
}

/** In Node.js's order: beside the package, then further up. Packages of other platforms are not installed. */
function folderOf(name: string, from: string): string | undefined {
  for (let folder = from; ; folder = posix.dirname(folder)) {
    const path = posix.join(folder, 'node_modules', name)
    if (path in packages && existsSync(join(ROOT, path))) return path
    if (folder === '' || folder === '.') return undefined
  }
}

/** Megabytes on a disk with blocks of 4 KiB, without packages inside it. */
export function megabytesOf(folder: string): number {
  const bytes = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.slice(folder.length).includes('/node_modules'))
    .map(({ parentPath, name }) => Math.ceil(statSync(join(parentPath, name)).size / BLOCK_BYTES) * BLOCK_BYTES)
  return bytes.reduce((total, size) => total + size, 0) / 2 ** 20
}
