/**
 * Measures how much leads differ from beat to beat after the chain's baseline removal: the effect of baseline wander, a moving electrode,
 * pops and jumps on the network's input. Outside QRS complexes, the means over 40 ms segments of each beat are compared with their medians
 * over all beats. Source of the limits: docs/quality-gate.md.
 * @module
 */
import type { LeadName } from '../domain/leads.ts'
import { medianOfFew } from './median.ts'
import type { MedianBeats } from './median-beat.ts'

/** Length of the segments that are averaged within a beat, s. */
const PLACE_S = 0.04
/** Time that is measured before QRS and after it, s; the latter grows with √RR. */
const BEFORE_S = 0.16
const AFTER_S_AT_60_BPM = 0.32

/** Fewest beats that can be compared. */
const MIN_BEATS = 3

/** Limits for the median and the worst beat, mV, as medians over the leads. With fewer than six leads the limits are higher. */
const MANY_LEADS = 6
const LIMITS_MV = { many: { middle: 0.09, worst: 0.25 }, few: { middle: 0.12, worst: 0.5 } } as const

/** Root mean square over the segments of a beat, mV: of the median beat and of the worst. */
export interface Unsteadiness {
  readonly middle: number
  readonly worst: number
}

/** Measures windows of one rate and length. Owns its buffers, so one instance serves one thread. */
export class SteadinessMeter {
  readonly #rateHz: number
  readonly #column: Float64Array
  readonly #levels: Float64Array
  readonly #squares: Float64Array

  /** @param samples length of a lead */
  constructor(rateHz: number, samples: number) {
    this.#rateHz = rateHz
    const mostBeats = Math.ceil(samples / rateHz) * 6
    this.#column = new Float64Array(mostBeats)
    this.#levels = new Float64Array(mostBeats)
    this.#squares = new Float64Array(mostBeats)
  }

  /**
   * Whether the window differs so much from beat to beat that the network would judge the movement instead of the heart.
   * @param leads each [samples], mV, without the chain's trend (`removeTrend`)
   */
  isUnsteady(leads: ReadonlyMap<LeadName, Float64Array>, beats: MedianBeats): boolean {
    const each = Array.from(leads.values(), (lead) => this.measure(lead, beats))
    const limits = each.length < MANY_LEADS ? LIMITS_MV.few : LIMITS_MV.many
    const medianOf = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1] ?? 0
    return (
      medianOf(each.map(({ middle }) => middle)) > limits.middle ||
      medianOf(each.map(({ worst }) => worst)) > limits.worst
    )
  }

  /** The median and the worst beat of a lead without its trend; 0 when there are too few whole beats. */
  measure(flat: Float64Array, { beats, origin, qrs, rr }: MedianBeats): Unsteadiness {
    const width = Math.round(PLACE_S * this.#rateHz)
    const places = placesOf(qrs, rr, this.#rateHz, width)
    const first = places[0]! - origin
    const end = places.at(-1)! - origin + width
    const whole = beats.filter((beat) => beat + first >= 0 && beat + end <= flat.length).slice(0, this.#column.length)
    if (whole.length < MIN_BEATS) return { middle: 0, worst: 0 }
    const [squares, levels, column] = [this.#squares.fill(0), this.#levels, this.#column]
    for (const place of places) {
      for (let k = 0; k < whole.length; k++) {
        const from = whole[k]! - origin + place
        let sum = 0
        for (let i = from; i < from + width; i++) sum += flat[i]!
        levels[k] = sum / width
        column[k] = sum / width
      }
      const middle = medianOfFew(column, whole.length)
      for (let k = 0; k < whole.length; k++) squares[k]! += (levels[k]! - middle) ** 2
    }
    const ofBeats = squares.slice(0, whole.length).sort()
    const rms = (sum: number) => Math.sqrt(sum / places.length)
    return { middle: rms(ofBeats[ofBeats.length >> 1]!), worst: rms(ofBeats.at(-1)!) }
  }
}

/** First samples of the segments of a beat. */
function placesOf(qrs: MedianBeats['qrs'], rr: number, rateHz: number, width: number): number[] {
  const places: number[] = []
  for (let at = qrs.onset - Math.round(BEFORE_S * rateHz); at + width <= qrs.onset; at += width) places.push(at)
  const end = qrs.end + AFTER_S_AT_60_BPM * rateHz * Math.sqrt(rr / rateHz)
  for (let at = qrs.end + (width >> 1); at + width <= end; at += width) places.push(at)
  return places
}
