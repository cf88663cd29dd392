/**
 * R peaks and heart rate by two moving averages over the energy of the QRS band (M. Elgendi, PLoS ONE 8(9):e73557, 2013), here over the
 * summed energy of one or several leads.
 * @module
 */
import type { LeadName } from '../domain/leads.ts'
import { BandPass } from './band-pass.ts'
import { medianInPlace } from './median.ts'

/** Elgendi 2013: the band of the QRS complex, the durations of a complex and of a beat, and the offset in mean energies. */
const QRS_BAND_HZ = { low: 8, high: 20 } as const
const QRS_S = 0.097
const BEAT_S = 0.611
const OFFSET = 0.08

/** The band needs no higher rate. Faster signals are averaged down to between this rate and twice this rate. */
const WORKING_RATE_HZ = 200

/** Two ventricular beats are never closer than the ventricle's refractory period. */
const REFRACTORY_S = 0.2

/** Energy, as a share of the median beat's, below which a peak is a T wave, a P wave or noise. */
const MIN_ENERGY = 0.06

/**
 * The R wave is at the first peak of the complex's energy that reaches this share of the highest one (in wide complexes, paced or
 * ventricular, the S wave is the highest), and there at the largest deflection within this time, because the band-pass rings that far
 * ahead. Measured on LUDB: 0.15 to 0.3 and 20 to 30 ms work equally well.
 */
const R_SHARE = 0.2
const R_SEARCH_S = 0.03

/** Finds R peaks. Owns its buffers, so one instance serves one thread. */
export class RPeakDetector {
  readonly #decimation: number
  readonly #bandPass: BandPass
  readonly #qrsHalf: number
  readonly #beatHalf: number
  readonly #minWidth: number
  readonly #refractory: number
  readonly #search: number
  /** The first lead at the working rate, on which R waves are located. */
  #placed = new Float64Array(0)
  #filtered = new Float64Array(0)
  #energy = new Float64Array(0)
  #peaks = new Int32Array(0)
  #strengths = new Float64Array(0)
  #scratch = new Float64Array(0)

  /** @param rateHz rate of the leads, at least 100 */
  constructor(rateHz: number) {
    this.#decimation = Math.max(1, Math.floor(rateHz / WORKING_RATE_HZ))
    const workingHz = rateHz / this.#decimation
    this.#bandPass = new BandPass(QRS_BAND_HZ.low, QRS_BAND_HZ.high, workingHz)
    this.#qrsHalf = Math.round((QRS_S * workingHz) / 2)
    this.#beatHalf = Math.round((BEAT_S * workingHz) / 2)
    this.#minWidth = QRS_S * workingHz
    this.#refractory = REFRACTORY_S * workingHz
    this.#search = Math.round(R_SEARCH_S * workingHz)
  }

