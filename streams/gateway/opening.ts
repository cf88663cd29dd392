/**
 * Opens what a gateway needs before its doors: folder, journals and model. A fault of one prevents the start and is reported.
 * @module
 */
import { existsSync, mkdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileFault, isEmptied } from '../../shared/data-files.ts'
import { CodedError } from '../../shared/errors.ts'
import { readBundle, verifyFile } from '../../shared/inference/bundle.ts'
import { readSite } from '../../shared/inference/site-calibration.ts'
import type { Log } from '../../shared/observe/logging.ts'
import { CARDIACNETS_V1 } from '../../shared/signal/profile.ts'
import { Journal } from '../mqtt/journal.ts'
import type { Cloud } from './cloud.ts'
import type { GatewayConfig } from './config.ts'
import type { ScreeningSetup } from './screening.ts'
import { Store } from './store.ts'

const [ECGS, FRAMES] = ['ecgs.db', 'frames.db'] as const

/** Files in the gateway's folder: whole ECGs, and frames of open windows. */
export const journalsIn = (folder: string): readonly string[] => [join(folder, ECGS), join(folder, FRAMES)]

/**
 * Opens the journals.
 * @throws CodedError those of `fileFault`
 */
export function openJournals(
  { data, limitMb }: GatewayConfig,
  { logger, cloud }: { readonly logger: Log; readonly cloud?: Cloud | undefined },
): { readonly store: Store; readonly journal: Journal; readonly reopen: () => Journal } {
  try {
    mkdirSync(data, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw fileFault(data, error) ?? error
  }
  for (const file of journalsIn(data).filter(isEmptied)) {
    logger.critical('a journal was emptied: what it held is lost', { field: basename(file) })
  }
  const store = new Store(join(data, ECGS), { limitBytes: limitMb * 1024 * 1024, forwards: cloud !== undefined })
  try {
    const reopen = () => new Journal(join(data, FRAMES))
    return { store, journal: reopen(), reopen }
  } catch (error) {
    store.close()
    throw error
  }
}

/**
 * Copies both journals into a new folder, from which a gateway can start. Both copies are of the same moment, because nothing else runs meanwhile.
 * @throws CodedError `field-invalid` for a folder that exists, and those of `fileFault`
 */
export function backUp(
  folder: string,
  { store, frames }: { readonly store: Pick<Store, 'backup'>; readonly frames: Pick<Journal, 'backup'> },
): void {
  if (existsSync(folder)) throw new CodedError('field-invalid', { field: 'path' })
  try {
    mkdirSync(folder, { mode: 0o700 })
    store.backup(join(folder, ECGS))
    frames.backup(join(folder, FRAMES))
  } catch (error) {
    throw fileFault(folder, error) ?? error
  }
}

/**
 * Checks bundle and site calibration, which the screening thread loads. The thread itself could only end.
 * @throws CodedError those of `readBundle`, `verifyFile` and `readSite`
 */
export async function checkModel({ bundleDirectory, siteFile }: ScreeningSetup): Promise<void> {
  const bundle = await readBundle(bundleDirectory, CARDIACNETS_V1.name)
  await verifyFile(bundle, 'screen.onnx')
  if (siteFile !== undefined) await readSite(siteFile, bundle)
}
