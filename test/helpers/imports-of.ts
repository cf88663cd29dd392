/** What a program of ours reaches by its imports, as esbuild follows them. */
import { join, relative, resolve } from 'node:path'
import { buildSync } from 'esbuild'

const ROOT = resolve(import.meta.dirname, '../..')

export interface Reached {
  /** Of ours, from the repository's root. */
  readonly files: readonly string[]
  /** Import paths of packages, without Node's own. */
  readonly packages: readonly string[]
}

/** @param entryPoints from the repository's root; a worker's file is one of its own */
export function importsOf(...entryPoints: readonly string[]): Reached {
  const { metafile } = buildSync({
    entryPoints: entryPoints.map((file) => join(ROOT, file)),
    absWorkingDir: ROOT,
    bundle: true,
    write: false,
    outdir: 'out',
    packages: 'external',
    platform: 'node',
    format: 'esm',
    metafile: true,
  })
  const packages = Object.values(metafile.outputs).flatMap(({ imports }) => imports.map(({ path }) => path))
  return {
    files: Object.keys(metafile.inputs),
    packages: [...new Set(packages)].filter((path) => !path.startsWith('node:')),
  }
}

/** Files that lie in none of the folders. */
export const outside = (files: readonly string[], folders: readonly string[]): readonly string[] =>
  files.filter((file) => !folders.some((folder) => !relative(folder, file).startsWith('..')))

/** Packages that the production install does not have. */
export const undeclared = (packages: readonly string[], dependencies: Readonly<Record<string, string>>) =>
  packages.filter((path) => !Object.keys(dependencies).some((name) => path === name || path.startsWith(`${name}/`)))
