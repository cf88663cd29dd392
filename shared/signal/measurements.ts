/**
 * Measurements of a window: heart rate, PR, QRS, QT and axis from the median beat. Unreliable values are left out. Accuracy of the others:
 * docs/delineation.md.
 * @module
 */
import type { Measurements } from '../domain/measurements.ts'
import { type Delineation, delineate, type Wave } from './delineator.ts'
import type { MedianBeats } from './median-beat.ts'
import { heartRateBpm } from './r-peaks.ts'

/** Name and version of the method: another algorithm or threshold is another version. */
export const MEASUREMENT_METHOD = 'cardiacnets-median-beat-1'

/** Least share of beats of one kind. With fewer, it is unclear which beats the intervals describe. */
const MIN_SHARE = 0.5

/** Plausible durations, ms. Values outside are errors of the method. */
const PLAUSIBLE_MS = { p: [40, 200], pr: [60, 400], qrs: [50, 240], qt: [200, 680] } as const

/** Largest interquartile range of the leads' QRS ends and T ends, ms. Beyond it the leads do not agree. */
const MAX_SPREAD_MS = { qrs: 40, t: 48 } as const

/**
 * Correction formulas are valid for a regular rhythm near the rates that they were fitted on: coefficient of variation, beats per minute.
 */
const MAX_UNEVENNESS = 0.15
const QTC_RATE_BPM = { min: 40, max: 130 } as const

/** Least net area of QRS in the frontal plane, as a share of its total area. Below it the axis is indeterminate. */
const MIN_NET_AREA = 0.12

/**
 * Measures a window.
 * @param beats median beats of the usable leads; `undefined` where no three beats are alike
 * @param peaks R peaks, ascending sample indices
 * @param rateHz rate of `peaks` and `beats`
 * @returns `undefined` when there is no heart rate
 */
export function measureBeats(
  beats: MedianBeats | undefined,
  peaks: readonly number[],
  rateHz: number,
): Measurements | undefined {
  const rate = heartRateBpm(peaks, rateHz)
  if (rate === undefined) return undefined
  const heart = { heartRateBpm: Math.round(10 * rate) / 10, rrMs: Math.round(60_000 / rate) }
  if (beats === undefined || beats.beats.length < MIN_SHARE * beats.beatCount) {
    return { method: MEASUREMENT_METHOD, ...heart }
  }
  const delineation = delineate(beats)
  return {
    method: MEASUREMENT_METHOD,
    ...heart,
    ...intervals(delineation, rateHz, isEven(peaks) ? heart : undefined),
    ...axis(beats, delineation.global.qrs),
  }
}

function intervals(
  { leads, global }: Delineation,
  rateHz: number,
  evenHeart: { readonly heartRateBpm: number; readonly rrMs: number } | undefined,
): Partial<Measurements> {
  const ms = (samples: number) => Math.round((1000 * samples) / rateHz)
  const { p, qrs, t } = global
  const agree = (wave: 'qrs' | 't') =>
    ms(middleHalf([...leads.values()].flatMap((lead) => lead[wave]?.end ?? []))) <= MAX_SPREAD_MS[wave]
  const pMs = plausible('p', p && ms(p.end - p.onset))
  const prMs = plausible('pr', p && qrs && ms(qrs.onset - p.onset))
  const qrsMs = plausible('qrs', qrs && agree('qrs') ? ms(qrs.end - qrs.onset) : undefined)
  const qtMs = plausible('qt', t && qrs && agree('t') ? ms(t.end - qrs.onset) : undefined)
  const isCorrectable =
    evenHeart !== undefined && evenHeart.heartRateBpm >= QTC_RATE_BPM.min && evenHeart.heartRateBpm <= QTC_RATE_BPM.max
  const corrected =
    qtMs === undefined || !isCorrectable
      ? {}
      : {
          qtcBazettMs: Math.round(qtMs / Math.sqrt(evenHeart.rrMs / 1000)),
          qtcFridericiaMs: Math.round(qtMs / Math.cbrt(evenHeart.rrMs / 1000)),
        }
  return {
    // A P wave without a plausible PR interval is not reported.
    ...(prMs === undefined || pMs === undefined ? {} : { pMs, prMs }),
    ...(qrsMs === undefined ? {} : { qrsMs }),
    ...(qtMs === undefined ? {} : { qtMs }),
    ...corrected,
  }
}

function plausible(of: keyof typeof PLAUSIBLE_MS, ms: number | undefined): number | undefined {
  const [least, most] = PLAUSIBLE_MS[of]
  return ms !== undefined && ms >= least && ms <= most ? ms : undefined
}

/** Direction of the net area of QRS in leads I and aVF. They are perpendicular but differ in scale by 2/√3. */
function axis(beats: MedianBeats, qrs: Wave | undefined): Partial<Measurements> {
  const [one, foot] = [beats.leads.get('I'), beats.leads.get('aVF')]
  if (qrs === undefined || one === undefined || foot === undefined) return {}
  let [x, y, whole] = [0, 0, 0]
  for (let i = Math.round(qrs.onset); i <= qrs.end; i++) {
    const [a, b] = [one[i]!, (2 / Math.sqrt(3)) * foot[i]!]
    x += a
    y += b
    whole += Math.hypot(a, b)
  }
  if (Math.hypot(x, y) < MIN_NET_AREA * whole) return {}
  return { axisDegrees: Math.round((180 / Math.PI) * Math.atan2(y, x)) }
}

function isEven(peaks: readonly number[]): boolean {
  const intervals = peaks.slice(1).map((peak, i) => peak - peaks[i]!)
  const mean = intervals.reduce((sum, interval) => sum + interval, 0) / intervals.length
  const square = intervals.reduce((sum, interval) => sum + (interval - mean) ** 2, 0) / intervals.length
  return Math.sqrt(square) <= MAX_UNEVENNESS * mean
}

function middleHalf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const last = sorted.length - 1
  return last < 1 ? 0 : sorted[Math.floor(0.75 * last)]! - sorted[Math.ceil(0.25 * last)]!
}
