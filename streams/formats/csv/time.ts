/**
 * The sampling rate that a time column tells.
 * @module
 */
import { CodedError } from '../../../shared/errors.ts'

const TIME_CELL =
  /^(?:time|timestamp|t)(?:\s*[([]\s*(?<bracketed>s|sec|seconds|ms)\s*[)\]]|[\s_/](?<suffix>s|sec|seconds|ms))?$/i

/** Seconds a unit of the time column; undefined for a cell that heads no such column. A column without a unit counts seconds. */
export function timeUnitSeconds(cell: string): number | undefined {
  const groups = TIME_CELL.exec(cell)?.groups
  if (groups === undefined) return undefined
  return (groups.bracketed ?? groups.suffix)?.toLowerCase() === 'ms' ? 1e-3 : 1
}

/** Times written to a millisecond tell the rate of ten seconds to a part in ten thousand: nearer than that, a whole rate is meant. */
const WHOLE_RATE_TOLERANCE = 2e-4

/**
 * Rate of evenly spaced times, Hz.
 * @throws CodedError `field-invalid` naming the first line whose time is more than one sample off: samples are lost there
 */
export function rateOfTimes(times: Float64Array, unitSeconds: number, firstLine: number): number {
  const first = times[0]!
  const intervals = times.length - 1
  const step = (times[intervals]! - first) / intervals
  if (!(step > 0)) throw new CodedError('field-invalid', { field: 'time', line: firstLine })
  const off = times.findIndex((time, index) => !(Math.abs(time - first - index * step) <= step))
  if (off >= 0) throw new CodedError('field-invalid', { field: 'time', line: firstLine + off })
  const rateHz = 1 / (step * unitSeconds)
  const whole = Math.round(rateHz)
  return Math.abs(rateHz - whole) <= WHOLE_RATE_TOLERANCE * whole ? whole : rateHz
}
