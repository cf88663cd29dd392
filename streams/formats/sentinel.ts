/**
 * Values with which a source marks missing samples.
 * @module
 */
import { MISSING_SAMPLE } from '../../shared/domain/recording.ts'

/**
 * Adds `baseline` to samples, in place, and marks those with the source's "no sample" value as missing. When real samples lie on both sides
 * of that value, it is a real value too (some writers fill the field with zero).
 */
export function withoutSentinel(values: Int32Array, sentinel: number | undefined, baseline: number): Int32Array {
  const missing = sentinel === undefined || isInside(values, sentinel) ? undefined : sentinel
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    values[i] = value === missing ? MISSING_SAMPLE : value + baseline
  }
  return values
}

function isInside(values: Int32Array, sentinel: number): boolean {
  let [isBelow, isAbove] = [false, false]
  for (const value of values) {
    if (value < sentinel) isBelow = true
    else if (value > sentinel) isAbove = true
    if (isBelow && isAbove) return true
  }
  return false
}
