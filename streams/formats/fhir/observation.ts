/**
 * An Observation as a recording.
 * @module
 */
import { type LeadName, leadByName } from '../../../shared/domain/leads.ts'
import { checkDuration, checkRecording, type Recording } from '../../../shared/domain/recording.ts'
import { CodedError } from '../../../shared/errors.ts'
import type { ParseOptions } from '../format.ts'
import { leadsOfConcept, meansEcg } from './leads.ts'
import type { CodeableConcept, Observation, SampledData } from './resources.ts'
import { leadOf, readSampledData, type Series, type Stretch } from './sampled-data.ts'

/** What one observation, or one of its components, says of one or several leads. */
interface LeadData {
  readonly code: CodeableConcept
  readonly data: SampledData
  readonly field: string
}

/** Whether there is a waveform of an ECG in it. Other waveforms (a pulse, a respiration) are none of ours. */
export function holdsEcg(observation: Observation): boolean {
  const parts = waveforms(observation)
  return parts.some(({ code }) => leadsOfConcept(code).length > 0) || (parts.length > 0 && meansEcg(observation.code))
}

/** The leads that an observation names. */
export function leadsIn(observation: Observation): readonly LeadName[] {
  return [...new Set(waveforms(observation).flatMap(({ code }) => leadsOfConcept(code)))]
}

/**
 * One ECG of one observation, or of several that hold a lead each. A lead that comes several times comes in consecutive stretches,
 * as HealthKit exports and the specification's R6 example have it. Waveforms of no standard lead are left out.
 * @throws CodedError `lead-unknown`, `samples-uneven`, `field-invalid`, those of `readSampledData` and of `checkRecording`
 */
export function readObservation(observations: readonly Observation[], { unit, lead }: ParseOptions): Recording {
  const stretches = new Map<LeadName, Stretch[]>()
  const parts = observations.flatMap(waveforms)
  const named = parts.some(({ code }) => leadsOfConcept(code).length > 0)
  const assumed = !named && parts.length === 1 && lead !== undefined ? [leadByName(lead)] : []
  let rateHz: number | undefined
  let field = 'component'
  for (const part of parts) {
    const leads = named ? leadsOfConcept(part.code) : assumed
    if (leads.length === 0) continue
    field = part.field
    if (leads.length !== part.data.dimensions)
      throw new CodedError('lead-unknown', { field: `${part.field}.dimensions` })
    const series: Series = readSampledData(part.data, part.field, unit)
    rateHz ??= series.rateHz
    if (series.rateHz !== rateHz) throw new CodedError('rate-unsupported', { field: `${part.field}.period` })
    for (const [dimension, lead] of leads.entries()) {
      const soFar = stretches.get(lead) ?? []
      const values = soFar.reduce((sum, stretch) => sum + stretch.series.columns[0]!.length, series.columns[0]!.length)
      checkDuration(values, rateHz, `${part.field}.data`)
      stretches.set(lead, [...soFar, { series, dimension }])
    }
  }
  if (rateHz === undefined) throw new CodedError('lead-unknown', { field: 'component.code' })
  const [main] = observations
  const startedAt = startOf(main!)
  const heartRateBpm = heartRateOf(main!)
  return checkRecording({
    format: 'fhir',
    rateHz,
    leads: [...stretches].map(([name, parts]) => leadOf(name, parts, `${field}.data`)),
    ...(startedAt === undefined ? {} : { startedAt }),
    ...(heartRateBpm === undefined ? {} : { heartRateBpm }),
  })
}

function waveforms({ code, valueSampledData, component }: Observation): LeadData[] {
  const own = valueSampledData === undefined ? [] : [{ code, data: valueSampledData, field: 'valueSampledData' }]
  const parts = component.flatMap(({ code, valueSampledData: data }, index) =>
    data === undefined ? [] : [{ code, data, field: `component[${index}].valueSampledData` }],
  )
  return [...own, ...parts]
}

/** A day alone says nothing of when the first sample was taken. */
function startOf({ effectiveDateTime, effectiveInstant, effectivePeriod }: Observation): string | undefined {
  const text = effectiveInstant ?? effectiveDateTime ?? effectivePeriod?.start
  if (text === undefined || !/^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(text)) return undefined
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : new Date(at).toISOString()
}

/** LOINC 8867-4, heart rate, where the device counted it itself. */
function heartRateOf({ component }: Observation): number | undefined {
  const stated = component.find(({ code }) => code.coding.some(({ code }) => code === '8867-4'))?.valueQuantity?.value
  return stated !== undefined && stated > 0 && stated < 400 ? stated : undefined
}
