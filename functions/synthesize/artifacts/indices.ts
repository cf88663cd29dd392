/**
 * What the drawn cines say of the heart's function, beside what the function head says.
 * @module
 */
import { INDICES } from '../../../shared/domain/conditions.ts'
import type { IndexEstimate } from '../../../shared/domain/result.ts'
import { round } from '../../../shared/inference/site-calibration.ts'
import type { Readout, View } from '../../../shared/inference/synthesis-manifest.ts'

export interface DrawnIndex {
  readonly id: string
  readonly name: string
  readonly unit: string
  /** Measured on the drawn cines; `null` where a chamber that it is read from was not found. */
  readonly drawn: number | null
  /** How well the measure agreed with the truth (Pearson) on cines that were drawn like this one, of held-out people's ECGs. */
  readonly drawnCorrelation?: number
  /** The same on true cines: what the measure itself can do. */
  readonly readoutCorrelation: number
  /** The function head's estimate from the ECG, where the result has one. */
  readonly estimated?: Pick<IndexEstimate, 'value' | 'low' | 'high' | 'correlation' | 'evidence'>
}

/** Areas of each label over the cycle, cm², [frames][labels]. */
export type Areas = Readonly<Record<View, readonly (readonly number[])[]>>

/**
 * Reads the indices from areas by the bundle's coefficients.
 * @param sampler that drew
 * @param estimates the function head's, of the same ECG
 */
export function readIndices(
  readout: Readout,
  areas: Areas,
  sampler: string,
  estimates: readonly IndexEstimate[],
): DrawnIndex[] {
  const features = readout.features.map(({ view, label, statistic, power }) => {
    const values = areas[view].map((frame) => frame[label] ?? 0)
    return (statistic === 'max' ? Math.max(...values) : Math.min(...values)) ** power
  })
  const isEachFound = readout.features.every(({ view, label }) => areas[view].some((frame) => (frame[label] ?? 0) > 0))
  return readout.indices.map(({ id, intercept, weights, correlation, drawnCorrelation }) => {
    const { name, unit } = INDICES.find((index) => index.id === id)!
    const estimate = estimates.find((each) => each.id === id)
    const asDrawn = drawnCorrelation?.[sampler]
    const value = weights.reduce((sum, weight, i) => sum + weight * features[i]!, intercept)
    return {
      id,
      name,
      unit,
      drawn: isEachFound ? round(value) : null,
      ...(asDrawn === undefined ? {} : { drawnCorrelation: asDrawn }),
      readoutCorrelation: correlation,
      ...(estimate && { estimated: pick(estimate) }),
    }
  })
}

const pick = ({ value, low, high, correlation, evidence }: IndexEstimate) => ({
  value,
  low,
  high,
  correlation,
  evidence,
})
