/**
 * Resampling to the profile's rate with a windowed-sinc (Kaiser) filter bank: the filter of SciPy's `resample_poly` with its defaults. Two
 * differences: each phase sums to one, so an offset has no ripple, and the nearest sample is repeated at the ends, so an offset makes no
 * edge.
 * @module
 */

/** Zero crossings of the sinc on each side, and shape of the window: SciPy's defaults. */
const HALF_CROSSINGS = 10
const KAISER_BETA = 5

/** Resamples leads of one source rate. Owns its filter bank. */
export class Resampler {
  readonly #step: number
  readonly #halfTaps: number
  /** One row of 2·halfTaps weights per phase. */
  readonly #bank: Float64Array
  readonly #phases: number

  /** Both rates must be above 0. For a lower target rate the filter cuts off at the target's Nyquist frequency. */
  constructor(sourceRateHz: number, targetRateHz: number) {
    this.#step = sourceRateHz / targetRateHz
    const stretch = Math.max(1, this.#step)
    this.#halfTaps = Math.ceil(HALF_CROSSINGS * stretch)
    this.#phases = phaseCount(sourceRateHz, targetRateHz)
    this.#bank = filterBank(this.#phases, this.#step, stretch, this.#halfTaps)
  }

  /** Both rates are the same. */
  get keepsRate(): boolean {
    return this.#step === 1
  }

  /**
   * Resamples one lead.
   * @param input [n] at the source rate, no NaN
   * @param output [m] at the target rate; both start at the same instant
   */
  run(input: Float64Array, output: Float64Array): void {
    if (this.keepsRate) {
      output.set(input.length > output.length ? input.subarray(0, output.length) : input)
      output.fill(input.at(-1)!, input.length)
      return
    }
    const taps = 2 * this.#halfTaps
    const last = input.length - 1
    for (let i = 0; i < output.length; i++) {
      const row = (i % this.#phases) * taps
      const first = Math.floor(i * this.#step + 1e-9) - this.#halfTaps + 1
      let sum = 0
      if (first >= 0 && first + taps <= input.length) {
        for (let j = 0; j < taps; j++) sum += this.#bank[row + j]! * input[first + j]!
      } else {
        for (let j = 0; j < taps; j++) {
          sum += this.#bank[row + j]! * input[Math.min(Math.max(first + j, 0), last)]!
        }
      }
      output[i] = sum
    }
  }
}

/** Number of output samples after which the position between two input samples repeats. Rates are rounded to a hundredth of a hertz. */
function phaseCount(sourceRateHz: number, targetRateHz: number): number {
  const source = Math.round(sourceRateHz * 100)
  const target = Math.round(targetRateHz * 100)
  return target / gcd(source, target)
}

function filterBank(phases: number, step: number, stretch: number, halfTaps: number): Float64Array {
  const taps = 2 * halfTaps
  const bank = new Float64Array(phases * taps)
  for (let phase = 0; phase < phases; phase++) {
    const position = phase * step
    const fraction = position - Math.floor(position + 1e-9)
    const row = bank.subarray(phase * taps, (phase + 1) * taps)
    let sum = 0
    for (let j = 0; j < taps; j++) {
      const crossings = (fraction + halfTaps - 1 - j) / stretch
      row[j] = Math.abs(crossings) <= HALF_CROSSINGS ? sinc(crossings) * kaiser(crossings / HALF_CROSSINGS) : 0
      sum += row[j]!
    }
    for (let j = 0; j < taps; j++) row[j]! /= sum
  }
  return bank
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b))

const sinc = (x: number) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x))

/** Kaiser window at x in [−1, 1], not normalised, because each row of the bank is. */
const kaiser = (x: number) => besselI0(KAISER_BETA * Math.sqrt(Math.max(0, 1 - x * x)))

/** Modified Bessel function of the first kind, order zero, by its power series. */
function besselI0(x: number): number {
  let term = 1
  let sum = 1
  for (let k = 1; term > 1e-17 * sum; k++) {
    term *= (x / (2 * k)) ** 2
    sum += term
  }
  return sum
}
