/**
 * Time columns: their unit, the sampling rate, and lost samples.
 * @module
 */
import { MAX_DURATION_S } from '../../../shared/domain/recording.ts'
import { CodedError } from '../../../shared/errors.ts'

/** Seconds per unit, by its name in lower case. */
const UNITS: ReadonlyMap<string, number> = new Map([
  ...['s', 'sec', 'secs', 'second', 'seconds', 'sekunden'].map((name) => [name, 1] as const),
  ...['ms', 'msec', 'msecs', 'millisecond', 'milliseconds'].map((name) => [name, 1e-3] as const),
  ...['us', '\u00b5s', '\u03bcs', 'usec', 'microsecond', 'microseconds'].map((name) => [name, 1e-6] as const),
  ...['ns', 'nsec', 'nanosecond', 'nanoseconds'].map((name) => [name, 1e-9] as const),
  ...['min', 'minutes'].map((name) => [name, 60] as const),
])

/** Seconds per time unit; `undefined` for other text. */
export const findTimeUnit = (text: string): number | undefined => UNITS.get(text.trim().toLowerCase())

/** A heading is of a time column when it contains one of these words, and otherwise only the unit and the words below. */
const TIME_WORDS: ReadonlySet<string> = new Set([
  ...['time', 'times', 'timestamp', 'timestamps', 't', 'datetime', 'date', 'clock', 'zeit', 'zeitstempel', 'uhrzeit'],
  ...['temps', 'horodatage', 'tiempo', 'tempo'],
])

const BESIDE_TIME: ReadonlySet<string> = new Set([
  ...[
    'elapsed',
    'relative',
    'absolute',
    'phone',
    'sensor',
    'device',
    'system',
    'host',
    'sample',
    'ecg',
    'ekg',
    'local',
  ],
  ...['utc', 'gmt', 'unix', 'epoch', 'iso', 'since', 'start', 'from', 'of', 'and', 'day', 'stamp'],
])

/** Whether a column's name is that of a time column. */
export function isTimeName(name: string): boolean {
  if (name.length > 64) return false
  const words = name
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z\u00b5\u03bc]+/)
    .filter((word) => word !== '')
  const isKnown = words.every((word) => TIME_WORDS.has(word) || BESIDE_TIME.has(word) || UNITS.has(word))
  return isKnown && words.some((word) => TIME_WORDS.has(word))
}

