/**
 * Cardiac function indices measured on the drawn cines, beside the estimates of the function head.
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
  /** Measured on the drawn cines; `null` when a chamber that it depends on was not found. */
  readonly drawn: number | null
  /** Pearson correlation of the measure with the truth, on cines that were drawn with the same sampler from held-out people's ECGs. */
  readonly drawnCorrelation?: number
  /** The same on true cines: the upper bound of the measure. */
  readonly readoutCorrelation: number
  /** The function head's estimate from the ECG, if the result has one. */
  readonly estimated?: Pick<IndexEstimate, 'value' | 'low' | 'high' | 'correlation' | 'evidence'>
}

/** Area of each label over the cycle, cm², [frames][labels]. */
export type Areas = Readonly<Record<View, readonly (readonly number[])[]>>

/**
 * Computes the indices from areas with the bundle's coefficients.
 * @param sampler sampler of the drawing
 * @param estimates the function head's estimates for the same ECG
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
