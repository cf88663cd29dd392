/**
 * QRS durations in PTB-XL by what the reader said of conduction: a witness for docs/delineation.md. Readers call a bundle branch block complete from
 * 120 ms on. So the cut that separates their complete from their incomplete blocks shows what 120 ms of theirs is on our scale.
 * Folds 1 to 7, on which choices may be made.
 * @module
 */
import { auroc } from '../../functions/cli/evaluate/metrics.ts'
import type { LeadName } from '../../shared/domain/leads.ts'
import { delineate } from '../../shared/signal/delineator.ts'
import { measureBeats } from '../../shared/signal/measurements.ts'
import { BeatAverager } from '../../shared/signal/median-beat.ts'
import { CARDIACNETS_V1 } from '../../shared/signal/profile.ts'
import { RPeakDetector, windowPeaks } from '../../shared/signal/r-peaks.ts'
import { Resampler } from '../../shared/signal/resample.ts'
import { quantile } from '../../shared/statistics.ts'
import { randomNumbers } from './corruptions.ts'
import { packedEcgs } from './data-folder.ts'
import { FOLDS, type Label, readLabels } from './healthy-qrs.ts'

/** SCP statements, as PTB-XL has them. */
export const BLOCKS = ['IRBBB', 'CRBBB', 'ILBBB', 'CLBBB', 'IVCD'] as const
export type Conduction = (typeof BLOCKS)[number] | 'NORM'

/** QRS of one ECG, ms. */
export interface BlockQrs {
  /** As the product measures it: the second earliest onset to the second latest end of twelve leads. */
  readonly ours: number
  /** From the earliest onset to the latest end in any lead (AHA/ACCF/HRS 2009). */
  readonly widest: number
}

/**
 * QRS of the ECGs with exactly one of `BLOCKS` among their statements, and of normal ECGs. ECGs without a QRS of ours are left out.
 * @param folds of PTB-XL
 * @param normals of each fold, at most
 */
export function blockQrs(
  folds: readonly number[] = FOLDS,
  normals = 150,
): ReadonlyMap<Conduction, readonly BlockQrs[]> {
  const labels = readLabels()
  const { rateHz, samples } = CARDIACNETS_V1
  const detector = new RPeakDetector(rateHz)
  const averager = new BeatAverager(rateHz, samples)
  const resamplers = new Map<number, Resampler>()
  const found = new Map<Conduction, BlockQrs[]>([...BLOCKS, 'NORM' as const].map((name) => [name, []]))
  for (const fold of folds) {
    let normal = 0
    for (const ecg of packedEcgs(fold)) {
      const label = labels.get(Number(ecg.id))
      const conduction = label && conductionOf(label)
      if (conduction === undefined || (conduction === 'NORM' && ++normal > normals)) continue
      const resampler = resamplers.get(ecg.rateHz) ?? new Resampler(ecg.rateHz, rateHz)
      resamplers.set(ecg.rateHz, resampler)
      const leads = new Map<LeadName, Float64Array>()
      for (const [name, mv] of ecg.leads) {
        const lead = new Float64Array(samples)
        resampler.run(mv, lead)
        leads.set(name, lead)
      }
      const peaks = Array.from(windowPeaks(detector, leads))
      const beats = averager.average(leads, peaks)
      const ours = measureBeats(beats, peaks, rateHz)?.qrsMs
      if (beats === undefined || ours === undefined) continue
      const waves = [...delineate(beats).leads.values()].flatMap(({ qrs }) => qrs ?? [])
      const widest = Math.max(...waves.map(({ end }) => end)) - Math.min(...waves.map(({ onset }) => onset))
      found.get(conduction)!.push({ ours, widest: (1000 * widest) / rateHz })
    }
  }
  return found
}

function conductionOf({ isNormal, statements }: Label): Conduction | undefined {
  const blocks = BLOCKS.filter((name) => statements.includes(name))
  if (blocks.length === 1) return blocks[0]
  return blocks.length === 0 && isNormal ? 'NORM' : undefined
}

/**
 * How well a duration tells complete from incomplete blocks.
 * @param incomplete ms
 * @param complete ms
 */
export function separation(incomplete: readonly number[], complete: readonly number[]) {
  const random = randomNumbers(1)
  const drawn = (values: readonly number[]) => values.map(() => values[Math.floor(random() * values.length)]!)
  const cuts = Array.from({ length: RESAMPLES }, () => balancedCut(drawn(incomplete), drawn(complete)))
  const cut = balancedCut(incomplete, complete)
  return {
    /** Ms at which the same share of the incomplete lies above as of the complete below. */
    cut,
    /** 95% of the cuts of resampled ECGs. */
    cutCi: [quantile(cuts, 0.025), quantile(cuts, 0.975)] as const,
    /** Share of the complete below the cut. */
    error: complete.filter((ms) => ms < cut).length / complete.length,
    auroc: auroc({
      score: Float64Array.from([...incomplete, ...complete]),
      truth: Uint8Array.from([...incomplete.map(() => 0), ...complete.map(() => 1)]),
    }),
  }
}

const RESAMPLES = 400
const CUTS_MS = Array.from({ length: 101 }, (_, i) => 80 + i)

function balancedCut(incomplete: readonly number[], complete: readonly number[]): number {
  const imbalance = (cut: number) =>
    Math.abs(
      complete.filter((ms) => ms < cut).length / complete.length -
        incomplete.filter((ms) => ms >= cut).length / incomplete.length,
    )
  return CUTS_MS.map((cut) => ({ cut, off: imbalance(cut) })).reduce((a, b) => (b.off < a.off ? b : a)).cut
}
