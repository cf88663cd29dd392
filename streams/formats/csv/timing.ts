/**
 * The rate of a CSV file, and where its rows belong: from the caller, from what the file states, and from its time columns.
 * @module
 */
import type { ResultWarning } from '../../../shared/domain/warnings.ts'
import { CodedError } from '../../../shared/errors.ts'
import type { TimeColumn } from './columns.ts'
import type { Rows } from './rows.ts'
import { type Timing, timingOf } from './time.ts'

interface StatedRate {
  /** Of the caller, else of the file; outranks the time columns. */
  readonly stated: number | undefined
  readonly isCallers: boolean
  readonly warnings: ResultWarning[]
}

/** A time column whose rate is so near to the stated one tells where samples are lost. */
const SAME_RATE = 0.01

/**
 * @throws CodedError `field-invalid` where no rate is stated (`rate`) or the times make none (`time`, line)
 */
export function timeOf(
  rows: Rows,
  columns: readonly TimeColumn[],
  { stated, isCallers, warnings }: StatedRate,
): Pick<Timing, 'rateHz' | 'places'> {
  const attempts = columns.map((column) => attempt(rows, column))
  // Of several columns (phone, sensor, elapsed) the evenest.
  const [best] = attempts.filter((each) => 'rateHz' in each).toSorted((a, b) => a.deviation - b.deviation)
  if (stated === undefined) {
    if (best !== undefined) return best
    throw attempts.find((each) => each instanceof CodedError) ?? new CodedError('field-invalid', { field: 'rate' })
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

/** A clock without a date begins anew at midnight. */
function unwrapDays(seconds: Float64Array): void {
  let days = 0
  for (let i = 1, before = seconds[0]!; i < seconds.length; i++) {
    const now = seconds[i]!
    if (now - before < -DAY_S / 2) days++
    before = now
    seconds[i] = now + days * DAY_S
  }
}

/** Times since 1970 tell by their size what they count; others without a unit count seconds. */
function unitOfEpoch(value: number): number {
  if (value >= 1e17) return 1e-9
  if (value >= 1e14) return 1e-6
  return value >= 1e11 ? 1e-3 : 1
}
