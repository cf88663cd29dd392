/**
 * Build context of the CMR synthesis image: its Dockerfile, the sources that it runs, and the model bundle.
 * @module
 */
import { cpSync, mkdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'

const ROOT = resolve(import.meta.dirname, '../..')

/** What `functions/synthesize/main.ts` reads or imports, beside its packages. */
export const IMAGE_SOURCES = ['package.json', 'package-lock.json', '.npmrc', 'shared', 'functions/synthesize'] as const

/**
 * Writes the build context.
 * @returns the folder, with the Dockerfile at its top
 */
export function stageImage(bundle: string, outdir: string): string {
  const folder = join(outdir, 'synthesis-image')
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const path of IMAGE_SOURCES) cpSync(join(ROOT, path), join(folder, path), { recursive: true })
  cpSync(join(ROOT, 'functions/synthesize/Dockerfile'), join(folder, 'Dockerfile'))
  cpSync(bundle, join(folder, 'model'), { recursive: true })
  return folder
}
