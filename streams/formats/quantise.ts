/**
 * Converts leads of sources that write voltages as decimal fractions.
 * @module
 */
import type { LeadName } from '../../shared/domain/leads.ts'
import { MISSING_SAMPLE, type RecordedLead } from '../../shared/domain/recording.ts'
import type { CodedError } from '../../shared/errors.ts'

/** The error for a value, by its index, that fits no step. */
type InvalidSample = (index: number) => CodedError

/** Makes a lead with a step that loses nothing, if there is one. NaN is a missing sample. */
export function toLead(name: LeadName, values: Float64Array, unitUv: number, invalid: InvalidSample): RecordedLead {
  const gainUv = finestStep(values, unitUv)
  return { name, gainUv, samples: quantise(values, unitUv / gainUv, invalid) }
}

/** Steps for a lead, µV: the coarsest without loss, otherwise the finest that fits 32 bits. */
const STEPS_UV = [1, 0.1, 0.01, 0.001]

function finestStep(values: Float64Array, unitUv: number): number {
  let fitting = STEPS_UV[0]!
  for (const step of STEPS_UV) {
    const factor = unitUv / step
    if (values.some((value) => Math.abs(value * factor) >= -MISSING_SAMPLE)) break
    fitting = step
    if (values.every((value) => Number.isNaN(value) || isWhole(value * factor))) break
  }
  return fitting
}

/** Whole except for the rounding of decimal fractions. */
const isWhole = (value: number) => Math.abs(value - Math.round(value)) <= 1e-9 * Math.max(1, Math.abs(value))

/** Values times `factor`, rounded to integers. */
export function quantise(values: Float64Array, factor: number, invalid: InvalidSample): Int32Array {
  const samples = new Int32Array(values.length)
  for (let i = 0; i < values.length; i++) {
    const step = Math.round(values[i]! * factor)
    if (Math.abs(step) >= -MISSING_SAMPLE) throw invalid(i)
    samples[i] = Number.isNaN(step) ? MISSING_SAMPLE : step
  }
  return samples
}