  /**
   * Finds R peaks that several leads show at the same time.
   * @param leads each [n], mV at the detector's rate, no NaN; R waves are located on the first
   * @returns sample indices, ascending; a view that the next call overwrites
   */
  detect(leads: readonly Float64Array[]): Int32Array {
    const n = Math.floor((leads[0]?.length ?? 0) / this.#decimation)
    this.#grow(n)
    this.#energy.fill(0, 0, n)
    for (const [index, lead] of leads.entries()) {
      this.#decimate(lead, n)
      if (index === 0) this.#placed.set(this.#filtered.subarray(0, n))
      this.#addEnergy(n)
    }
    const found = this.#findComplexes(n, OFFSET * leads.length)
    const kept = this.#dropWeak(found)
    for (let i = 0; i < kept; i++) {
      this.#peaks[i] = Math.round((this.#peaks[i]! + 0.5) * this.#decimation - 0.5)
    }
    return this.#peaks.subarray(0, kept)
  }

  #grow(n: number): void {
    if (n <= this.#energy.length) return
    this.#filtered = new Float64Array(n)
    this.#placed = new Float64Array(n)
    this.#energy = new Float64Array(n)
    const beats = Math.ceil(n / this.#refractory) + 1
    this.#peaks = new Int32Array(beats)
    this.#strengths = new Float64Array(beats)
    this.#scratch = new Float64Array(beats)
  }

  #decimate(lead: Float64Array, n: number): void {
    const decimation = this.#decimation
    for (let i = 0, at = 0; i < n; i++) {
      let sum = 0
      for (let j = 0; j < decimation; j++) sum += lead[at++]!
      this.#filtered[i] = sum / decimation
    }
  }

  /** Adds a lead's energy in the QRS band, in units of its mean. A noisy lead has no peaks and therefore little influence. */
  #addEnergy(n: number): void {
    const filtered = this.#filtered
    const energy = this.#energy
    this.#bandPass.runZeroPhase(filtered, n)
    let total = 0
    for (let i = 0; i < n; i++) {
      const value = filtered[i]!
      total += value * value
    }
    if (total === 0) return
    const factor = n / total
    for (let i = 0; i < n; i++) {
      const value = filtered[i]!
      energy[i] = energy[i]! + value * value * factor
    }
  }

  /** Finds stretches where the energy over a QRS exceeds that over a beat, each with its R wave. Returns their number. */
  #findComplexes(n: number, offset: number): number {
    const energy = this.#energy
    const qrsHalf = this.#qrsHalf
    const beatHalf = this.#beatHalf
    let qrsSum = 0
    let beatSum = 0
    for (let i = 0; i < Math.min(qrsHalf, n); i++) qrsSum += energy[i]!
    for (let i = 0; i < Math.min(beatHalf, n); i++) beatSum += energy[i]!
    let count = 0
    let start = -1
    let strength = 0
    for (let i = 0; i <= n; i++) {
      let inside = false
      if (i < n) {
        if (i + qrsHalf < n) qrsSum += energy[i + qrsHalf]!
        if (i - qrsHalf > 0) qrsSum -= energy[i - qrsHalf - 1]!
        if (i + beatHalf < n) beatSum += energy[i + beatHalf]!
        if (i - beatHalf > 0) beatSum -= energy[i - beatHalf - 1]!
        const qrsMean = qrsSum / (Math.min(i + qrsHalf, n - 1) - Math.max(i - qrsHalf, 0) + 1)
        const beatMean = beatSum / (Math.min(i + beatHalf, n - 1) - Math.max(i - beatHalf, 0) + 1)
        inside = qrsMean > beatMean + offset
        if (inside) {
          if (start < 0) {
            start = i
            strength = 0
          }
          strength = Math.max(strength, qrsMean)
        }
      }
      if (inside || start < 0) continue
      if (i - start >= this.#minWidth) count = this.#addPeak(count, this.#rWave(start, i, n), strength)
      start = -1
    }
    return count
  }

  #addPeak(count: number, peak: number, strength: number): number {
    const last = count - 1
    if (count > 0 && peak - this.#peaks[last]! < this.#refractory) {
      // Two peaks within the refractory period: the weaker one is not a beat.
      if (strength > this.#strengths[last]!) {
        this.#peaks[last] = peak
        this.#strengths[last] = strength
      }
      return count
    }
    this.#peaks[count] = peak
    this.#strengths[count] = strength
    return count + 1
  }

  #rWave(start: number, end: number, n: number): number {
    const rise = this.#firstRise(start, end, n)
    const signal = this.#placed
    const base = (signal[start]! + signal[end - 1]!) / 2
    let r = rise
    for (let i = Math.max(0, rise - this.#search); i <= Math.min(n - 1, rise + this.#search); i++) {
      if (Math.abs(signal[i]! - base) > Math.abs(signal[r]! - base)) r = i
    }
    return r
  }

  /** The first maximum of the energy that reaches its share of the highest. */
  #firstRise(start: number, end: number, n: number): number {
    const energy = this.#energy
    let highest = start
    for (let i = start + 1; i < end; i++) if (energy[i]! > energy[highest]!) highest = i
    const share = R_SHARE * energy[highest]!
    for (let i = start; i < highest; i++) {
      const value = energy[i]!
      if (value >= share && (i === 0 || value >= energy[i - 1]!) && (i === n - 1 || value >= energy[i + 1]!)) return i
    }
    return highest
  }

  #dropWeak(count: number): number {
    if (count === 0) return 0
    for (let i = 0; i < count; i++) this.#scratch[i] = this.#strengths[i]!
    const least = MIN_ENERGY * medianInPlace(this.#scratch, count)
    let kept = 0
    for (let i = 0; i < count; i++) if (this.#strengths[i]! >= least) this.#peaks[kept++] = this.#peaks[i]!
    return kept
  }
}

