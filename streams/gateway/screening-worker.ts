/**
 * The screening thread: the same preparation and the same bundle as the cloud's functions, and so the same result.
 * @module
 */
import { parentPort, workerData } from 'node:worker_threads'
import { toCodedError } from '../../shared/errors.ts'
import { readBundle } from '../../shared/inference/bundle.ts'
import { screenIntake } from '../../shared/inference/screen-intake.ts'
import { Screener } from '../../shared/inference/screener.ts'
import { readSite } from '../../shared/inference/site-calibration.ts'
import { CARDIACNETS_V1 } from '../../shared/signal/profile.ts'
import { WindowPreparer } from '../../shared/signal/window-preparer.ts'
import { decodeWaveform } from '../../shared/waveform/codec.ts'
import { type ScreeningJob, type ScreeningReply, type ScreeningSetup, STOP } from './screening.ts'

const { bundleDirectory, siteFile, codeVersion } = workerData as ScreeningSetup // as `screening.ts` starts it
const bundle = await readBundle(bundleDirectory, CARDIACNETS_V1.name)
const site = siteFile === undefined ? undefined : await readSite(siteFile, bundle)
const screener = await Screener.load(bundle, site)
const preparer = new WindowPreparer(CARDIACNETS_V1)
const port = parentPort!

// With the port closed, the thread ends after its jobs.
port.on('message', async (message: ScreeningJob | typeof STOP) => {
  if (message === STOP) {
    port.close()
    return
  }
  const { id, envelope, packed } = message
  try {
    const result = await screenIntake({ screener, preparer, codeVersion }, envelope, decodeWaveform(packed))
    port.postMessage({ id, json: JSON.stringify(result) } satisfies ScreeningReply)
  } catch (error) {
    const { code } = toCodedError(error)
    port.postMessage({ id, code } satisfies ScreeningReply)
  }
})
port.postMessage('ready')
