/**
 * The rate of a CSV file and the positions of its rows: from the caller, from the file's facts, and from its time columns.
 * @module
 */
import type { ResultWarning } from '../../../shared/domain/warnings.ts'
import { CodedError } from '../../../shared/errors.ts'
import type { TimeColumn } from './columns.ts'
import type { Rows } from './rows.ts'
import { type Timing, timingOf } from './time.ts'

interface StatedRate {
  /** From the caller, otherwise from the file; takes precedence over time columns. */
  readonly stated: number | undefined
  readonly isCallers: boolean
  readonly warnings: ResultWarning[]
}

/** A time column whose rate is this close to the stated one shows where samples are lost. */
const SAME_RATE = 0.01

/**
 * Determines the rate.
 * @throws CodedError `field-invalid` when no rate is stated (`rate`) or the times give none (`time`, line)
 */
export function timeOf(
  rows: Rows,
  columns: readonly TimeColumn[],
  { stated, isCallers, warnings }: StatedRate,
): Pick<Timing, 'rateHz' | 'places'> {
  const attempts = columns.map((column) => attempt(rows, column))
  // Of several columns (phone, sensor, elapsed), the most even one.
  const [best] = attempts.filter((each) => 'rateHz' in each).toSorted((a, b) => a.deviation - b.deviation)
  if (stated === undefined) {
    if (best !== undefined) return best
    throw (
      attempts.find((each) => each instanceof CodedError) ??
      new CodedError('field-invalid', { field: 'rate', option: '--rate' })
    )
  }
  if (best !== undefined && Math.abs(best.rateHz / stated - 1) <= SAME_RATE) return { ...best, rateHz: stated }
  if (best !== undefined && !isCallers) warnings.push({ code: 'rate-contradicted', field: 'time' })
  return { rateHz: stated }
}

function attempt(rows: Rows, { index, unitSeconds }: TimeColumn): Timing | CodedError {
  const values = rows.values.get(index)!
  const unit = rows.clocks.has(index) ? 1 : (unitSeconds ?? unitOfEpoch(values[0]!))
  const seconds = values.map((value) => value * unit)
  if (rows.clocks.has(index)) unwrapDays(seconds)
  try {
    return timingOf(seconds, rows.lineOf)
  } catch (error) {
    if (error instanceof CodedError) return error
    throw error
  }
}

const DAY_S = 86_400

/** A clock time without a date restarts at midnight. */
function unwrapDays(seconds: Float64Array): void {
  let days = 0
  for (let i = 1, before = seconds[0]!; i < seconds.length; i++) {
    const now = seconds[i]!
    if (now - before < -DAY_S / 2) days++
    before = now
    seconds[i] = now + days * DAY_S
  }
}

/** The unit of times since 1970 follows from their size; other times without a unit are seconds. */
function unitOfEpoch(value: number): number {
  if (value >= 1e17) return 1e-9
  if (value >= 1e14) return 1e-6
  return value >= 1e11 ? 1e-3 : 1
}
