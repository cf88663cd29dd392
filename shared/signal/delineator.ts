/**
 * Delineation: onset and end of P, QRS and T in the median beat of each lead. Uses slopes and tangents on smoothed differences (Haar
 * wavelets), the method of Laguna 1994 and Martinez 2004 in outline. All leads together first locate a wave; its onset and end are then
 * found in each lead.
 * @module
 */
import type { LeadName } from '../domain/leads.ts'
import type { MedianBeats } from './median-beat.ts'

/** First and last sample of a wave, counted from the start of the beat; may be fractional. */
export interface Wave {
  readonly onset: number
  readonly end: number
}

export interface LeadWaves {
  readonly p?: Wave
  readonly qrs?: Wave
  readonly t?: Wave
}

export interface Delineation {
  readonly leads: ReadonlyMap<LeadName, LeadWaves>
  /** From all leads together: the earliest onset and the latest end that several leads agree on. */
  readonly global: LeadWaves
}

/** Support of the differences on each side, s: short for QRS, one cycle of 50 Hz for P and T. */
const QRS_SLOPE_S = 0.006
const WAVE_SLOPE_S = { p: 0.01, t: 0.02 } as const
/** Half width of the smoothing of P and T, s. */
const WAVE_SMOOTH_S = 0.01

/** Longest distance of a lead's QRS onset and end from those of all leads, s. */
const QRS_SLACK_S = 0.024
/** QRS onset and end of a lead: share of the lead's steepest slope, least slope (mV/s), and duration of low slope that must follow (s). */
const QRS_ONSET_SHARE = 0.035
const QRS_END_SHARE = 0.07
const MIN_QRS_SLOPE = 1
const QRS_CALM_S = 0.008
/** Smallest QRS complex that is delineated in a lead, mV. */
const MIN_QRS_MV = 0.08

/** A P or T wave begins and ends where its slope falls to this share of the steepest: 2.3 standard deviations of a Gaussian. */
const WAVE_SHARE = 0.27
/**
 * The tangent of a wave's steepest flank meets the baseline 2 standard deviations from the peak; the wave's end is farther by this factor.
 */
const BEYOND_TANGENT = 1.15
/** A second phase of opposite polarity belongs to the wave when its height is at least this share of the first. */
const SECOND_PHASE = 0.25
/** Longest distance between the peaks of two phases, s. */
const PHASES_S = { p: 0.06, t: 0.14 } as const

/** Smallest P and T waves of a lead: mV, and standard errors of the median beat. */
const MIN_WAVE_MV = { p: 0.02, t: 0.03 } as const
const MIN_ERRORS = 4

/** Search interval of the T wave, s: from this long after QRS to this long before the next QRS (a P wave in between ends it earlier). */
const T_AFTER_S = 0.05
const T_BEFORE_NEXT_S = 0.06
/** Distance of the P peak before QRS, s. */
const P_PEAK_S = { min: 0.035, max: 0.33 } as const
/** Longest distance from a P wave's ends to its peak, in all leads together, s. */
const P_REACH_S = 0.11
/** Least mean correlation of single beats with the median beat around P. */
const MIN_P_AGREEMENT = 0.4
/** Fewest leads that must show a wave. */
const MIN_LEADS = 3

export function delineate(beats: MedianBeats): Delineation {
  const context = new Context(beats)
  const t = context.findT()
  const p = context.findP(t)
  const leads = new Map<LeadName, LeadWaves>()
  for (const name of beats.leads.keys()) leads.set(name, context.delineateLead(name, p, t))
  return { leads, global: globalWaves([...leads.values()]) }
}

interface Region {
  readonly first: number
  readonly peak: number
  readonly last: number
}

class Context {
  readonly #beats: MedianBeats
  readonly #rms: Float64Array
  readonly #slopes = new Float64Array(1024)
  readonly #heights = new Float64Array(1024)

  constructor(beats: MedianBeats) {
    this.#beats = beats
    this.#rms = smooth(rootMeanSquare(beats), this.#samples(WAVE_SMOOTH_S))
  }

