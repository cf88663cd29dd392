/**
 * FHIR resources that hold an ECG, for tests and for sandboxes.
 * @module
 */
import { LEADS, type LeadName } from '../../shared/domain/leads.ts'
import { MISSING_SAMPLE, type RecordedLead, type Recording } from '../../shared/domain/recording.ts'

export const MDC = 'urn:iso:std:iso:11073:10101'

/** https://build.fhir.org/ig/HL7/uv-pocd/ValueSet-11073MDC-metric.html: MDC_ECG_ELEC_POTL_I is 131329. */
export const MDC_LEAD_CODES: Readonly<Record<LeadName, string>> = {
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

export interface SampledLead {
  readonly code: unknown
  readonly valueSampledData: Readonly<Record<string, unknown>>
}

export function sampledData({ samples, gainUv }: RecordedLead, rateHz: number) {
  return {
    origin: { value: 0, unit: 'uV', system: 'http://unitsofmeasure.org', code: 'uV' },
    period: 1000 / rateHz,
    factor: gainUv,
    dimensions: 1,
    data: Array.from(samples, (sample) => (sample === MISSING_SAMPLE ? 'E' : String(sample))).join(' '),
  }
}

export function component(lead: RecordedLead, rateHz: number): SampledLead {
  return {
    code: { coding: [{ system: MDC, code: MDC_LEAD_CODES[lead.name] }] },
    valueSampledData: sampledData(lead, rateHz),
  }
}

/** A valid R4 Observation of a recording: LOINC and MDC panel code, a component a lead. */
export function ecgObservation(
  { leads, rateHz, startedAt = '2026-03-04T05:06:07.000Z' }: Recording,
  subject = 'Patient/1',
) {
  return {
    resourceType: 'Observation',
    status: 'final',
    code: {
      coding: [
        { system: 'http://loinc.org', code: '11524-6' },
        { system: MDC, code: '131328' },
      ],
    },
    subject: { reference: subject },
    effectiveDateTime: startedAt,
    component: leads
      .toSorted((a, b) => LEADS.indexOf(a.name) - LEADS.indexOf(b.name))
      .map((lead) => component(lead, rateHz)),
  }
}
