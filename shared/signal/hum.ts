/**
 * Removes mains hum at 50 or 60 Hz, which is recognised by its steady phase. This runs before the quality gate and before the chain, whose
 * wavelet threshold would otherwise rise with the hum and reduce the QRS height. A lead without hum stays bit-identical.
 * @module
 */
import { medianInPlace } from './median.ts'

const MAINS_HZ = [50, 60] as const

/** Below this rate, 60 Hz is too close to the Nyquist frequency. */
const MIN_RATE_HZ = 200

/** Block length, s: a whole number of cycles of both frequencies, so that an offset and most of a slope cancel. */
const BLOCK_S = 0.2
/** Only every fourth block is checked first, because hum is in all blocks. */
const LOOK_EVERY = 4

/** Smaller hum is left to the chain, mV. */
const MIN_HUM_MV = 0.02
/**
 * Hum keeps its amplitude and phase: blocks deviate by at most this share in the median (a QRS complex deviates more, but not in every
 * block).
 */
const MAX_STRAY = 0.5

/** Blocks on each side that are smoothed together: one second in total. */
const NEIGHBOURS = 2

/** Removes hum from leads of one rate. Owns its buffers, so one instance serves one thread. */
export class HumRemover {
  readonly #block: number
  readonly #tables: readonly { readonly cos: Float64Array; readonly sin: Float64Array }[]
  readonly #real: Float64Array
  readonly #imaginary: Float64Array
  readonly #smoothReal: Float64Array
  readonly #smoothImaginary: Float64Array
  readonly #scratch: Float64Array

  /** @param samples longest lead, samples */
  constructor(rateHz: number, samples: number) {
    this.#block = Math.round(BLOCK_S * rateHz)
    this.#tables = rateHz < MIN_RATE_HZ ? [] : MAINS_HZ.map((hz) => waves(hz, rateHz, samples))
    const blocks = Math.ceil(samples / this.#block) + 1
    this.#real = new Float64Array(blocks)
    this.#imaginary = new Float64Array(blocks)
    this.#smoothReal = new Float64Array(blocks)
    this.#smoothImaginary = new Float64Array(blocks)
    this.#scratch = new Float64Array(blocks)
  }

  /**
   * Removes hum in place.
   * @param lead [n], mV, NaN where a sample is missing
   * @returns frequency of the hum, Hz; `undefined` when there was none
   */
  remove(lead: Float64Array): number | undefined {
    const blocks = Math.floor(lead.length / this.#block)
    for (const [index, table] of this.#tables.entries()) {
      if (this.#amplitude(lead, table, blocks, LOOK_EVERY) < MIN_HUM_MV) continue
      this.#amplitude(lead, table, blocks, 1)
      if (!this.#isSteady(blocks)) continue
      this.#subtract(lead, table, blocks)
      return MAINS_HZ[index]
    }
    return undefined
  }

  /** Computes amplitude and phase of the frequency in every `every`-th block. Returns the median amplitude. */
  #amplitude(
    lead: Float64Array,
    { cos, sin }: { cos: Float64Array; sin: Float64Array },
    blocks: number,
    every: number,
  ): number {
    let count = 0
    for (let block = 0; block < blocks; block += every) {
      const from = block * this.#block
      const end = from + this.#block
      const level = lead[from]!
      let real = 0
      let imaginary = 0
      for (let i = from; i < end; i++) {
        const value = lead[i]! - level
        real += value * cos[i]!
        imaginary += value * sin[i]!
      }
      const scale = 2 / this.#block
      this.#real[block] = real * scale
      this.#imaginary[block] = imaginary * scale
      const size = scale * Math.hypot(real, imaginary)
      if (!Number.isNaN(size)) this.#scratch[count++] = size
    }
    return count === 0 ? 0 : medianInPlace(this.#scratch, count)
  }

  /** Smooths the blocks by medians over one second. Returns whether the blocks agree with the smoothed values. */
  #isSteady(blocks: number): boolean {
    // Mains frequency is never exactly 50 or 60 Hz, so the phase turns by the same angle from block to block.
    let real = 0
    let imaginary = 0
    for (let k = 1; k < blocks; k++) {
      const [a, b, c, d] = [this.#real[k]!, this.#imaginary[k]!, this.#real[k - 1]!, this.#imaginary[k - 1]!]
      const product = a * c + b * d
      if (Number.isNaN(product)) continue
      real += product
      imaginary += b * c - a * d
    }
    const turn = Math.atan2(imaginary, real)
    let count = 0
    const size = new Float64Array(blocks)
    const stray = new Float64Array(blocks)
    for (let k = 0; k < blocks; k++) {
      const x = this.#medianTurned(k, blocks, turn, 'real')
      const y = this.#medianTurned(k, blocks, turn, 'imaginary')
      this.#smoothReal[k] = x
      this.#smoothImaginary[k] = y
      const away = Math.hypot(this.#real[k]! - x, this.#imaginary[k]! - y)
      if (Number.isNaN(away)) continue
      size[count] = Math.hypot(x, y)
      stray[count++] = away
    }
    if (count === 0) return false
    const usual = medianInPlace(size, count)
    return usual >= MIN_HUM_MV && medianInPlace(stray, count) <= MAX_STRAY * usual
  }

  /** Median over neighbouring blocks of one component of the phasor, each rotated to block `k`. */
  #medianTurned(k: number, blocks: number, turn: number, part: 'real' | 'imaginary'): number {
    let count = 0
    for (let j = Math.max(0, k - NEIGHBOURS); j <= Math.min(blocks - 1, k + NEIGHBOURS); j++) {
      const angle = (k - j) * turn
      const [x, y] = [this.#real[j]!, this.#imaginary[j]!]
      const value =
        part === 'real' ? x * Math.cos(angle) - y * Math.sin(angle) : x * Math.sin(angle) + y * Math.cos(angle)
      if (!Number.isNaN(value)) this.#scratch[count++] = value
    }
    return count === 0 ? 0 : medianInPlace(this.#scratch, count)
  }

  /** Subtracts the hum, interpolated linearly between the centres of blocks. */
  #subtract(lead: Float64Array, { cos, sin }: { cos: Float64Array; sin: Float64Array }, blocks: number): void {
    const block = this.#block
    for (let i = 0; i < lead.length; i++) {
      const place = Math.min(blocks - 1, Math.max(0, (i + 0.5) / block - 0.5))
      const left = Math.min(blocks - 1, Math.floor(place))
      const right = Math.min(blocks - 1, left + 1)
      const share = place - left
      const x = this.#smoothReal[left]! + share * (this.#smoothReal[right]! - this.#smoothReal[left]!)
      const y = this.#smoothImaginary[left]! + share * (this.#smoothImaginary[right]! - this.#smoothImaginary[left]!)
      lead[i]! -= x * cos[i]! + y * sin[i]!
    }
  }
}

function waves(hz: number, rateHz: number, samples: number): { cos: Float64Array; sin: Float64Array } {
  const angle = (i: number) => (2 * Math.PI * hz * i) / rateHz
  const [cos, sin] = [new Float64Array(samples), new Float64Array(samples)]
  for (let i = 0; i < samples; i++) {
    cos[i] = Math.cos(angle(i))
    sin[i] = Math.sin(angle(i))
  }
  return { cos, sin }
}
