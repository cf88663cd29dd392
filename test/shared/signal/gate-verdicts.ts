/**
 * Writes which ECGs of a PTB-XL fold the service refuses, and of which it withholds the findings because of the signal:
 * `npm run -s gate-verdicts -- FOLD…` → models/training/reports/gate/ptbxl-foldN.json, which `cardiacnets evaluate` counts beside every flag rate.
 * @module
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { CARDIACNETS_V1 } from '../../../shared/signal/profile.ts'
import { WindowPreparer } from '../../../shared/signal/window-preparer.ts'
import { packedEcgs } from '../../helpers/data-folder.ts'

const OUT = join(import.meta.dirname, '../../../models/training/reports/gate')
/** The pack counts in 5 µV; what is derived from I and II has halves of that. */
const GAIN_UV = 2.5

const { args: folds } = new Command('npm run gate-verdicts --')
  .description('Writes which ECGs of a PTB-XL fold the service refuses or withholds, to models/training/reports/gate.')
  .argument('<fold...>', 'folds of PTB-XL')
  .parse()
const preparer = new WindowPreparer(CARDIACNETS_V1)
mkdirSync(OUT, { recursive: true })
for (const fold of folds.map(Number)) {
  const refused: number[] = []
  const withheld: number[] = []
  let ecgs = 0
  for (const { id, rateHz, leads } of packedEcgs(fold)) {
    ecgs++
    const recorded = Array.from(leads, ([name, mv]) => ({
      name,
      gainUv: GAIN_UV,
      samples: Int32Array.from(mv, (value) => Math.round((1000 * value) / GAIN_UV)),
    }))
    const { clean, warnings } = preparer.prepare({ rateHz, leads: recorded })
    if (clean === undefined) refused.push(Number(id))
    else if (warnings.some(({ withholds }) => withholds)) withheld.push(Number(id))
  }
  writeFileSync(join(OUT, `ptbxl-fold${fold}.json`), `${JSON.stringify({ fold, ecgs, refused, withheld })}\n`)
  console.log(`fold ${fold}: ${ecgs} ECGs, ${refused.length} refused, ${withheld.length} withheld`)
}