/** Whether a column's name is that of a sample counter. */
export const isIndexName = (name: string): boolean =>
  /^(?:index|idx|sample|samples|sample ?(?:no|nr|number|index|#)\.?|no\.?|nr\.?|#|n)$/i.test(name.trim())

/**
 * Seconds of a clock time, with or without a date: `2026-01-02T03:04:05.004Z`, `02.01.2026 03:04:05,004`, `03:04:05.004`, `0:05.004`,
 * `[14:30:00.000 01/01/2020]`. Only differences of such times are meaningful. `undefined` for any other text.
 */
export function secondsOfClock(cell: string): number | undefined {
  if (cell.length < 4 || cell.length > 40 || !cell.includes(':')) return undefined
  const parts = CLOCK.exec(cell.trim())?.groups
  if (parts === undefined) return undefined
  const { hour = '0', minute, second, fraction = '0', noon } = parts
  const day = dayOf(parts.a ?? parts.d, parts.b ?? parts.e, parts.c ?? parts.f)
  const hours = noon === undefined ? Number(hour) : (Number(hour) % 12) + (noon.toLowerCase() === 'pm' ? 12 : 0)
  return day * DAY_S + hours * 3600 + Number(minute) * 60 + Number(second) + Number(`0.${fraction}`)
}

const DAY_S = 86_400

const CLOCK =
  /^\[?(?:(?<a>\d{1,4})[-./](?<b>\d{1,2})[-./](?<c>\d{1,4})[T ,])?(?:(?<hour>\d{1,2}):)?(?<minute>\d{1,2}):(?<second>\d{1,2})(?:[.,:](?<fraction>\d{1,9}))?(?: ?(?:Z|UTC|GMT|[+-]\d\d:?\d\d|(?<noon>[AaPp][Mm])))?(?: (?<d>\d{1,2})\/(?<e>\d{1,2})\/(?<f>\d{4}))?\]?$/

/** Days since 1970 of a date with the year first or last; 0 without a date. */
function dayOf(a: string | undefined, b: string | undefined, c: string | undefined): number {
  if (a === undefined || b === undefined || c === undefined) return 0
  const [year, month, day] = a.length === 4 ? [a, b, c] : [c, b, a]
  return Math.floor(Date.UTC(Number(year), Number(month) - 1, Number(day)) / 1000 / DAY_S)
}

/** When the samples of a column were recorded. */
export interface Timing {
  readonly rateHz: number
  /** Largest deviation of the times from the rate, in samples. */
  readonly deviation: number
  /** Index of each sample, from 0: larger than its row number after lost samples. Absent when none are lost. */
  readonly places?: Int32Array
}

/**
 * Times with millisecond resolution give the rate of ten seconds to one part in ten thousand. Within this tolerance the rate is taken as
 * whole.
 */
const WHOLE_RATE_TOLERANCE = 2e-4

/** An interval of more than this many usual intervals is a gap. */
const GAP = 1.6

/**
 * The rate of a time column, and its gaps.
 * @param seconds NaN where a time is missing
 * @param lineOf line number of a row
 * @throws CodedError `field-invalid` naming the line of the first time that is missing, does not increase, or comes too late
 */
export function timingOf(seconds: Float64Array, lineOf: (row: number) => number): Timing {
  const invalid = (row: number) =>
    new CodedError('field-invalid', { field: 'time', line: lineOf(row), option: '--rate' })
  const missing = seconds.findIndex((time) => Number.isNaN(time))
  if (missing >= 0) throw invalid(missing)
  const last = seconds.length - 1
  const mean = (seconds[last]! - seconds[0]!) / last
  const even = mean > 0 ? deviationFrom(seconds, mean) : Number.POSITIVE_INFINITY
  if (even <= 1) return { rateHz: wholeRateOf(mean), deviation: even }
  if (last < 1) throw invalid(0)

  const intervals = seconds.subarray(1).map((time, i) => time - seconds[i]!)
  const back = intervals.findIndex((interval) => interval < 0)
  if (back >= 0) throw invalid(back + 1)
  const typical = intervals.toSorted()[intervals.length >> 1]!
  const still = intervals.indexOf(0)
  if (!(typical > 0)) throw invalid(still + 1)
  const inner = intervals.filter((interval) => interval <= GAP * typical)
  const step = inner.reduce((sum, interval) => sum + interval, 0) / inner.length
  return { ...placed(seconds, intervals, step, invalid), rateHz: wholeRateOf(step) }
}

function placed(
  seconds: Float64Array,
  intervals: Float64Array,
  step: number,
  invalid: (row: number) => CodedError,
): Pick<Timing, 'places' | 'deviation'> {
  const places = new Int32Array(seconds.length)
  let deviation = 0
  // Each stretch is measured from its own start, so that an inaccurate device clock shifts nothing.
  let [startAt, startPlace] = [seconds[0]!, 0]
  for (let i = 1; i < seconds.length; i++) {
    const interval = intervals[i - 1]!
    if (interval > MAX_DURATION_S) throw invalid(i)
    if (interval > GAP * step) {
      places[i] = places[i - 1]! + Math.max(1, Math.round(interval / step))
      startAt = seconds[i]!
      startPlace = places[i]!
      continue
    }
    places[i] = places[i - 1]! + 1
    const off = Math.abs((seconds[i]! - startAt) / step - (places[i]! - startPlace))
    if (!(off <= 1)) throw invalid(i)
    if (off > deviation) deviation = off
  }
  return { places, deviation }
}

/** Largest deviation from even spacing, in steps. */
function deviationFrom(seconds: Float64Array, step: number): number {
  let most = 0
  for (let i = 0; i < seconds.length; i++) {
    const off = Math.abs(seconds[i]! - seconds[0]! - i * step) / step
    if (!(off <= most)) most = off
  }
  return most
}

function wholeRateOf(step: number): number {
  const rateHz = 1 / step
  const whole = Math.round(rateHz)
  return Math.abs(rateHz - whole) <= WHOLE_RATE_TOLERANCE * whole ? whole : rateHz
}
