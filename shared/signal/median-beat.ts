/**
 * The median beat: the beats of a window that look alike, laid over each other and reduced to the median of each sample. What differs from
 * beat to beat (noise, hum, breathing, fibrillating atria) mostly goes; what each beat repeats stays.
 * @module
 */
import type { LeadName } from '../domain/leads.ts'
import { medianInPlace, medianOfFew } from './median.ts'

/** Standard errors of a sample of a median beat, mV: a slow baseline is in none, a hum in that of slopes more than in that of waves. */
export interface BeatNoise {
  /** Of two samples so far apart as QRS' slopes are measured over. */
  readonly slopeMv: number
  /** Of two samples half a P wave apart. */
  readonly waveMv: number
}

export interface MedianBeats {
  readonly rateHz: number
  /** Index, in each beat, of the place that all beats were aligned at; it lies within the QRS complex. */
  readonly origin: number
  /** Samples of a beat. */
  readonly length: number
  /** Places of the averaged beats in the window, ascending. */
  readonly beats: readonly number[]
  /** Beats of the window, whatever they look like. */
  readonly beatCount: number
  /** Median RR interval, samples. */
  readonly rr: number
  /** First and last sample of the QRS complex as all leads together show it. */
  readonly qrs: { readonly onset: number; readonly end: number }
  /** [length] of each lead, mV above the level right before QRS; the next call overwrites it. */
  readonly leads: ReadonlyMap<LeadName, Float64Array>
  readonly noise: ReadonlyMap<LeadName, BeatNoise>
  /** Mean correlation of the single beats with the median beat over a stretch before the QRS complex (see `agreement`). */
  agreement(first: number, last: number): number
}

/** Half of the derivative's support, s: the sum of this much after a sample less that before it (a Haar wavelet). */
const SLOPE_S = 0.006

/** How far a beat is shifted to fit the others, and how much of it is compared, s before and after the R peak. */
const SHIFT_S = 0.05
const COMPARED_S = { before: 0.08, after: 0.12 } as const

/** Beats that correlate so in the QRS complex of all leads are of one kind. */
const ALIKE = 0.9

/** With fewer beats of a kind there is no median to speak of. */
const MIN_BEATS = 3

/** Share of the RR interval that belongs before and after QRS, and its limits, s. */
const BEFORE = { share: 0.42, minS: 0.22, maxS: 0.42 } as const
const AFTER = { share: 0.7, minS: 0.3, maxS: 0.68 } as const

/** QRS begins where the slope of all leads rises above its rest by this share of its peak, and ends where it falls below another. */
const ONSET_SHARE = 0.05
const END_SHARE = 0.07
/** For so long the slope must stay below the limit, s. */
const CALM_S = 0.012
/** No complex reaches further from its place of alignment, s. */
const MAX_QRS_S = 0.14

/** The level before QRS is the mean of this long, ending this long before its onset, s. */
const LEVEL_S = 0.016
const LEVEL_GAP_S = 0.004

/** Around QRS each sample has its median, so far on either side, s. */
const NEAR_QRS_S = 0.03

/** Every so many samples are looked at where beats are compared. */
const STRIDE = 4

/** Noise is measured between samples so far apart, s. */
const SLOPE_LAG_S = 0.008
const WAVE_LAG_S = 0.04

/** Standard error of a median over that of a mean, and the standard deviation over the median magnitude. */
const MEDIAN_ERROR = 1.25
const OF_MEDIAN_MAGNITUDE = 1.48

type Leads = ReadonlyMap<LeadName, Float64Array>

/** Averages windows of one rate and length; owns its buffers, so one instance serves one thread. */
export class BeatAverager {
  readonly #rateHz: number
  readonly #slope: Float64Array
  readonly #level: Float64Array
  readonly #column: Float64Array
  readonly #magnitudes = new Float64Array(2048)
  readonly #medians = new Map<LeadName, Float64Array>()
  readonly #flat: Float64Array

  /** @param samples a lead's samples */
  constructor(rateHz: number, samples: number) {
    this.#rateHz = rateHz
    this.#slope = new Float64Array(samples)
    this.#flat = new Float64Array(samples)
    this.#level = new Float64Array(512)
    this.#column = new Float64Array(512)
  }

