/**
 * QRS durations of healthy people in PTB-XL: the figures of docs/delineation.md. Folds 1 to 7, on which choices may be made.
 * @module
 */
import { readFileSync } from 'node:fs'
import { CARDIACNETS_V1 } from '../../shared/signal/profile.ts'
import { WindowPreparer } from '../../shared/signal/window-preparer.ts'
import { readRecording } from '../../streams/formats/index.ts'
import { dataPath, headersIn, packedEcgs } from './data-folder.ts'
import { filled } from './filled.ts'

/** Folds of PTB-XL on which choices may be made. */
export const FOLDS: readonly number[] = [1, 2, 3, 4, 5, 6, 7]
const GAIN_UV = 5

export interface HealthyQrs {
  /** Ms, by sex: all normal ECGs that are there at 500 Hz, and the first of each fold at 100 Hz. */
  readonly at500Hz: Readonly<Record<'men' | 'women', number[]>>
  readonly at100Hz: Readonly<Record<'men' | 'women', number[]>>
  /** The same ECG at 100 Hz minus at 500 Hz, ms; normal or not. */
  readonly lengthened: number[]
}

export interface Label {
  readonly fold: number
  readonly sex: 'men' | 'women'
  /** An adult whose only diagnostic class is NORM. */
  readonly isNormal: boolean
  /** SCP codes. */
  readonly statements: readonly string[]
}

/** @param perFold normal ECGs of a fold at 100 Hz; with 0, nothing at 100 Hz is read */
export async function healthyQrs(perFold: number): Promise<HealthyQrs> {
  const labels = readLabels()
  const preparer = new WindowPreparer(CARDIACNETS_V1)
  const at500Hz: HealthyQrs['at500Hz'] = { men: [], women: [] }
  const at100Hz: HealthyQrs['at100Hz'] = { men: [], women: [] }
  const lengthened: number[] = []
  const exact = new Map<number, number>()
  for (const header of headersIn('ptbxl500')) {
    const id = Number.parseInt(header.split('/').at(-1)!, 10)
    const label = labels.get(id)
    const qrsMs = preparer.prepare(await readRecording(header)).measurements?.qrsMs
    if (label === undefined || !FOLDS.includes(label.fold) || qrsMs === undefined) continue
    exact.set(id, qrsMs)
    if (label.isNormal) at500Hz[label.sex].push(qrsMs)
  }
  for (const fold of perFold > 0 ? FOLDS : []) {
    let count = 0
    for (const { id, rateHz, leads } of packedEcgs(fold)) {
      const label = labels.get(Number(id))
      const isCounted = label?.isNormal === true && count < perFold
      const before = exact.get(Number(id))
      if (!isCounted && before === undefined) continue
      const { measurements } = preparer.prepare({
        rateHz,
        leads: [...leads].map(([name, mv]) => ({
          name,
          gainUv: GAIN_UV,
          samples: filled(new Int32Array(mv.length), (i) => Math.round((1000 * mv[i]!) / GAIN_UV)),
        })),
      })
      const qrsMs = measurements?.qrsMs
      if (isCounted) count++
      if (qrsMs === undefined) continue
      if (isCounted) at100Hz[label.sex].push(qrsMs)
      if (before !== undefined) lengthened.push(qrsMs - before)
    }
  }
  return { at500Hz, at100Hz, lengthened }
}

/** By number. Columns: number, fold, age, sex (0 male), NORM, four other classes, SCP codes. */
export function readLabels(): ReadonlyMap<number, Label> {
  const lines = readFileSync(dataPath('ptbxl100', 'ptbxl_labels.csv'), 'utf8').trim().split('\n').slice(1)
  return new Map(
    lines.map((line) => {
      const [id, fold, age, sex, norm, ...others] = line.split(',')
      const statements = others.pop()!.split(' ')
      const isNormal = norm === '1' && !others.includes('1') && Number(age) >= 18
      return [Number(id), { fold: Number(fold), sex: sex === '0' ? 'men' : 'women', isNormal, statements }]
    }),
  )
}
