/**
 * SampledData: numbers as text, with a step, an origin and a period. https://hl7.org/fhir/R4/datatypes.html#SampledData,
 * https://hl7.org/fhir/R5/datatypes.html#SampledData
 * @module
 */
import type { LeadName } from '../../../shared/domain/leads.ts'
import { MAX_DURATION_S, MISSING_SAMPLE, RATE_RANGE_HZ, type RecordedLead } from '../../../shared/domain/recording.ts'
import { CodedError } from '../../../shared/errors.ts'
import type { ReadOptions } from '../format.ts'
import { microvolts, type VoltageUnit } from '../units.ts'
import type { SampledData } from './resources.ts'

/** A stretch of one or several leads. Microvolts are `offsetUv + stepUv · value`. */
export interface Series {
  readonly rateHz: number
  readonly stepUv: number
  readonly offsetUv: number
  /** Values as written, one array per dimension; NaN where a value is missing. */
  readonly columns: readonly Float64Array[]
  /** Whether all of them are whole numbers. */
  readonly isWhole: boolean
}

/** Milliseconds per `intervalUnit` of R5 (UCUM). */
const MILLISECONDS: ReadonlyMap<string, number> = new Map([
  ['s', 1000],
  ['ms', 1],
  ['us', 1e-3],
  ['ns', 1e-6],
])

/** Most values per dimension: the longest recording at the highest rate. */
const MAX_VALUES = RATE_RANGE_HZ.max * MAX_DURATION_S

/**
 * Reads the values.
 * @param field its place, for errors
 * @throws CodedError `unit-unknown`, `gain-invalid`, `field-invalid`, `format-unsupported`, `sample-invalid`, `samples-uneven`,
 * `payload-too-large`
 */
export function readSampledData(data: SampledData, field: string, { unit, rateHz }: ReadOptions): Series {
  // Data with a time per sample, or with codes as values, are not an evenly sampled voltage.
  for (const name of ['offsets', 'codeMap'] as const) {
    if (data[name] !== undefined) throw new CodedError('format-unsupported', { field: `${field}.${name}` })
  }
  const unitUv = unitOf(data, `${field}.origin.unit`, unit)
  const stepUv = data.factor * unitUv
  if (stepUv === 0) throw new CodedError('gain-invalid', { field: `${field}.factor` })
  const offsetUv = (data.origin.value ?? 0) * unitUv
  const stepsOf = (limit: number | undefined) =>
    limit === undefined ? Number.NaN : (limit * unitUv - offsetUv) / stepUv
  const limits = { upper: stepsOf(data.upperLimit), lower: stepsOf(data.lowerLimit) }
  return { rateHz: rateHz ?? rateOf(data, field), stepUv, offsetUv, ...readValues(data, limits, `${field}.data`) }
}

function unitOf({ origin }: SampledData, field: string, stated: VoltageUnit | undefined): number {
  const unit = stated ?? origin.code ?? origin.unit
  // The unit is never guessed, although the specification's own example omits it.
  if (unit === undefined) throw new CodedError('unit-unknown', { field })
  return microvolts(unit, field)
}

function rateOf({ period, interval, intervalUnit }: SampledData, field: string): number {
  const name = interval === undefined ? 'period' : intervalUnit === undefined ? 'intervalUnit' : 'interval'
  const periodMs = interval === undefined ? period : interval * (MILLISECONDS.get(intervalUnit ?? '') ?? Number.NaN)
  const rateHz = 1000 / (periodMs ?? Number.NaN)
  if (!(rateHz > 0 && rateHz < Number.POSITIVE_INFINITY))
    throw new CodedError('field-invalid', { field: `${field}.${name}` })
  // A period of 3.333 ms means 300 Hz.
  const whole = Math.round(rateHz)
  return Math.abs(rateHz - whole) <= 2e-4 * whole ? whole : rateHz
}

// Other forms that `Number` accepts (hexadecimal, Infinity) are not measurements.
const DECIMAL = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i

