/**
 * A recording as a FHIR Observation, as an EHR would store it. `streams/formats/fhir` reads it.
 * @module
 */
import type { Observation } from '@medplum/fhirtypes'
import type { LeadName } from '../../shared/domain/leads.ts'
import { MISSING_SAMPLE, type Recording, sampleCount } from '../../shared/domain/recording.ts'

const MDC = 'urn:iso:std:iso:11073:10101'

/** ISO/IEEE 11073-10101, `MDC_ECG_ELEC_POTL` and its leads. */
const MDC_ECG = '131328'
const MDC_LEADS: Readonly<Record<LeadName, string>> = {
  I: '131329',
  II: '131330',
  III: '131389',
  aVR: '131390',
  aVL: '131391',
  aVF: '131392',
  V1: '131331',
  V2: '131332',
  V3: '131333',
  V4: '131334',
  V5: '131335',
  V6: '131336',
}

export interface EcgObservationOptions {
  /** `Patient/123` */
  readonly patient: string
  /** Start time for a recording that does not state one. */
  readonly now: Date
}

/** One component with SampledData per lead, in microvolts; a missing sample is `E`. */
export function ecgObservation(recording: Recording, { patient, now }: EcgObservationOptions): Observation {
  const { leads, rateHz } = recording
  const start = recording.startedAt ?? now.toISOString()
  const end = new Date(Date.parse(start) + (1000 * sampleCount(recording)) / rateHz).toISOString()
  return {
    resourceType: 'Observation',
    status: 'final',
    code: {
      coding: [
        { system: MDC, code: MDC_ECG, display: 'MDC_ECG_ELEC_POTL' },
        { system: 'http://loinc.org', code: '34534-8', display: '12 lead EKG panel' },
      ],
    },
    subject: { reference: patient },
    effectivePeriod: { start, end },
    component: leads.map(({ name, gainUv, samples }) => ({
      code: { coding: [{ system: MDC, code: MDC_LEADS[name] }], text: name },
      valueSampledData: {
        origin: { value: 0, unit: 'uV', system: 'http://unitsofmeasure.org', code: 'uV' },
        period: 1000 / rateHz,
        factor: gainUv,
        dimensions: 1,
        data: Array.from(samples, (sample) => (sample === MISSING_SAMPLE ? 'E' : sample)).join(' '),
      },
    })),
  }
}
