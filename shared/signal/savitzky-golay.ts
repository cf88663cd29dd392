/**
 * Savitzky-Golay smoothing (1964), window 11, order 3, with SciPy's `interp` edges: the first and last five samples come from the cubic
 * that is fitted to the first and last eleven.
 * @module
 */

export const WINDOW = 11
const ORDER = 3
const HALF = 5

/** Row i: weights of the eleven samples for the fitted cubic at sample i. The middle row is the filter. */
const FIT: readonly Float64Array[] = fitMatrix()

/** Lowest and highest value of a signal. */
export interface Extremes {
  min: number
  max: number
}

/**
 * Smooths `input` into `output`, which must be another array of the same length (≥ 11).
 * @param extremes receives the extremes of `output`; found on the way, because a pass of its own takes half as long as the smoothing
 */
export function smooth(input: Float64Array, output: Float64Array, extremes: Extremes): void {
  const n = input.length
  let min = Number.POSITIVE_INFINITY
  let max = Number.NEGATIVE_INFINITY
  const taps = FIT[HALF]!
  const t0 = taps[5]!
  const t1 = taps[4]!
  const t2 = taps[3]!
  const t3 = taps[2]!
  const t4 = taps[1]!
  const t5 = taps[0]!
  // a to k: the eleven samples. They move on by one, because a sample that is read eleven times has its index checked eleven times.
  let [a, b, c, d, e] = [input[0]!, input[1]!, input[2]!, input[3]!, input[4]!]
  let [f, g, h, i, j] = [input[5]!, input[6]!, input[7]!, input[8]!, input[9]!]
  for (let last = WINDOW - 1; last < n; last++) {
    const k = input[last]!
    const value = t0 * f + t1 * (e + g) + t2 * (d + h) + (t3 * (c + i) + t4 * (b + j) + t5 * (a + k))
    output[last - HALF] = value
    if (value < min) min = value
    if (value > max) max = value
    a = b
    b = c
    c = d
    d = e
    e = f
    f = g
    g = h
    h = i
    i = j
    j = k
  }
  for (let i = 0; i < HALF; i++) {
    const start = dot(FIT[i]!, input, 0)
    const end = dot(FIT[HALF + 1 + i]!, input, n - WINDOW)
    output[i] = start
    output[n - HALF + i] = end
    min = Math.min(min, start, end)
    max = Math.max(max, start, end)
  }
  extremes.min = min
  extremes.max = max
}

function dot(weights: Float64Array, input: Float64Array, at: number): number {
  let sum = 0
  for (let i = 0; i < WINDOW; i++) sum += weights[i]! * input[at + i]!
  return sum
}

/** Projection onto the polynomials of degree ≤ ORDER over the window: Σ pᵢpᵢᵀ of an orthonormal basis (Gram-Schmidt). */
function fitMatrix(): Float64Array[] {
  const basis: Float64Array[] = []
  for (let degree = 0; degree <= ORDER; degree++) {
    const vector = Float64Array.from({ length: WINDOW }, (_, i) => ((i - HALF) / HALF) ** degree)
    for (const other of basis) {
      const overlap = dot(other, vector, 0)
      for (let i = 0; i < WINDOW; i++) vector[i] = vector[i]! - overlap * other[i]!
    }
    const norm = Math.sqrt(dot(vector, vector, 0))
    basis.push(vector.map((value) => value / norm))
  }
  return Array.from({ length: WINDOW }, (_, row) =>
    Float64Array.from({ length: WINDOW }, (_, column) => basis.reduce((sum, p) => sum + p[row]! * p[column]!, 0)),
  )
}
