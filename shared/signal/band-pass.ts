/**
 * A second-order band-pass run forwards and backwards, so that nothing is delayed.
 * @module
 */

/** Biquad band-pass with unit gain at its centre (R. Bristow-Johnson, Audio EQ Cookbook), applied twice: fourth order, zero phase. */
export class ZeroPhaseBandPass {
  readonly #b0: number
  readonly #a1: number
  readonly #a2: number

  /** @param lowHz, highHz where one pass has fallen by 3 dB; 0 < lowHz < highHz < rateHz / 2 */
  constructor(lowHz: number, highHz: number, rateHz: number) {
    // Edges bent beforehand, so that they lie right after the bilinear transform.
    const low = Math.tan((Math.PI * lowHz) / rateHz)
    const high = Math.tan((Math.PI * highHz) / rateHz)
    const width = high - low
    const square = low * high
    const a0 = 1 + width + square
    this.#b0 = width / a0
    this.#a1 = (2 * (square - 1)) / a0
    this.#a2 = (1 - width + square) / a0
  }

  /** Filters the first `n` values in place. The signal counts as constant before its first value. */
  run(signal: Float64Array, n: number): void {
    const b0 = this.#b0
    const a1 = this.#a1
    const a2 = this.#a2
    // Transposed direct form II; b = (b0, 0, −b0). The state is that of a constant input.
    let s1 = n > 0 ? -b0 * signal[0]! : 0
    let s2 = s1
    for (let i = 0; i < n; i++) {
      const x = signal[i]!
      const y = b0 * x + s1
      s1 = s2 - a1 * y
      s2 = -b0 * x - a2 * y
      signal[i] = y
    }
    s1 = 0
    s2 = 0
    for (let i = n - 1; i >= 0; i--) {
      const x = signal[i]!
      const y = b0 * x + s1
      s1 = s2 - a1 * y
      s2 = -b0 * x - a2 * y
      signal[i] = y
    }
  }
}
