/**
 * Measures of a lead for the quality gate. All except `fastMv` are computed below 50 Hz, at about 100 samples per second whatever the
 * source's rate, so that the same ECG gets the same verdict at 100 and at 500 Hz.
 * @module
 */
import { BandPass } from './band-pass.ts'
import { bridgeGaps } from './gaps.ts'
import { medianInPlace } from './median.ts'

export interface LeadMeasures {
  /** Longest run of missing samples, and share of missing samples. */
  longestGapS: number
  missingShare: number
  /** Range of the samples, in mV and in the smallest steps that occur in the lead. */
  rangeMv: number
  levels: number
  /** Longest time without a change. */
  longestHoldS: number
  /** Share of samples at the highest or lowest value, in runs with a steep side. */
  railShare: number
  /** Range of the baseline (mean over one second). */
  wanderMv: number
  /** Range of the residual baseline (means over 0.4 s) after the baseline is removed, as in the chain: steps remain, slow waves do not. */
  leftMv: number
  /** Height of the complexes in the QRS band: the median of the peaks of each fifth of the window. */
  qrsMv: number
  /** Median magnitude in the QRS band, which is mostly the level between complexes. */
  qrsFloorMv: number
  /** Median magnitude from 25 to 40 Hz: noise, with little contribution of the complexes. */
  noiseMv: number
  /** Median deviation within a hundredth of a second: mains and muscle noise above 50 Hz. Zero below 200 Hz, where there is none. */
  fastMv: number
  /** Median deviation from the baseline: how far the lead swings between complexes. */
  swingMv: number
}

/** The filters need frequencies up to 40 Hz. Leads of a higher rate are averaged down to between this rate and twice this rate. */
const WORKING_RATE_HZ = 100

const QRS_BAND_HZ = { low: 5, high: 20 } as const
const NOISE_BAND_HZ = { low: 25, high: 40 } as const

/** Half length of the mean that is the baseline. */
const BASELINE_HALF_S = 0.5

/** Length of the means of the residual baseline; longer than a T wave. */
const LEFT_S = 0.4

/** Number of parts of a window, so that one bad moment does not decide for all of it. */
const PARTS = 5

/** Neighbouring values are similar: every third value gives the same median in a third of the time. */
const MEDIAN_STRIDE = 3

/** Least slope at which a clipped wave reaches the rail, ranges per second; an isoelectric line is reached less steeply. */
const RAIL_SLOPE = 3

/** RR intervals of a regular tachycardia, s. */
const REPEAT_S = { min: 0.2, max: 0.6 } as const

