/**
 * Wavelet shrinkage (Donoho 1995) with db6: every detail is soft-thresholded with one threshold per lead.
 * @module
 */
import { analyse, coefficientCount, MARGIN, MEMORY, synthesise } from './db6.ts'
import { medianInPlace } from './median.ts'
import type { SignalProfile } from './profile.ts'

/** Median absolute deviation of a standard normal distribution. */
const MAD_OF_NORMAL = 0.6745

/** Denoises signals of one length. Owns its buffers, so one instance serves one thread. */
export class WaveletDenoiser {
  readonly #lengths: readonly number[]
  /** The signal, then the approximation of each level; each has margins for the next level. */
  readonly #approximations: readonly Float64Array[]
  /** Detail coefficients of each level, from index `MEMORY` on. */
  readonly #details: readonly Float64Array[]
  readonly #magnitudes: Float64Array
  readonly #noiseLevel: number
  readonly #thresholdOfMad: number

  constructor({ samples, wavelet }: SignalProfile) {
    const lengths = [samples]
    for (let level = 0; level < wavelet.level; level++) lengths.push(coefficientCount(lengths[level]!))
    this.#lengths = lengths
    // Joining may return one sample more than was split, hence the extra element.
    this.#approximations = lengths.map((n) => new Float64Array(n + 2 * MARGIN + 1))
    this.#details = lengths.slice(1).map((n) => new Float64Array(MEMORY + n))
    this.#noiseLevel = wavelet.noiseLevel
    this.#magnitudes = new Float64Array(lengths[wavelet.noiseLevel]!)
    this.#thresholdOfMad = (wavelet.thresholdScale * Math.sqrt(2 * Math.log(samples))) / MAD_OF_NORMAL
  }

  /** Buffer for input and output. */
  get signal(): Float64Array {
    return this.#approximations[0]!.subarray(MARGIN, MARGIN + this.#lengths[0]!)
  }

  /** Denoises `signal` in place. */
  run(): void {
    const levels = this.#details.length
    for (let level = 0; level < levels; level++) {
      analyse(
        this.#approximations[level]!,
        this.#lengths[level]!,
        this.#approximations[level + 1]!,
        this.#details[level]!,
      )
    }
    const threshold = this.#threshold()
    for (let level = levels - 1; level >= 0; level--) {
      synthesise(
        this.#approximations[level + 1]!,
        this.#details[level]!,
        this.#lengths[level + 1]!,
        this.#approximations[level]!,
        threshold,
      )
    }
  }

  #threshold(): number {
    const noise = this.#details[this.#noiseLevel - 1]!
    const magnitudes = this.#magnitudes
    for (let i = 0; i < magnitudes.length; i++) magnitudes[i] = Math.abs(noise[MEMORY + i]!)
    return this.#thresholdOfMad * medianInPlace(magnitudes, magnitudes.length)
  }
}
