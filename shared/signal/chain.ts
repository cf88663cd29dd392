/**
 * Profile `cardiacnets-v1` for one lead: baseline, wavelet denoising, smoothing, min-max to [−1, 1]. The reference is
 * `models/training/src/cardiacnets/reference/obvious.py`; parity is tested stage by stage.
 * @module
 */
import { CLEAN_STEPS } from '../waveform/clean-codec.ts'
import { removeTrend } from './baseline.ts'
import type { SignalProfile } from './profile.ts'
import { smooth, WINDOW } from './savitzky-golay.ts'
import { WaveletDenoiser } from './wavelet-denoiser.ts'

/** A lead with a smaller range is flat, mV: what is left of it is rounding. */
const FLAT_RANGE_MV = 1e-6

/** Minimum and maximum of a lead before min-max scaling, mV. Scaling removes this information. */
export interface Amplitude {
  readonly min: number
  readonly max: number
}

/** Runs the profile. Owns its buffers (no allocation per window), so one instance serves one thread. */
export class SignalChain {
  readonly profile: SignalProfile
  readonly #denoiser: WaveletDenoiser
  readonly #signal: Float64Array
  readonly #smoothed: Float64Array
  readonly #amplitude = { min: 0, max: 0 }

  constructor(profile: SignalProfile) {
    // The hot loops support one wavelet and one window; another profile needs its own implementation.
    if (profile.wavelet.name !== 'db6' || profile.wavelet.mode !== 'symmetric') throw new Error('wavelet not supported')
    if (profile.savitzkyGolay.window !== WINDOW || profile.savitzkyGolay.order !== 3)
      throw new Error('window not supported')
    this.profile = profile
    this.#denoiser = new WaveletDenoiser(profile)
    this.#signal = this.#denoiser.signal
    this.#smoothed = new Float64Array(profile.samples)
  }

  /**
   * @param input [samples], mV at the profile's rate, no NaN
   * @param period samples of one mean RR interval (`seasonalPeriod`)
   * @param output [samples] in [−1, 1]; zeros for a flat lead. May be `input`.
   * @returns the lead's amplitude; the object is reused by the next call
   */
  run(input: Float64Array, period: number, output: Float64Array): Amplitude {
    removeTrend(input, period, this.#signal)
    this.#denoise()
    const smoothed = this.#smoothed
    const { min, max } = this.#amplitude
    if (max - min <= FLAT_RANGE_MV) {
      output.fill(0)
    } else {
      const factor = 2 / (max - min)
      for (let i = 0; i < smoothed.length; i++) output[i] = (smoothed[i]! - min) * factor - 1
    }
    return this.#amplitude
  }

  /**
   * Runs what follows the baseline removal, and rounds the values in [−1, 1] to `CLEAN_STEPS`. They are shifted to be positive, so that
   * truncation rounds; three times faster than Math.round here.
   * @param flat [samples], a lead without its trend (`removeTrend`), mV
   * @param codes receives [samples] from index `at` on; zeros for a flat lead
   * @returns as `run`
   */
  encode(flat: Float64Array, codes: Int16Array, at: number): Amplitude {
    this.#signal.set(flat)
    this.#denoise()
    const smoothed = this.#smoothed
    const { min, max } = this.#amplitude
    if (max - min <= FLAT_RANGE_MV) {
      codes.fill(0, at, at + smoothed.length)
    } else {
      const factor = 2 / (max - min)
      for (let i = 0; i < smoothed.length; i++) {
        const value = (smoothed[i]! - min) * factor - 1
        codes[at + i] = ((value * CLEAN_STEPS + CLEAN_STEPS + 0.5) | 0) - CLEAN_STEPS
      }
    }
    return this.#amplitude
  }

  /** `signal`, denoised and smoothed, into `smoothed`; its extremes into `amplitude`. */
  #denoise(): void {
    this.#denoiser.run()
    smooth(this.#signal, this.#smoothed, this.#amplitude)
  }
}