  #samples(seconds: number): number {
    return Math.max(1, Math.round(seconds * this.#beats.rateHz))
  }

  /** T wave of all leads: the highest root mean square after QRS, and the end of its last flank. */
  findT(): Region | undefined {
    const { qrs, origin, rr, length } = this.#beats
    const rms = this.#rms
    const first = qrs.end + this.#samples(T_AFTER_S)
    const last = Math.min(length - 1, origin + rr - (origin - qrs.onset) - this.#samples(T_BEFORE_NEXT_S))
    if (last - first < this.#samples(0.08)) return undefined
    const limit = Math.min(last, first + this.#samples(0.42))
    let peak = first
    for (let i = first; i <= limit; i++) if (rms[i]! > rms[peak]!) peak = i
    // A maximum at the start is the falling ST segment. The T wave is a hill of its own, if there is one.
    const hill = highestHill(rms, first, limit)
    if (hill !== undefined && peak < first + this.#samples(0.02)) peak = hill
    let lowest = peak
    for (let i = peak; i <= last; i++) {
      if (rms[i]! < rms[lowest]!) lowest = i
      // The signal rises again: a U wave, or the next beat's P wave.
      if (rms[i]! > rms[lowest]! + 0.25 * (rms[peak]! - rms[lowest]!) && i > peak + this.#samples(0.08)) break
    }
    if (lowest - peak < this.#samples(0.02)) return undefined
    return { first, peak, last: lowest }
  }

  /** P wave of all leads: a hill before QRS that single beats show too. */
  findP(t: Region | undefined): Region | undefined {
    const { qrs, rr } = this.#beats
    const rms = this.#rms
    const earliest = Math.max(2, qrs.onset - this.#samples(P_PEAK_S.max), t === undefined ? 0 : t.last - rr)
    const latest = qrs.onset - this.#samples(P_PEAK_S.min)
    let found: Region | undefined
    let prominence = 0
    for (let i = earliest + 1; i < latest; i++) {
      if (!(rms[i]! >= rms[i - 1]! && rms[i]! > rms[i + 1]!)) continue
      const reach = this.#samples(P_REACH_S)
      let left = i
      for (let j = i; j >= Math.max(0, i - reach); j--) if (rms[j]! < rms[left]!) left = j
      let right = i
      for (let j = i; j <= Math.min(qrs.onset, i + reach); j++) if (rms[j]! < rms[right]!) right = j
      const height = rms[i]! - Math.max(rms[left]!, rms[right]!)
      if (height > prominence) {
        prominence = height
        found = { first: left, peak: i, last: right }
      }
    }
    if (found === undefined || prominence < MIN_WAVE_MV.p / 2) return undefined
    if (this.#beats.agreement(found.first, found.last) < MIN_P_AGREEMENT) return undefined
    return found
  }

  delineateLead(name: LeadName, p: Region | undefined, t: Region | undefined): LeadWaves {
    const beat = this.#beats.leads.get(name)!
    const { slopeMv, waveMv } = this.#beats.noise.get(name)!
    const qrs = this.#qrs(beat, slopeMv)
    const { qrs: all } = this.#beats
    const tWave = t && this.#wave(beat, { ...t, first: Math.max(t.first, qrs?.end ?? all.end) }, 't', waveMv)
    const before = Math.min(qrs?.onset ?? all.onset, all.onset + this.#samples(0.01)) - this.#samples(WAVE_SMOOTH_S) - 1
    const pWave = p && this.#wave(beat, { ...p, last: Math.min(p.last + this.#samples(0.02), before) }, 'p', waveMv)
    return {
      ...(pWave === undefined ? {} : { p: pWave }),
      ...(qrs === undefined ? {} : { qrs }),
      ...(tWave === undefined ? {} : { t: tWave }),
    }
  }

  #qrs(beat: Float64Array, noiseMv: number): Wave | undefined {
    const { qrs, rateHz } = this.#beats
    const slack = this.#samples(QRS_SLACK_S)
    const first = Math.max(0, qrs.onset - slack)
    const last = Math.min(beat.length - 1, qrs.end + slack)
    let min = 0
    let max = 0
    for (let i = qrs.onset; i <= qrs.end; i++) {
      min = Math.min(min, beat[i]!)
      max = Math.max(max, beat[i]!)
    }
    if (max - min < Math.max(MIN_QRS_MV, MIN_ERRORS * noiseMv)) return undefined
    const half = this.#samples(QRS_SLOPE_S)
    const slopes = this.#slopes
    differences(beat, half, first, last, slopes)
    let steepest = 0
    for (let i = qrs.onset; i <= qrs.end; i++) steepest = Math.max(steepest, Math.abs(slopes[i]!))
    // The difference of two means of `half` samples whose centres are `half` + 1 apart: as a slope per second, and its standard error.
    const perSecond = (half + 1) / rateHz
    const least = Math.max(MIN_QRS_SLOPE * perSecond, 3 * noiseMv * Math.sqrt(2 / half))
    const calm = this.#samples(QRS_CALM_S)
    const onsetLimit = Math.max(least, QRS_ONSET_SHARE * steepest)
    const endLimit = Math.max(least, QRS_END_SHARE * steepest)
    if (steepest < 2 * least) return undefined
    let onset = first
    for (let i = first, above = 0; i <= qrs.end; i++) {
      above = Math.abs(slopes[i]!) > onsetLimit ? above + 1 : 0
      if (above === calm) {
        onset = i - calm + 1
        break
      }
    }
    let end = last
    for (let i = last, above = 0; i >= qrs.onset; i--) {
      above = Math.abs(slopes[i]!) > endLimit ? above + 1 : 0
      if (above === calm) {
        end = i + calm - 1
        break
      }
    }
    return end - onset > this.#samples(0.03) ? { onset, end } : undefined
  }

  /** Finds a P or T wave within a region. */
  #wave(beat: Float64Array, region: Region, kind: 'p' | 't', noiseMv: number): Wave | undefined {
    const { first } = region
    const last = Math.min(region.last, beat.length - 1)
    const half = this.#samples(WAVE_SMOOTH_S)
    if (last - first < 4 * half) return undefined
    const smoothed = smooth(beat, half, first, last)
    const heights = this.#heights
    // The baseline is the line between the two ends of the region.
    const [level, rise] = [smoothed[first]!, smoothed[last]! - smoothed[first]!]
    let main = first
    for (let i = first; i <= last; i++) {
      heights[i] = smoothed[i]! - (level + (rise * (i - first)) / (last - first))
      if (Math.abs(heights[i]!) > Math.abs(heights[main]!)) main = i
    }
    const height = heights[main]!
    if (Math.abs(height) < Math.max(MIN_WAVE_MV[kind], MIN_ERRORS * noiseMv)) return undefined
    // The phase of opposite polarity, before or after.
    let other = main
    const near = this.#samples(PHASES_S[kind])
    for (let i = Math.max(first, main - near); i <= Math.min(last, main + near); i++) {
      if (heights[i]! * Math.sign(height) < heights[other]! * Math.sign(height)) other = i
    }
    const isBiphasic = -heights[other]! * Math.sign(height) > SECOND_PHASE * Math.abs(height)
    const firstPeak = isBiphasic ? Math.min(main, other) : main
    const lastPeak = isBiphasic ? Math.max(main, other) : main
    const slopes = this.#slopes
    const support = this.#samples(WAVE_SLOPE_S[kind])
    differences(beat, support, first, last, slopes)
    const onset = this.#flank(smoothed, slopes, support, firstPeak, first, -1)
    const end = this.#flank(smoothed, slopes, support, lastPeak, last, 1)
    return onset !== undefined && end !== undefined && end - onset > this.#samples(0.03) ? { onset, end } : undefined
  }

  /** End of the flank from `peak` towards `limit`: the mean of the estimates from its slope and from its tangent. */
  #flank(
    smoothed: Float64Array,
    slopes: Float64Array,
    support: number,
    peak: number,
    limit: number,
    direction: 1 | -1,
  ): number | undefined {
    // Only slopes from the peak towards the baseline count; a neighbouring wave's flank has the opposite sign.
    const towards = Math.sign((smoothed[limit]! - smoothed[peak]!) * direction)
    let steepest = peak
    for (let i = peak; i !== limit; i += direction) {
      if (slopes[i]! * towards > Math.max(0, slopes[steepest]! * towards)) steepest = i
    }
    if (steepest === peak) return undefined
    const bySlope = (() => {
      for (let i = steepest; i !== limit; i += direction) {
        if (slopes[i]! * towards < WAVE_SHARE * Math.abs(slopes[steepest]!)) return i
      }
      return limit
    })()
    const perSample = slopes[steepest]! / (support + 1)
    const tangent = steepest + (smoothed[limit]! - smoothed[steepest]!) / perSample
    const byTangent = peak + BEYOND_TANGENT * (tangent - peak)
    const isBeyond = (byTangent - bySlope) * direction > 0
    return isBeyond ? bySlope : (bySlope + byTangent) / 2
  }
}

/**
 * Global onset and end of each wave that enough leads show: a low quantile of the onsets and a high quantile of the ends (for QRS, the
 * second of twelve leads). The quantiles of P are less extreme, because P is small and its outliers are noise.
 */
function globalWaves(leads: readonly LeadWaves[]): LeadWaves {
  const wave = (of: (waves: LeadWaves) => Wave | undefined, early: number, late: number): Wave | undefined => {
    const waves = leads.flatMap((lead) => of(lead) ?? [])
    if (waves.length < Math.min(MIN_LEADS, leads.length)) return undefined
    const onsets = waves.map(({ onset }) => onset).sort((a, b) => a - b)
    const ends = waves.map(({ end }) => end).sort((a, b) => a - b)
    return { onset: quantile(onsets, early), end: quantile(ends, late) }
  }
  const p = wave((lead) => lead.p, 0.2, 0.8)
  const qrs = wave((lead) => lead.qrs, 0.1, 0.9)
  const t = wave((lead) => lead.t, 0.4, 0.6)
  return { ...(p === undefined ? {} : { p }), ...(qrs === undefined ? {} : { qrs }), ...(t === undefined ? {} : { t }) }
}

function quantile(sorted: readonly number[], share: number): number {
  const at = share * (sorted.length - 1)
  const low = Math.floor(at)
  return sorted[low]! + (at - low) * ((sorted[low + 1] ?? sorted[low]!) - sorted[low]!)
}

function rootMeanSquare({ leads, length }: MedianBeats): Float64Array {
  const sum = new Float64Array(length)
  for (const beat of leads.values()) for (let i = 0; i < length; i++) sum[i]! += beat[i]! * beat[i]!
  return sum.map((value) => Math.sqrt(value / leads.size))
}

function highestHill(values: Float64Array, first: number, last: number): number | undefined {
  let best: number | undefined
  for (let i = first + 1; i < last; i++) {
    if (
      values[i]! >= values[i - 1]! &&
      values[i]! > values[i + 1]! &&
      (best === undefined || values[i]! > values[best]!)
    )
      best = i
  }
  return best
}

/** Mean over 2·half + 1 samples, from `first` to `last`. Beyond the ends the nearest sample is repeated. */
function smooth(values: Float64Array, half: number, first = 0, last = values.length - 1): Float64Array {
  const output = new Float64Array(values.length)
  const at = (i: number) => values[i < 0 ? 0 : i >= values.length ? values.length - 1 : i]!
  let sum = 0
  for (let j = first - half; j <= first + half; j++) sum += at(j)
  for (let i = first; i <= last; i++) {
    output[i] = sum / (2 * half + 1)
    sum += at(i + half + 1) - at(i - half)
  }
  return output
}

/** Mean of the `half` samples after each sample, minus the mean of those before it. */
function differences(values: Float64Array, half: number, first: number, last: number, output: Float64Array): void {
  const extended = new Float64Array(values.length + 2 * half)
  extended.fill(values[0]!, 0, half)
  extended.set(values, half)
  extended.fill(values.at(-1)!, values.length + half)
  output.fill(0, first, last + 1)
  // Each value is the same sum as in a loop over j within one over i, but needs not wait for its previous addition.
  for (let j = 1; j <= half; j++) {
    for (let i = first; i <= last; i++) output[i] = output[i]! + (extended[i + half + j]! - extended[i + half - j]!)
  }
  for (let i = first; i <= last; i++) output[i] = output[i]! / half
}
