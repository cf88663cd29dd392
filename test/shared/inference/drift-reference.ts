/**
 * Makes the drift reference that the shipped bundle comes with: `npm run drift-reference`. Of PTB-XL's fold 8, on which its thresholds were
 * set as well; age and sex withheld, as of live devices.
 * @module
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { screenRecording } from '../../../functions/cli/screen-recording.ts'
import type { Recording } from '../../../shared/domain/recording.ts'
import { SHIPPED_BUNDLE } from '../../../shared/inference/active-bundle.ts'
import { readBundle } from '../../../shared/inference/bundle.ts'
import { REFERENCE_FILE, referenceOf } from '../../../shared/inference/population.ts'
import { Screener } from '../../../shared/inference/screener.ts'
import { CARDIACNETS_V1 } from '../../../shared/signal/profile.ts'
import { WindowPreparer } from '../../../shared/signal/window-preparer.ts'
import { type PackedEcg, packedEcgs } from '../../helpers/data-folder.ts'

const FOLD = 8

/** The calculated limb leads have half steps of the pack's 5 µV. */
const GAIN_UV = 2.5

function recordingOf({ rateHz, leads }: PackedEcg): Recording {
  const toSteps = (mv: number) => Math.round((mv * 1000) / GAIN_UV)
  return {
    format: 'ptb-xl',
    rateHz,
    leads: [...leads].map(([name, signal]) => ({ name, gainUv: GAIN_UV, samples: Int32Array.from(signal, toSteps) })),
  }
}

new Command('npm run drift-reference --')
  .description('Makes the drift reference of the shipped bundle, from PTB-XL fold 8.')
  .parse()

const bundle = await readBundle(SHIPPED_BUNDLE, CARDIACNETS_V1.name)
const screener = await Screener.load(bundle)
const preparer = new WindowPreparer(CARDIACNETS_V1)
const results = []
for (const ecg of packedEcgs(FOLD)) results.push((await screenRecording(screener, preparer, recordingOf(ecg))).result)
const reference = referenceOf(bundle, `PTB-XL fold ${FOLD}, ${results.length} ECGs, age and sex withheld`, results)
writeFileSync(join(SHIPPED_BUNDLE, REFERENCE_FILE), `${JSON.stringify(reference, null, 2)}\n`)
console.log(JSON.stringify(reference, null, 2))
