/**
 * One level of the discrete wavelet transform with Daubechies' six-moment wavelet (db6, 12 taps; Daubechies 1988, coefficients
 * as in PyWavelets), symmetric (half-sample) extension. Taps are literals inside the functions: the compiler then keeps them in
 * registers, which is worth a factor of three here.
 * @module
 */

const TAPS = 12

/** Samples of room that `analyse` needs on each side of its signal. */
export const MARGIN = TAPS - 1

/** Length of approximation and detail of a signal of `n` samples. */
export function coefficientCount(n: number): number {
  return (n + TAPS - 1) >> 1
}

/**
 * Splits `n` samples into approximation and detail, `coefficientCount(n)` values each.
 * `padded` and `approximation` start at index `MARGIN`; the margins of `padded` are filled here.
 */
export function analyse(padded: Float64Array, n: number, approximation: Float64Array, detail: Float64Array): void {
  const h0 = -0.0010773010853084796
  const h1 = 0.004777257510945511
  const h2 = 0.0005538422011614961
  const h3 = -0.03158203931748603
  const h4 = 0.027522865530305727
  const h5 = 0.09750160558732304
  const h6 = -0.12976686756726194
  const h7 = -0.22626469396543983
  const h8 = 0.31525035170919763
  const h9 = 0.7511339080210954
  const h10 = 0.49462389039845306
  const h11 = 0.11154074335010947
  for (let i = 0; i < MARGIN; i++) {
    padded[MARGIN - 1 - i] = padded[MARGIN + i]!
    padded[MARGIN + n + i] = padded[MARGIN + n - 1 - i]!
  }
  const count = coefficientCount(n)
  // Coefficient k takes samples 2k+1 … 2k−10; the highpass taps are the lowpass ones reversed with alternating sign.
  for (let k = 0, at = 1; k < count; k++, at += 2) {
    const x0 = padded[at]!
    const x1 = padded[at + 1]!
    const x2 = padded[at + 2]!
    const x3 = padded[at + 3]!
    const x4 = padded[at + 4]!
    const x5 = padded[at + 5]!
    const x6 = padded[at + 6]!
    const x7 = padded[at + 7]!
    const x8 = padded[at + 8]!
    const x9 = padded[at + 9]!
    const x10 = padded[at + 10]!
    const x11 = padded[at + 11]!
    approximation[MARGIN + k] =
      h11 * x0 +
      h10 * x1 +
      h9 * x2 +
      h8 * x3 +
      h7 * x4 +
      h6 * x5 +
      (h5 * x6 + h4 * x7 + h3 * x8 + h2 * x9 + h1 * x10 + h0 * x11)
    detail[k] =
      h0 * x0 -
      h1 * x1 +
      h2 * x2 -
      h3 * x3 +
      h4 * x4 -
      h5 * x5 +
      (h6 * x6 - h7 * x7 + h8 * x8 - h9 * x9 + h10 * x10 - h11 * x11)
  }
}

/**
 * Joins `detail.length` coefficients of each kind again, to `2·detail.length − 10` samples.
 * `approximation` and `output` start at index `MARGIN`.
 */
export function synthesise(approximation: Float64Array, detail: Float64Array, output: Float64Array): void {
  const h0 = -0.0010773010853084796
  const h1 = 0.004777257510945511
  const h2 = 0.0005538422011614961
  const h3 = -0.03158203931748603
  const h4 = 0.027522865530305727
  const h5 = 0.09750160558732304
  const h6 = -0.12976686756726194
  const h7 = -0.22626469396543983
  const h8 = 0.31525035170919763
  const h9 = 0.7511339080210954
  const h10 = 0.49462389039845306
  const h11 = 0.11154074335010947
  const count = detail.length
  let a0 = approximation[MARGIN]!
  let a1 = approximation[MARGIN + 1]!
  let a2 = approximation[MARGIN + 2]!
  let a3 = approximation[MARGIN + 3]!
  let a4 = approximation[MARGIN + 4]!
  let d0 = detail[0]!
  let d1 = detail[1]!
  let d2 = detail[2]!
  let d3 = detail[3]!
  let d4 = detail[4]!
  for (let k = 5, o = MARGIN; k < count; k++, o += 2) {
    const a5 = approximation[MARGIN + k]!
    const d5 = detail[k]!
    output[o] =
      h11 * a5 +
      h9 * a4 +
      h7 * a3 +
      h5 * a2 +
      h3 * a1 +
      h1 * a0 +
      (h0 * d5 + h2 * d4 + h4 * d3 + h6 * d2 + h8 * d1 + h10 * d0)
    output[o + 1] =
      h10 * a5 +
      h8 * a4 +
      h6 * a3 +
      h4 * a2 +
      h2 * a1 +
      h0 * a0 -
      (h1 * d5 + h3 * d4 + h5 * d3 + h7 * d2 + h9 * d1 + h11 * d0)
    a0 = a1
    a1 = a2
    a2 = a3
    a3 = a4
    a4 = a5
    d0 = d1
    d1 = d2
    d2 = d3
    d3 = d4
    d4 = d5
  }
}