/** Leads by how well they show the rhythm, measured on LUDB: II with V5 misses no beat and invents none. */
const RHYTHM_LEADS: readonly LeadName[] = ['II', 'V5', 'V4', 'V6', 'I', 'aVF', 'V3', 'aVR', 'V2', 'III', 'aVL', 'V1']

/** Number of leads that are used: more take time and find no more. */
const HEARD_LEADS = 2

/**
 * R peaks of a window, from the best of its leads.
 * @param leads acceptable leads, [n] each, mV at the detector's rate, no NaN
 * @returns sample indices, ascending; empty without a lead. A view that the detector's next call overwrites
 */
export function windowPeaks(detector: RPeakDetector, leads: ReadonlyMap<LeadName, Float64Array>): Int32Array {
  return detector.detect(RHYTHM_LEADS.flatMap((name) => leads.get(name) ?? []).slice(0, HEARD_LEADS))
}

/** Largest coefficient of variation of the RR intervals of a regular rhythm. */
const EVEN = 0.1

/** Fewest beats with which one of them can be called false. */
const MIN_REPAIRED_BEATS = 5

/**
 * Heart rate from the mean RR interval, as the profile's seasonal period needs it. One false or one missed beat is corrected when that
 * alone makes the rhythm regular; a rhythm that stays irregular (atrial fibrillation, bigeminy) is used as it is.
 * @param peaks ascending sample indices
 * @returns beats per minute; `undefined` with fewer than two peaks
 */
export function heartRateBpm(peaks: ArrayLike<number>, rateHz: number): number | undefined {
  if (peaks.length < 2) return undefined
  const beats = repairRhythm(Array.from(peaks))
  return (60 * rateHz * (beats.length - 1)) / (beats.at(-1)! - beats[0]!)
}

function repairRhythm(beats: readonly number[]): readonly number[] {
  if (beats.length < MIN_REPAIRED_BEATS || unevenness(beats) <= EVEN) return beats
  const repairs = [...beats.map((_, index) => beats.toSpliced(index, 1)), withMissedBeat(beats)]
  return repairs.find((repair) => unevenness(repair) <= EVEN) ?? beats
}

/** Adds a beat in the middle of the longest pause. */
function withMissedBeat(beats: readonly number[]): number[] {
  const intervals = rrIntervals(beats)
  const longest = intervals.indexOf(Math.max(...intervals))
  return beats.toSpliced(longest + 1, 0, beats[longest]! + intervals[longest]! / 2)
}

/** Coefficient of variation of the RR intervals. */
function unevenness(beats: readonly number[]): number {
  const intervals = rrIntervals(beats)
  const mean = intervals.reduce((sum, interval) => sum + interval, 0) / intervals.length
  const square = intervals.reduce((sum, interval) => sum + (interval - mean) ** 2, 0) / intervals.length
  return Math.sqrt(square) / mean
}

const rrIntervals = (beats: readonly number[]) => beats.slice(1).map((beat, index) => beat - beats[index]!)
