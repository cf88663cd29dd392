/**
 * Reads an Observation as a recording.
 * @module
 */
import { type LeadName, leadByName } from '../../../shared/domain/leads.ts'
import { checkDuration, checkRecording, type Recording } from '../../../shared/domain/recording.ts'
import type { ResultWarning } from '../../../shared/domain/warnings.ts'
import { CodedError } from '../../../shared/errors.ts'
import { said } from '../channels.ts'
import type { ReadOptions } from '../format.ts'
import { leadsOfConcept, meansEcg } from './leads.ts'
import type { CodeableConcept, Observation, SampledData } from './resources.ts'
import { leadOf, readSampledData, type Series, type Stretch } from './sampled-data.ts'

/** Data of one observation or component, with one or several leads. */
interface LeadData {
  readonly code: CodeableConcept
  readonly data: SampledData
  readonly field: string
}

/** Whether it contains the waveform of an ECG. Other waveforms (pulse, respiration) are ignored. */
export function holdsEcg(observation: Observation): boolean {
  const parts = waveforms(observation)
  return parts.some(({ code }) => leadsOfConcept(code).length > 0) || (parts.length > 0 && meansEcg(observation.code))
}

/** The leads that an observation names. */
export function leadsIn(observation: Observation): readonly LeadName[] {
  return [...new Set(waveforms(observation).flatMap(({ code }) => leadsOfConcept(code)))]
}

/**
 * One ECG from one observation, or from several with one lead each. A lead that occurs several times has consecutive stretches, as in
 * HealthKit exports and in the specification's R6 example. Waveforms that are not standard leads or cannot be read are left out.
 * @throws CodedError `lead-unknown`, `samples-uneven`, `field-invalid`, those of `readSampledData` and of `checkRecording`
 */
export function readObservation(observations: readonly Observation[], options: ReadOptions): Recording {
  const warnings: ResultWarning[] = []
  const { stretches, rateHz } = readStretches(
    leadParts(observations.flatMap(waveforms), options, warnings),
    options,
    warnings,
  )
  const [main] = observations
  const startedAt = startOf(main!)
  const heartRateBpm = heartRateOf(main!)
  return checkRecording({
    format: 'fhir',
    rateHz,
    leads: [...stretches].map(([name, parts]) => leadOf(name, parts, `${parts.at(-1)!.field}.data`)),
    ...(startedAt === undefined ? {} : { startedAt }),
    ...(heartRateBpm === undefined ? {} : { heartRateBpm }),
    ...said(warnings),
  })
}

interface LeadPart extends LeadData {
  readonly leads: readonly LeadName[]
}

/** The waveforms that are leads, with the caller's option for the only one. */
function leadParts(parts: readonly LeadData[], { lead }: ReadOptions, warnings: ResultWarning[]): LeadPart[] {
  const named = parts
    .map((part) => ({ ...part, leads: leadsOfConcept(part.code) }))
    .filter(({ leads }) => leads.length > 0)
  const distinct = new Set(named.flatMap(({ leads }) => leads))
  if (lead === undefined || distinct.size > 1) {
    if (named.length === 0) throw new CodedError('lead-unknown', { field: 'component.code' })
    if (lead !== undefined) warnings.push({ code: 'option-unused', field: 'lead' })
    return named
  }
  const only = named.length > 0 ? named : parts.filter(({ data }) => data.dimensions === 1)
  if (named.length === 0 && only.length !== 1) throw new CodedError('lead-unknown', { field: 'component.code' })
  return only.map((part) => ({ ...part, leads: [leadByName(lead)] }))
}

function readStretches(parts: readonly LeadPart[], options: ReadOptions, warnings: ResultWarning[]) {
  const stretches = new Map<LeadName, (Stretch & { readonly field: string })[]>()
  const left = new Set<LeadName>()
  const errors: CodedError[] = []
  let rateHz: number | undefined
  for (const part of parts) {
    try {
      const series = readSeries(part, options, rateHz)
      rateHz ??= series.rateHz
      for (const [dimension, name] of part.leads.entries()) {
        const soFar = stretches.get(name) ?? []
        const values = soFar.reduce((sum, { series }) => sum + series.columns[0]!.length, series.columns[0]!.length)
        checkDuration(values, rateHz, `${part.field}.data`)
        stretches.set(name, [...soFar, { series, dimension, field: part.field }])
      }
    } catch (error) {
      if (!(error instanceof CodedError) || error.code === 'payload-too-large') throw error
      errors.push(error)
      for (const name of part.leads) left.add(name)
    }
  }
  // A lead with a missing stretch is no longer aligned in time.
  for (const name of left) stretches.delete(name)
  if (rateHz === undefined || stretches.size === 0)
    throw errors[0] ?? new CodedError('lead-unknown', { field: 'component.code' })
  if (left.size > 0) warnings.push({ code: 'lead-left-out', leads: [...left] })
  return { stretches, rateHz }
}

function readSeries(part: LeadPart, options: ReadOptions, rateHz: number | undefined): Series {
  if (part.leads.length !== part.data.dimensions)
    throw new CodedError('lead-unknown', { field: `${part.field}.dimensions` })
  const series = readSampledData(part.data, part.field, options)
  if (rateHz !== undefined && series.rateHz !== rateHz)
    throw new CodedError('rate-unsupported', { field: `${part.field}.period` })
  return series
}

function waveforms({ code, valueSampledData, component }: Observation): LeadData[] {
  const own = valueSampledData === undefined ? [] : [{ code, data: valueSampledData, field: 'valueSampledData' }]
  const parts = component.flatMap(({ code, valueSampledData: data }, index) =>
    data === undefined ? [] : [{ code, data, field: `component[${index}].valueSampledData` }],
  )
  return [...own, ...parts]
}

/** A date without a time does not tell when the first sample was recorded. */
function startOf({ effectiveDateTime, effectiveInstant, effectivePeriod }: Observation): string | undefined {
  const text = effectiveInstant ?? effectiveDateTime ?? effectivePeriod?.start
  if (text === undefined || !/^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(text)) return undefined
  // As in the other formats, a time without a zone (which FHIR does not allow) is read as UTC, not as the machine's time.
  const at = Date.parse(/(?:Z|[+-]\d\d:\d\d)$/.test(text) ? text : `${text}Z`)
  return Number.isNaN(at) ? undefined : new Date(at).toISOString()
}

/** LOINC 8867-4, heart rate, if the device measured it. */
function heartRateOf({ component }: Observation): number | undefined {
  const stated = component.find(({ code }) => code.coding.some(({ code }) => code === '8867-4'))?.valueQuantity?.value
  return stated !== undefined && stated > 0 && stated < 400 ? stated : undefined
}