  /**
   * @param leads each [samples], mV, no NaN
   * @param peaks R peaks, ascending sample indices
   * @returns `undefined` where too few beats are alike
   */
  average(leads: Leads, peaks: ArrayLike<number>): MedianBeats | undefined {
    const rateHz = this.#rateHz
    if (leads.size === 0 || peaks.length < MIN_BEATS || peaks.length > this.#column.length) return undefined
    this.#sumSlopes(leads)
    const aligned = this.#align(Array.from(peaks))
    const { rr, before, after } = spanOf(aligned, rateHz)
    const complex = this.#complex(aligned, before)
    if (complex === undefined) return undefined
    const beats = this.#alike(leads, aligned, complex)
    if (beats.length < MIN_BEATS) return undefined
    const medians = new Map<LeadName, Float64Array>()
    const noise = new Map<LeadName, BeatNoise>()
    const span = { before, length: before + after }
    for (const [name, lead] of leads) {
      const flat = this.#takeOffLevel(lead, aligned, complex.onset)
      const median = this.#medianOf(name, flat, beats, span, complex)
      medians.set(name, median)
      const ofLag = (seconds: number) => this.#noiseOf(flat, median, beats, span, Math.round(seconds * rateHz))
      noise.set(name, { slopeMv: ofLag(SLOPE_LAG_S), waveMv: ofLag(WAVE_LAG_S) })
    }
    const qrs = { onset: before + complex.onset, end: before + complex.end }
    const shared = { rateHz, origin: before, length: span.length, beats, beatCount: peaks.length, rr }
    return {
      ...shared,
      qrs,
      leads: medians,
      noise,
      agreement: (first, last) => agreement(leads, medians, beats, before, first, last),
    }
  }

  /** Sum over the leads of the magnitude of their slopes: large within QRS complexes, whatever their direction; a baseline does not matter. */
  #sumSlopes(leads: Leads): void {
    const slope = this.#slope.fill(0)
    const half = Math.max(1, Math.round(SLOPE_S * this.#rateHz))
    for (const lead of leads.values()) {
      let sum = 0
      for (let j = 1; j <= half; j++) sum += lead[half + j]! - lead[half - j]!
      for (let i = half; i + half + 1 < lead.length; i++) {
        slope[i] = slope[i]! + (sum < 0 ? -sum : sum)
        sum += lead[i + half + 1]! - lead[i + 1]! - lead[i]! + lead[i - half]!
      }
    }
  }

  /** Shifts each beat to where its slopes fit the mean of all best. */
  #align(peaks: readonly number[]): number[] {
    const rateHz = this.#rateHz
    const slope = this.#slope
    const shift = Math.round(SHIFT_S * rateHz)
    const before = Math.round(COMPARED_S.before * rateHz)
    const length = before + Math.round(COMPARED_S.after * rateHz)
    const reach = Math.round(MAX_QRS_S * rateHz) + shift
    const inside = peaks.filter((peak) => peak - before - reach >= 0 && peak + length + shift < slope.length)
    if (inside.length < MIN_BEATS) return inside
    let places = inside
    const template = new Float64Array(length)
    for (let pass = 0; pass < 2; pass++) {
      template.fill(0)
      for (const place of places) for (let j = 0; j < length; j++) template[j]! += slope[place - before + j]!
      places = inside.map((peak) => {
        let best = peak
        let highest = -1
        for (let at = peak - shift; at <= peak + shift; at++) {
          let product = 0
          for (let j = 0; j < length; j += 2) product += template[j]! * slope[at - before + j]!
          if (product > highest) {
            highest = product
            best = at
          }
        }
        return best
      })
    }
    return places
  }

  /** Where the median complex begins and ends, samples from the place of alignment. */
  #complex(places: readonly number[], before: number): { onset: number; end: number } | undefined {
    const rateHz = this.#rateHz
    const reach = Math.round(MAX_QRS_S * rateHz)
    const calm = Math.round(CALM_S * rateHz)
    const from = -Math.min(before, reach + 10 * calm)
    const course = new Float64Array(2 * -from)
    for (let j = 0; j < course.length; j++) {
      let count = 0
      for (const place of places) {
        const at = place + from + j
        if (at >= 0 && at < this.#slope.length) this.#column[count++] = this.#slope[at]!
      }
      course[j] = count === 0 ? 0 : medianInPlace(this.#column, count)
    }
    const rest = course.toSorted()[course.length >> 3]!
    let peak = 0
    let highest = 0
    for (let j = -from - reach; j < -from + reach; j++) {
      if (course[j]! > highest) {
        highest = course[j]!
        peak = j
      }
    }
    if (highest <= 3 * rest) return undefined
    const onset = edge(course, peak, -1, rest + ONSET_SHARE * (highest - rest), calm)
    const end = edge(course, peak, 1, rest + END_SHARE * (highest - rest), calm)
    return { onset: Math.max(-reach, onset + from), end: Math.min(reach, end + from) }
  }

  /** The beats of the largest kind. */
  #alike(leads: Leads, places: readonly number[], complex: { onset: number; end: number }): number[] {
    const steps = Math.floor((complex.end - complex.onset) / STRIDE) + 1
    const shapes = places.map((place) => {
      const shape = new Float64Array(leads.size * steps)
      let at = 0
      for (const lead of leads.values()) {
        const level = lead[place + complex.onset]!
        for (let j = complex.onset; j <= complex.end; j += STRIDE) shape[at++] = lead[place + j]! - level
      }
      return toUnit(shape)
    })
    let best: number[] = []
    for (const shape of shapes) {
      const alike = places.filter((_, i) => dot(shape, shapes[i]!) >= ALIKE)
      if (alike.length > best.length) best = alike
    }
    return best
  }

  /** The lead less a line through the levels before each complex. */
  #takeOffLevel(lead: Float64Array, places: readonly number[], onset: number): Float64Array {
    const flat = this.#flat
    const length = Math.max(1, Math.round(LEVEL_S * this.#rateHz))
    const gap = Math.round(LEVEL_GAP_S * this.#rateHz)
    const middles: number[] = []
    for (const [index, place] of places.entries()) {
      let sum = 0
      const last = place + onset - gap
      for (let i = last - length + 1; i <= last; i++) sum += lead[Math.max(0, i)]!
      this.#level[index] = sum / length
      middles.push(last - (length - 1) / 2)
    }
    let from = 0
    for (let next = 0; next <= middles.length; next++) {
      const right = Math.min(next, middles.length - 1)
      const left = Math.max(0, next - 1)
      const to = next < middles.length ? Math.min(lead.length, Math.max(from, Math.ceil(middles[next]!))) : lead.length
      const rise = right === left ? 0 : (this.#level[right]! - this.#level[left]!) / (middles[right]! - middles[left]!)
      const start = this.#level[left]! - rise * middles[left]!
      for (let i = from; i < to; i++) flat[i] = lead[i]! - (start + rise * i)
      from = to
    }
    return flat
  }

  #medianOf(
    name: LeadName,
    flat: Float64Array,
    beats: readonly number[],
    { before, length }: { before: number; length: number },
    qrs: { onset: number; end: number },
  ): Float64Array {
    let buffer = this.#medians.get(name)
    if (buffer === undefined || buffer.length < length) {
      buffer = new Float64Array(Math.round((BEFORE.maxS + AFTER.maxS) * this.#rateHz) + 2)
      this.#medians.set(name, buffer)
    }
    const median = buffer.subarray(0, length)
    const column = this.#column
    // P and T are slow: every fourth sample has its median there, those between follow from a line.
    const near = Math.round(NEAR_QRS_S * this.#rateHz)
    const onset = STRIDE * Math.floor((qrs.onset + before - near) / STRIDE)
    const end = STRIDE * Math.ceil((qrs.end + before + near) / STRIDE)
    const places = Int32Array.from(beats, (beat) => beat - before)
    const samples = flat.length
    let known = 0
    for (let j = 0; j < length; ) {
      let count = 0
      for (let k = 0; k < places.length; k++) {
        const at = places[k]! + j
        if (at >= 0 && at < samples) column[count++] = flat[at]!
      }
      const value = count === 0 ? 0 : medianOfFew(column, count)
      median[j] = value
      const step = (value - median[known]!) / (j - known)
      for (let i = known + 1; i < j; i++) median[i] = median[i - 1]! + step
      known = j
      j += j >= onset && j < end ? 1 : Math.max(1, Math.min(STRIDE, length - 1 - j))
    }
    return median
  }

  #noiseOf(
    flat: Float64Array,
    median: Float64Array,
    beats: readonly number[],
    { before, length }: { before: number; length: number },
    lag: number,
  ): number {
    const magnitudes = this.#magnitudes
    let count = 0
    for (const beat of beats) {
      for (let j = 0; j + lag < length && count < magnitudes.length; j += 5 * STRIDE) {
        const at = beat - before + j
        if (at < 0 || at + lag >= flat.length) continue
        magnitudes[count++] = Math.abs(flat[at]! - median[j]! - flat[at + lag]! + median[j + lag]!)
      }
    }
    const middle = count === 0 ? 0 : medianInPlace(magnitudes, count)
    return (MEDIAN_ERROR * OF_MEDIAN_MAGNITUDE * middle) / Math.sqrt(2 * beats.length)
  }
}

function spanOf(places: readonly number[], rateHz: number): { rr: number; before: number; after: number } {
  const intervals = places.slice(1).map((place, i) => place - places[i]!)
  const rr = intervals.length === 0 ? rateHz : intervals.toSorted((a, b) => a - b)[intervals.length >> 1]!
  const part = ({ share, minS, maxS }: typeof BEFORE | typeof AFTER) =>
    Math.round(Math.min(maxS * rateHz, Math.max(minS * rateHz, share * rr)))
  return { rr, before: part(BEFORE), after: part(AFTER) }
}

/** The last sample, from `peak` on in a direction, before the course stays below the limit for `calm` samples. */
function edge(course: Float64Array, peak: number, direction: 1 | -1, limit: number, calm: number): number {
  let edgeAt = peak
  for (let j = peak, below = 0; j >= 0 && j < course.length && below < calm; j += direction) {
    if (course[j]! >= limit) {
      edgeAt = j
      below = 0
    } else below++
  }
  return edgeAt
}

/**
 * Do the single beats show what the median beat shows? The mean over the beats of the correlation, over all leads, of samples `first` to
 * `last` of the beat with the median's, each less its mean. A P wave that belongs to the complexes is in each beat; what fibrillating or
 * dissociated atria leave in a median is in none.
 */
function agreement(
  leads: Leads,
  medians: Leads,
  beats: readonly number[],
  before: number,
  first: number,
  last: number,
): number {
  let total = 0
  let counted = 0
  for (const beat of beats) {
    if (beat - before + first < 0 || beat - before + last >= (leads.values().next().value?.length ?? 0)) continue
    let product = 0
    let ofBeat = 0
    let ofMedian = 0
    for (const [name, lead] of leads) {
      const median = medians.get(name)!
      let meanBeat = 0
      let meanMedian = 0
      let count = 0
      for (let j = first; j <= last; j += STRIDE) {
        meanBeat += lead[beat - before + j]!
        meanMedian += median[j]!
        count++
      }
      meanBeat /= count
      meanMedian /= count
      for (let j = first; j <= last; j += STRIDE) {
        const a = lead[beat - before + j]! - meanBeat
        const b = median[j]! - meanMedian
        product += a * b
        ofBeat += a * a
        ofMedian += b * b
      }
    }
    if (ofBeat === 0 || ofMedian === 0) continue
    total += product / Math.sqrt(ofBeat * ofMedian)
    counted++
  }
  return counted === 0 ? 0 : total / counted
}

/** Scales to length 1, in place. */
function toUnit(values: Float64Array): Float64Array {
  const norm = Math.sqrt(dot(values, values)) || 1
  for (let i = 0; i < values.length; i++) values[i]! /= norm
  return values
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
  return sum
}
