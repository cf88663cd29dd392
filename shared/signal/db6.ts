/**
 * One level of the discrete wavelet transform with Daubechies' six-moment wavelet (db6; Daubechies 1988) and symmetric (half-sample)
 * extension, as in PyWavelets.
 *
 * An orthogonal pair of 12-tap filters is a cascade of six plane rotations with a delay after each but the last (Vaidyanathan and Hoang
 * 1988): 26 operations per pair of samples instead of 46. The rotations come from `python -m cardiacnets.reference.lattice`. Each is
 * written as [1 −t; t 1] or [u −1; 1 u], whichever has the smaller coefficient; their lengths are combined in `scale`. Parity with
 * PyWavelets is tested. The coefficients are literals inside the functions, so that the compiler keeps them in registers.
 * @module
 */

const TAPS = 12

/** Pairs of samples that the cascade delays. */
export const MEMORY = TAPS / 2 - 1

/** Margin on each side of a signal, samples: what the filters need beyond its ends, and where the cascade starts. */
export const MARGIN = TAPS - 1

/** Number of approximation (and of detail) coefficients of a signal of `n` samples. */
export function coefficientCount(n: number): number {
  return (n + TAPS - 1) >> 1
}

/**
 * Splits `n` samples into approximation and detail, `coefficientCount(n)` values each. `padded` and `approximation` start at index
 * `MARGIN`, `detail` at `MEMORY`. The margins of `padded` are filled here; the elements before the start of the other two are overwritten
 * while the cascade fills.
 */
export function analyse(padded: Float64Array, n: number, approximation: Float64Array, detail: Float64Array): void {
  const u0 = 0.00965836386733586
  const t1 = 0.06999987822450954
  const t2 = -0.24301459735988673
  const t3 = 0.589618124233142
  const u4 = -0.7643296271905237
  const u5 = 0.2255061785637886
  const scale = 0.6471342635461641
  for (let i = 0; i < MARGIN; i++) {
    padded[MARGIN - 1 - i] = padded[MARGIN + i]!
    padded[MARGIN + n + i] = padded[MARGIN + n - 1 - i]!
  }
  const count = coefficientCount(n)
  // q5 to q1: the lower branch after each rotation, one pair earlier.
  let q5 = 0
  let q4 = 0
  let q3 = 0
  let q2 = 0
  let q1 = 0
  for (let k = -MEMORY, at = MARGIN - 2 * MEMORY; k < count; k++, at += 2) {
    const even = padded[at]!
    const odd = padded[at + 1]!
    const p5 = u5 * odd - even
    const p4 = u4 * p5 - q5
    const p3 = p4 - t3 * q4
    const p2 = p3 - t2 * q3
    const p1 = p2 - t1 * q2
    approximation[MARGIN + k] = scale * (u0 * p1 - q1)
    detail[MEMORY + k] = scale * (p1 + u0 * q1)
    q1 = t1 * p2 + q2
    q2 = t2 * p3 + q3
    q3 = t3 * p4 + q4
    q4 = p5 + u4 * q5
    q5 = odd + u5 * even
  }
}

/**
 * Joins `count` coefficients of each kind to `2·count − 10` samples: the inverse rotations in reverse order. `approximation` and `output`
 * start at index `MARGIN`, `detail` at `MEMORY`.
 * @param threshold soft threshold of the details, ≥ 0; applied here, because a pass of its own takes a third as long as the joining
 */
export function synthesise(
  approximation: Float64Array,
  detail: Float64Array,
  count: number,
  output: Float64Array,
  threshold = 0,
): void {
  const u0 = 0.00965836386733586
  const t1 = 0.06999987822450954
  const t2 = -0.24301459735988673
  const t3 = 0.589618124233142
  const u4 = -0.7643296271905237
  const u5 = 0.2255061785637886
  const scale = 0.6471342635461641
  // p0 to p4: the upper branch after each rotation, one pair earlier.
  let p0 = 0
  let p1 = 0
  let p2 = 0
  let p3 = 0
  let p4 = 0
  for (let k = 0, at = MARGIN - 2 * MEMORY; k < count; k++, at += 2) {
    const low = scale * approximation[MARGIN + k]!
    const value = detail[MEMORY + k]!
    const high = scale * (value > threshold ? value - threshold : value < -threshold ? value + threshold : 0)
    const q0 = u0 * high - low
    const q1 = q0 - t1 * p0
    const q2 = q1 - t2 * p1
    const q3 = q2 - t3 * p2
    const q4 = u4 * q3 - p3
    output[at] = u5 * q4 - p4
    output[at + 1] = u5 * p4 + q4
    p4 = u4 * p3 + q3
    p3 = p2 + t3 * q2
    p2 = p1 + t2 * q1
    p1 = p0 + t1 * q0
    p0 = u0 * low + high
  }
}
