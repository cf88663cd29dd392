/**
 * Writes what the electrode network learns from: `npm run -s electrode-features -- DIR [fold…]`. For each fold of PTB-XL `foldNN.f32` ([ECGs][160], mV) and
 * `foldNN.ids`, without the ECGs that have no median beat. Read by `python -m cardiacnets.signal.electrodes DIR`.
 * @module
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { beatParts, FEATURES } from '../../../shared/signal/electrodes.ts'
import { BeatAverager } from '../../../shared/signal/median-beat.ts'
import { RPeakDetector, windowPeaks } from '../../../shared/signal/r-peaks.ts'
import { Resampler } from '../../../shared/signal/resample.ts'
import { packedEcgs } from '../../helpers/data-folder.ts'

const {
  args: [directory = '.', ...folds],
} = new Command('npm run electrode-features --')
  .description('Writes what the electrode network learns from: the median beats of PTB-XL.')
  .argument('[folder]', 'where to write (default: here)')
  .argument('[fold...]', 'folds of PTB-XL (default: 1 to 9)')
  .parse()
const [sourceHz, rateHz] = [100, 500]
const resampler = new Resampler(sourceHz, rateHz)
const averager = new BeatAverager(rateHz, 10 * rateHz)
const detector = new RPeakDetector(sourceHz)
mkdirSync(directory, { recursive: true })
for (const fold of folds.length > 0 ? folds.map(Number) : [1, 2, 3, 4, 5, 6, 7, 8, 9]) {
  const rows: Float32Array[] = []
  const ids: string[] = []
  for (const { id, leads } of packedEcgs(fold)) {
    const peaks = Array.from(windowPeaks(detector, leads), (peak) => (peak * rateHz) / sourceHz)
    const resampled = new Map([...leads.keys()].map((name) => [name, new Float64Array(10 * rateHz)] as const))
    for (const [name, output] of resampled) resampler.run(leads.get(name)!, output)
    const beats = averager.average(resampled, peaks)
    const parts = beats && beatParts(beats)
    if (parts === undefined) continue
    rows.push(Float32Array.from(parts))
    ids.push(id)
  }
  const name = `fold${String(fold).padStart(2, '0')}`
  const all = new Float32Array(rows.length * FEATURES)
  for (const [i, row] of rows.entries()) all.set(row, i * FEATURES)
  writeFileSync(join(directory, `${name}.f32`), Buffer.from(all.buffer))
  writeFileSync(join(directory, `${name}.ids`), ids.join('\n'))
  console.error(`${name}: ${rows.length} ECGs`)
}
