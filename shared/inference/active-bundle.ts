/**
 * Which model bundle runs here: `--model`, else `MODEL_DIR`, else what `models use` chose, else the one that is shipped.
 * @module
 */
import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'

const ROOT = resolve(import.meta.dirname, '../..')

/** The bundle that is shipped. */
export const SHIPPED_BUNDLE = join(ROOT, 'models/cardiacnets-compact')

const CHOICE_FILE = join(ROOT, '.local/model-bundle')

/** The active bundle's folder. */
export function activeBundle(): string {
  return process.env.MODEL_DIR ?? chosenBundle() ?? SHIPPED_BUNDLE
}

/** Makes `directory` the active bundle of this working copy. */
export async function chooseBundle(directory: string): Promise<void> {
  await mkdir(dirname(CHOICE_FILE), { recursive: true })
  await writeFile(CHOICE_FILE, `${resolve(directory)}\n`)
}

function chosenBundle(): string | undefined {
  try {
    return readFileSync(CHOICE_FILE, 'utf8').trim()
  } catch {
    return undefined
  }
}
