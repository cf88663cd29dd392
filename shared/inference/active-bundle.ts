/**
 * Which model bundle is active here: `--model`, else `MODEL_DIR`, else the choice of `models use`, else the shipped one; and the site
 * calibration that belongs to it.
 * @module
 */
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { RUNS_FROM_SOURCE } from '../installation.ts'
import { REFERENCE_FILE } from './population.ts'
import { SITE_FILE, type Site } from './site-calibration.ts'

const ROOT = resolve(import.meta.dirname, '../..')

/** The bundle that ships with this product. */
export const SHIPPED_BUNDLE = join(ROOT, 'models/cardiacnets-compact')

/** Folder of the choice: in this clone, or for an installed package in the user's configuration. */
const CHOICE_FOLDER = RUNS_FROM_SOURCE
  ? join(ROOT, '.local')
  : join(process.env.XDG_CONFIG_HOME ?? join(homedir(), '.config'), 'cardiacnets')
const CHOICE_FILE = 'model-bundle'

/** The active bundle's folder. */
export function activeBundle(): string {
  return process.env.MODEL_DIR ?? chosenBundle() ?? SHIPPED_BUNDLE
}

/**
 * Path of the active bundle's site calibration, if there is one: in the folder that `MODEL_DIR` names, else where `chooseBundle` stored it.
 */
export function activeSite(): string | undefined {
  return siteIn(process.env.MODEL_DIR ?? CHOICE_FOLDER)
}

/** Path of the active bundle's drift reference: the site's own if `chooseBundle` was given one, else the bundle's. */
export function activeReference(): string | undefined {
  return referenceIn(process.env.MODEL_DIR ?? CHOICE_FOLDER) ?? referenceIn(activeBundle())
}

/** Path of the drift reference in a folder, if there is one. */
export function referenceIn(folder: string): string | undefined {
  const path = join(folder, REFERENCE_FILE)
  return existsSync(path) ? path : undefined
}

/** Path of the site calibration in a folder, if there is one. */
export function siteIn(folder: string): string | undefined {
  const path = join(folder, SITE_FILE)
  return existsSync(path) ? path : undefined
}

/**
 * Makes `directory` the active bundle, with the calibration of `site`. Without `site`, an earlier calibration is removed.
 * @param reference text of the site's own drift reference
 */
export async function chooseBundle(
  directory: string,
  site?: Site,
  folder = CHOICE_FOLDER,
  reference?: string,
): Promise<void> {
  await mkdir(folder, { recursive: true })
  const path = join(folder, SITE_FILE)
  // Removed first, so that a bundle never stands beside the calibration of another one.
  await rm(path, { force: true })
  await rm(join(folder, REFERENCE_FILE), { force: true })
  await writeFile(join(folder, CHOICE_FILE), `${resolve(directory)}\n`)
  if (site !== undefined) await writeFile(path, site.text)
  if (reference !== undefined) await writeFile(join(folder, REFERENCE_FILE), reference)
}

function chosenBundle(): string | undefined {
  try {
    return readFileSync(join(CHOICE_FOLDER, CHOICE_FILE), 'utf8').trim()
  } catch {
    return undefined
  }
}
