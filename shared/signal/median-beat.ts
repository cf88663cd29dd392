/**
 * The median beat: the similar beats of a window are aligned and reduced to the median at each sample. What differs from beat to beat
 * (noise, hum, breathing, fibrillating atria) is mostly removed; what every beat repeats remains.
 * @module
 */
import type { LeadName } from '../domain/leads.ts'
import { medianInPlace, medianOfFew } from './median.ts'

/** Standard errors of a sample of a median beat, mV. A slow baseline affects neither; hum affects slopes more than waves. */
export interface BeatNoise {
  /** Error of the difference between two samples at the distance over which QRS slopes are measured. */
  readonly slopeMv: number
  /** Error of the difference between two samples half a P wave apart. */
  readonly waveMv: number
}

export interface MedianBeats {
  readonly rateHz: number
  /** Index within each beat of the point at which the beats are aligned; it lies within the QRS complex. */
  readonly origin: number
  /** Samples of a beat. */
  readonly length: number
  /** Alignment points of the averaged beats within the window, ascending. */
  readonly beats: readonly number[]
  /** All beats of the window, whatever their shape. */
  readonly beatCount: number
  /** Median RR interval, samples. */
  readonly rr: number
  /** First and last sample of the QRS complex, from all leads together. */
  readonly qrs: { readonly onset: number; readonly end: number }
  /** [length] per lead, mV relative to the level right before QRS; the next call overwrites it. */
  readonly leads: ReadonlyMap<LeadName, Float64Array>
  readonly noise: ReadonlyMap<LeadName, BeatNoise>
  /** Mean correlation of the single beats with the median beat over a stretch before the QRS complex (see `agreement`). */
  agreement(first: number, last: number): number
}

/** Half of the derivative's support, s: the sum of this many samples after a sample minus the sum before it (a Haar wavelet). */
const SLOPE_S = 0.006

/** Largest shift in the alignment of a beat, and the part that is compared before and after the R peak, s. */
const SHIFT_S = 0.05
const COMPARED_S = { before: 0.08, after: 0.12 } as const

/** Least correlation, in the QRS complex of all leads, of beats of one kind. */
const ALIKE = 0.9

/** Fewest beats of one kind that have a useful median. */
const MIN_BEATS = 3

/** Length of a beat before and after QRS: share of the RR interval, and limits, s. */
const BEFORE = { share: 0.42, minS: 0.22, maxS: 0.42 } as const
const AFTER = { share: 0.7, minS: 0.3, maxS: 0.68 } as const

/** QRS begins where the summed slope of all leads exceeds its resting level by this share of its peak, and ends at another share. */
const ONSET_SHARE = 0.05
const END_SHARE = 0.07
/** The slope must stay below the limit for this long, s. */
const CALM_S = 0.012
/** Longest distance from the alignment point to an end of the complex, s. */
const MAX_QRS_S = 0.14

/** The level before QRS is the mean over this long, ending this long before the onset, s. */
const LEVEL_S = 0.016
const LEVEL_GAP_S = 0.004

/** Within this distance of QRS the median is computed at each sample, s. */
const NEAR_QRS_S = 0.03

/** Stride in samples when beats are compared. */
const STRIDE = 4

/** Distances between samples at which noise is measured, s. */
const SLOPE_LAG_S = 0.008
const WAVE_LAG_S = 0.04

/** Standard error of a median relative to that of a mean, and standard deviation relative to the median magnitude. */
const MEDIAN_ERROR = 1.25
const OF_MEDIAN_MAGNITUDE = 1.48

type Leads = ReadonlyMap<LeadName, Float64Array>

/** Averages windows of one rate and length. Owns its buffers, so one instance serves one thread. */
export class BeatAverager {
  readonly #rateHz: number
  readonly #slope: Float64Array
  readonly #level: Float64Array
  readonly #column: Float64Array
  readonly #magnitudes = new Float64Array(2048)
  readonly #medians = new Map<LeadName, Float64Array>()
  readonly #flat: Float64Array

  /** @param samples length of a lead */
  constructor(rateHz: number, samples: number) {
    this.#rateHz = rateHz
    this.#slope = new Float64Array(samples)
    this.#flat = new Float64Array(samples)
    this.#level = new Float64Array(512)
    this.#column = new Float64Array(512)
  }

  /**
   * Averages the beats of a window.
   * @param leads each [samples], mV, no NaN
   * @param peaks R peaks, ascending sample indices
   * @returns `undefined` when too few beats are alike
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

  /** Sum over the leads of the magnitudes of their slopes: large within QRS complexes, and independent of the baseline. */
  #sumSlopes(leads: Leads): void {
    const slope = this.#slope.fill(0)
    const half = Math.max(1, Math.round(SLOPE_S * this.#rateHz))
    for (const lead of leads.values()) {
      let sum = 0
      for (let j = 1; j <= half; j++) sum += lead[half + j]! - lead[half - j]!
      for (let i = half; i + half + 1 < lead.length; i++) {
        slope[i] = slope[i]! + Math.abs(sum)
        sum += lead[i + half + 1]! - lead[i + 1]! - lead[i]! + lead[i - half]!
      }
    }
  }

  /** Shifts each beat to where its slopes best match the mean of all beats. */
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

  /** Onset and end of the median complex, samples from the alignment point. */
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
      course[j] = count === 0 ? 0 : medianOfFew(this.#column, count)
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

  /** The beats of the largest group of similar beats. */
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

  /** Subtracts from a lead the line through the levels before each complex. */
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
    // P and T are slow: the median is computed at every fourth sample, and samples in between are interpolated.
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

/** The last sample, from `peak` in one direction, before the values stay below the limit for `calm` samples. */
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
 * Whether single beats show what the median beat shows: the mean over the beats of the correlation, over all leads, of samples `first` to
 * `last` of the beat with those of the median, each minus its mean. A conducted P wave is in every beat; what fibrillating or dissociated
 * atria leave in a median is in none.
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

/** Scales to norm 1, in place. */
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