/** `E`: error; `U` and `L`: beyond the upper or lower limit, replaced by the limit if it is known. Dimensions are interleaved. */
function readValues(
  { data, dimensions }: SampledData,
  limits: { readonly upper: number; readonly lower: number },
  field: string,
): Pick<Series, 'columns' | 'isWhole'> {
  const room = Math.min(Math.ceil(data.length / 2), MAX_VALUES * dimensions)
  const values = new Float64Array(room)
  let isWhole = true
  let count = 0
  for (let at = 0; at < data.length; ) {
    if (isSpace(data.charCodeAt(at))) {
      at++
      continue
    }
    const start = at
    while (at < data.length && !isSpace(data.charCodeAt(at))) at++
    if (count === room) throw new CodedError('payload-too-large', { field, maxSeconds: MAX_DURATION_S })
    const token = data.slice(start, at)
    const value =
      token === 'E' ? Number.NaN : token === 'U' ? limits.upper : token === 'L' ? limits.lower : decimal(token)
    if (value === undefined) throw new CodedError('sample-invalid', { field, sample: Math.floor(count / dimensions) })
    isWhole &&= !(value % 1) || token === 'U' || token === 'L'
    values[count++] = value
  }
  if (count % dimensions !== 0) throw new CodedError('samples-uneven', { field })
  const length = count / dimensions
  const columns = Array.from({ length: dimensions }, (_, place) =>
    dimensions === 1
      ? values.subarray(0, length)
      : Float64Array.from({ length }, (_, i) => values[i * dimensions + place]!),
  )
  return { columns, isWhole }
}

const isSpace = (code: number) => code === 0x20 || (code >= 0x09 && code <= 0x0d)
const decimal = (token: string) => (DECIMAL.test(token) ? Number(token) : undefined)

/** Values of one lead in one stretch. */
export interface Stretch {
  readonly series: Series
  readonly dimension: number
}

/** Steps for a lead with fractional values, µV: the coarsest without loss, otherwise the finest that fits 32 bits. */
const STEPS_UV = [1, 0.1, 0.01, 0.001]

/**
 * Joins consecutive stretches into a lead. Whole values with one step keep that step; an origin between two steps is rounded.
 * @throws CodedError `sample-invalid` for a value that does not fit 32 bits
 */
export function leadOf(name: LeadName, stretches: readonly Stretch[], field: string): RecordedLead {
  const [first] = stretches
  const { stepUv, offsetUv } = first!.series
  const isOneStep = stretches.every(
    ({ series }) => series.isWhole && series.stepUv === stepUv && series.offsetUv === offsetUv,
  )
  const inMicrovolts = stretches.map(({ series, dimension }) => ({ values: series.columns[dimension]!, series }))
  const gainUv = isOneStep ? Math.abs(stepUv) : finestStep(inMicrovolts)
  const samples = new Int32Array(inMicrovolts.reduce((sum, { values }) => sum + values.length, 0))
  let at = 0
  for (const { values, series } of inMicrovolts) {
    const [factor, offset] = [series.stepUv / gainUv, series.offsetUv / gainUv]
    for (const value of values) {
      const step = Math.round(value * factor + offset)
      if (Math.abs(step) >= -MISSING_SAMPLE) throw new CodedError('sample-invalid', { field, sample: at })
      samples[at++] = Number.isNaN(step) ? MISSING_SAMPLE : step
    }
  }
  return { name, gainUv, samples }
}

function finestStep(parts: readonly { readonly values: Float64Array; readonly series: Series }[]): number {
  const every = (test: (microvolts: number) => boolean) =>
    parts.every(({ values, series }) =>
      values.every((value) => Number.isNaN(value) || test(series.offsetUv + series.stepUv * value)),
    )
  let fitting = STEPS_UV[0]!
  for (const step of STEPS_UV) {
    if (!every((value) => Math.abs(value / step) < -MISSING_SAMPLE)) break
    fitting = step
    if (every((value) => isWhole(value / step))) break
  }
  return fitting
}

/** Whole except for the rounding of decimal fractions. */
const isWhole = (value: number) => Math.abs(value - Math.round(value)) <= 1e-9 * Math.max(1, Math.abs(value))
