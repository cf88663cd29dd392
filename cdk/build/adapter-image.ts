/**
 * Build context of the streaming adapter's image: its Dockerfile and the sources that it runs.
 * @module
 */
import { cpSync, mkdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'

const ROOT = resolve(import.meta.dirname, '../..')

/** What `streams/mqtt/main.ts` reads or imports, beside its packages. */
export const ADAPTER_SOURCES = ['package.json', 'package-lock.json', '.npmrc', 'shared', 'streams/mqtt'] as const

/**
 * Writes the build context.
 * @returns the folder, with the Dockerfile at its top
 */
export function stageAdapterImage(outdir: string): string {
  const folder = join(outdir, 'adapter-image')
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const path of ADAPTER_SOURCES) cpSync(join(ROOT, path), join(folder, path), { recursive: true })
  cpSync(join(ROOT, 'streams/mqtt/Dockerfile'), join(folder, 'Dockerfile'))
  return folder
}
