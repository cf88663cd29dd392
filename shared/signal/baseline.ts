/**
 * Baseline removal: the trend of an additive seasonal decomposition (as in the authors' public code; statsmodels' `seasonal_decompose`).
 * @module
 */

/**
 * Writes `input` minus its trend to `output`. The trend is the centred moving average over `period` samples, with half weights at the ends
 * when the period is even. In the first and last half period the trend is held constant. Requires 2·period ≤ input.length.
 */
export function removeTrend(input: Float64Array, period: number, output: Float64Array): void {
  const n = input.length
  const half = period >> 1
  const last = n - 1 - half
  // An even period spans period + 1 samples, of which the two end samples have half weight; an odd period has no half weights.
  const endWeight = period % 2 === 0 ? 0.5 : 1
  let inner = 0
  for (let i = 1; i < 2 * half; i++) inner += input[i]!
  const scale = 1 / period
  let trend = 0
  let left = input[0]!
  for (let i = half; i <= last; i++) {
    const right = input[i + half]!
    trend = (inner + endWeight * (left + right)) * scale
    if (i === half) for (let j = 0; j < half; j++) output[j] = input[j]! - trend
    output[i] = input[i]! - trend
    left = input[i - half + 1]!
    inner += right - left
  }
  for (let i = last + 1; i < n; i++) output[i] = input[i]! - trend
}