/** Measures leads of one rate and length. Owns its buffers, so one instance serves one thread. */
export class LeadMeasurer {
  readonly #rateHz: number
  readonly #decimation: number
  readonly #workingHz: number
  readonly #qrsBand: BandPass
  readonly #noiseBand: BandPass
  readonly #slow: Float64Array
  readonly #filtered: Float64Array
  readonly #magnitude: Float64Array
  readonly #partPeaks = new Float64Array(PARTS)
  readonly #measures: LeadMeasures = {
    longestGapS: 0,
    missingShare: 0,
    rangeMv: 0,
    levels: 0,
    longestHoldS: 0,
    railShare: 0,
    wanderMv: 0,
    leftMv: 0,
    qrsMv: 0,
    qrsFloorMv: 0,
    noiseMv: 0,
    fastMv: 0,
    swingMv: 0,
  }

  /** @param samples length of a lead, at least one second */
  constructor(rateHz: number, samples: number) {
    this.#rateHz = rateHz
    this.#decimation = Math.max(1, Math.floor(rateHz / WORKING_RATE_HZ))
    this.#workingHz = rateHz / this.#decimation
    this.#qrsBand = new BandPass(QRS_BAND_HZ.low, QRS_BAND_HZ.high, this.#workingHz)
    this.#noiseBand = new BandPass(NOISE_BAND_HZ.low, NOISE_BAND_HZ.high, this.#workingHz)
    const working = Math.floor(samples / this.#decimation)
    this.#slow = new Float64Array(working)
    this.#filtered = new Float64Array(working)
    this.#magnitude = new Float64Array(working)
  }

  /**
   * Measures one lead.
   * @param lead [samples], mV, NaN where a sample is missing
   * @param stepMv step of the converter, mV
   * @returns an object that the next call overwrites
   */
  measure(lead: Float64Array, stepMv: number): LeadMeasures {
    const measures = this.#measures
    this.#scan(lead, stepMv / 2)
    this.#qrsBand.runDelayed(this.#slow, this.#filtered)
    measures.qrsMv = this.#medianPartPeak(this.#filtered)
    measures.qrsFloorMv = this.#medianMagnitude(this.#filtered)
    this.#noiseBand.runDelayed(this.#slow, this.#filtered)
    measures.noiseMv = this.#medianMagnitude(this.#filtered)
    measures.wanderMv = this.#takeOffBaseline()
    measures.leftMv = this.#leftOfBaseline()
    measures.swingMv = this.#medianMagnitude(this.#slow)
    return measures
  }

  /**
   * Highest autocorrelation of the last measured lead at a lag of one beat, at most 1. A tachycardia without a pause between complexes
   * repeats itself; movement of an electrode does not. Slow, so it is computed for few leads.
   */
  repetition(): number {
    const signal = this.#slow
    let best = 0
    const last = Math.min(Math.floor(REPEAT_S.max * this.#workingHz), signal.length - 1)
    for (let lag = Math.ceil(REPEAT_S.min * this.#workingHz); lag <= last; lag++) {
      let product = 0
      let now = 0
      let later = 0
      for (let i = lag; i < signal.length; i++) {
        const a = signal[i - lag]!
        const b = signal[i]!
        product += a * b
        now += a * a
        later += b * b
      }
      if (product > best * Math.sqrt(now * later)) best = product / Math.sqrt(now * later)
    }
    return best
  }

  /** Computes block means into `slow` and the measures of single samples: the only pass at the source's rate, half of the gate's time. */
  #scan(lead: Float64Array, tolerance: number): void {
    const slow = this.#slow
    const decimation = this.#decimation
    let min = Number.POSITIVE_INFINITY
    let max = Number.NEGATIVE_INFINITY
    let gaps = 0
    for (let block = 0, at = 0; block < slow.length; block++) {
      let sum = 0
      for (let j = 0; j < decimation; j++) {
        const value = lead[at++]!
        sum += value
        if (value < min) min = value
        if (value > max) max = value
      }
      slow[block] = sum / decimation
      if (Number.isNaN(sum)) gaps++
    }
    const measures = this.#measures
    measures.rangeMv = max > min ? max - min : 0
    measures.railShare = railSamples(lead, min, max, tolerance, (RAIL_SLOPE * (max - min)) / this.#rateHz) / lead.length
    this.#scanGaps(lead, gaps > 0)
    this.#scanChanges(lead, tolerance)
  }

  #scanGaps(lead: Float64Array, hasGaps: boolean): void {
    const measures = this.#measures
    measures.missingShare = 0
    measures.longestGapS = 0
    if (!hasGaps) return
    let missing = 0
    let gap = 0
    let longestGap = 0
    for (let i = 0; i < lead.length; i++) {
      gap = Number.isNaN(lead[i]!) ? gap + 1 : 0
      if (gap > 0) missing++
      if (gap > longestGap) longestGap = gap
    }
    measures.missingShare = missing / lead.length
    measures.longestGapS = longestGap / this.#rateHz
    // Blocks with a missing sample are interpolated whatever their number, because a long gap refuses the lead anyway.
    if (bridgeGaps(this.#slow, this.#slow.length).open > 0) this.#slow.fill(0)
  }

  /** Measures of neighbouring samples, in every third block, and of neighbouring blocks. */
  #scanChanges(lead: Float64Array, tolerance: number): void {
    const slow = this.#slow
    const decimation = this.#decimation
    const deviations = this.#magnitude
    let count = 0
    let smallestStep = Number.POSITIVE_INFINITY
    for (let block = 1; block < slow.length; block += MEDIAN_STRIDE) {
      const mean = slow[block]!
      let deviation = 0
      const end = (block + 1) * decimation
      for (let i = block * decimation; i < end; i++) {
        deviation += Math.abs(lead[i]! - mean)
        const change = Math.abs(lead[i]! - lead[i - 1]!)
        if (change < smallestStep && change >= tolerance) smallestStep = change
      }
      deviations[count++] = Number.isNaN(deviation) ? 0 : deviation / decimation
    }
    let hold = 0
    let longestHold = 0
    for (let block = 1; block < slow.length; block++) {
      hold = Math.abs(slow[block]! - slow[block - 1]!) < tolerance / decimation ? hold + 1 : 0
      if (hold > longestHold) longestHold = hold
    }
    const measures = this.#measures
    measures.fastMv = medianInPlace(deviations, count)
    measures.levels = smallestStep < Number.POSITIVE_INFINITY ? measures.rangeMv / smallestStep : 0
    measures.longestHoldS = longestHold / this.#workingHz
  }

  #medianMagnitude(signal: Float64Array): number {
    const magnitude = this.#magnitude
    let count = 0
    for (let i = 0; i < signal.length; i += MEDIAN_STRIDE) magnitude[count++] = Math.abs(signal[i]!)
    return medianInPlace(magnitude, count)
  }

  #medianPartPeak(signal: Float64Array): number {
    const length = Math.floor(signal.length / PARTS)
    for (let part = 0; part < PARTS; part++) {
      let peak = 0
      for (let i = part * length; i < (part + 1) * length; i++) {
        const magnitude = Math.abs(signal[i]!)
        if (magnitude > peak) peak = magnitude
      }
      this.#partPeaks[part] = peak
    }
    return medianInPlace(this.#partPeaks, PARTS)
  }

  /** Subtracts the moving mean from `slow`. Returns the mean's range. */
  #takeOffBaseline(): number {
    const slow = this.#slow
    const n = slow.length
    const half = Math.min(Math.round(BASELINE_HALF_S * this.#workingHz), n - 1)
    const original = this.#filtered
    original.set(slow)
    let sum = 0
    for (let i = 0; i < half; i++) sum += original[i]!
    let count = half
    let min = Number.POSITIVE_INFINITY
    let max = Number.NEGATIVE_INFINITY
    for (let i = 0; i < n; i++) {
      if (i + half < n) {
        sum += original[i + half]!
        count++
      }
      if (i - half > 0) {
        sum -= original[i - half - 1]!
        count--
      }
      const baseline = sum / count
      if (baseline < min) min = baseline
      if (baseline > max) max = baseline
      slow[i] = original[i]! - baseline
    }
    return max - min
  }

  #leftOfBaseline(): number {
    const slow = this.#slow
    const length = Math.min(slow.length, Math.round(LEFT_S * this.#workingHz))
    let sum = 0
    for (let i = 0; i < length; i++) sum += slow[i]!
    let min = sum
    let max = sum
    for (let i = length; i < slow.length; i++) {
      sum += slow[i]! - slow[i - length]!
      if (sum < min) min = sum
      if (sum > max) max = sum
    }
    return (max - min) / length
  }
}

/** Counts samples at either extreme, in runs of at least two with a steep side. Such a run always includes an even sample. */
function railSamples(lead: Float64Array, min: number, max: number, tolerance: number, steep: number): number {
  const top = max - tolerance
  const bottom = min + tolerance
  let samples = 0
  for (let i = 0; i < lead.length; i += 2) {
    const value = lead[i]!
    if (!(value >= top || value <= bottom)) continue
    let first = i
    if (i > 0 && Math.abs(lead[i - 1]! - value) <= tolerance) first--
    while (i + 1 < lead.length && Math.abs(lead[i + 1]! - value) <= tolerance) i++
    const run = i - first + 1
    const enters = first > 0 ? Math.abs(value - lead[first - 1]!) : 0
    const leaves = i + 1 < lead.length ? Math.abs(value - lead[i + 1]!) : 0
    if (run > 1 && (enters >= steep || leaves >= steep)) samples += run
  }
  return samples
}
