/**
 * The codes of a report. LOINC is used only for the same concept without a method: most cardiac terms there are "by US" or "by MR", and a
 * model's estimate from an ECG is neither. All others are in our own code systems.
 * @module
 */
import type { CodeableConcept, Coding } from '@medplum/fhirtypes'
import type { ConditionId } from '../../../shared/domain/conditions.ts'
import type { Evidence, Finding } from '../../../shared/domain/result.ts'

export const LOINC = 'http://loinc.org'
export const UCUM = 'http://unitsofmeasure.org'
const SNOMED = 'http://snomed.info/sct'

/** Identifiers: of one version of a result, of the ECG or session that it is about, and of the model. */
export const RESULT_ID = 'urn:cardiacnets:result'
export const ECG_ID = 'urn:cardiacnets:ecg'
export const SESSION_ID = 'urn:cardiacnets:session'
/** Of one drawing: (ECG, its version if above 1, seed, sampler, model), so that drawing the same again makes no duplicate. */
export const CINE_ID = 'urn:cardiacnets:cine'
export const MODEL_ID = 'urn:cardiacnets:model-sha256'
export const INPUT_ID = 'urn:cardiacnets:input-sha256'

const FINDING = 'urn:cardiacnets:finding'
const INDEX = 'urn:cardiacnets:index'
const QUALITY = 'urn:cardiacnets:quality'

export const EKG_STUDY: CodeableConcept = { coding: [{ system: LOINC, code: '11524-6', display: 'EKG study' }] }
export const HEART_RATE: CodeableConcept = { coding: [{ system: LOINC, code: '8867-4', display: 'Heart rate' }] }

const ekg = (code: string, display: string): Coding => ({ system: LOINC, code, display })

/** The panel of ECG measurements and its members (loinc.org, looked up in November 2026). */
export const EKG_PANEL: CodeableConcept = { coding: [ekg('34534-8', '12 lead EKG panel')] }
export const EKG_MEMBERS = {
  prMs: { coding: [ekg('8625-6', 'P-R Interval')] },
  qrsMs: { coding: [ekg('8633-0', 'QRS duration')] },
  qtMs: { coding: [ekg('8634-8', 'Q-T interval')] },
  // 8636-3 names no formula. A reader who looks for "QTc" finds Bazett's, which most devices mean by it.
  qtcBazettMs: {
    coding: [ekg('8636-3', 'Q-T interval corrected'), ekg('76635-2', 'Q-T interval corrected based on Bazett formula')],
  },
  qtcFridericiaMs: { coding: [ekg('76634-5', 'Q-T interval corrected based on Fridericia formula')] },
  axisDegrees: { coding: [ekg('8632-6', 'QRS axis')] },
} as const satisfies Record<string, CodeableConcept>

/** https://terminology.hl7.org/CodeSystem-v2-0074.html */
export const ELECTROCARDIAC: CodeableConcept = {
  coding: [
    {
      system: 'http://terminology.hl7.org/CodeSystem/v2-0074',
      code: 'EC',
      display: 'Electrocardiac (e.g., EKG, EEC, Holter)',
    },
  ],
}
export const PROCEDURE: CodeableConcept = {
  coding: [
    { system: 'http://terminology.hl7.org/CodeSystem/observation-category', code: 'procedure', display: 'Procedure' },
  ],
}

const CONDITIONS: Readonly<Record<ConditionId, Coding>> = {
  cad: { system: SNOMED, code: '53741008', display: 'Coronary arteriosclerosis' },
  cm: { system: SNOMED, code: '85898001', display: 'Cardiomyopathy' },
  pericarditis: { system: SNOMED, code: '3238004', display: 'Pericarditis' },
  hf: { system: SNOMED, code: '84114007', display: 'Heart failure' },
  ph: { system: SNOMED, code: '70995007', display: 'Pulmonary hypertension' },
}

export const conditionConcept = (id: ConditionId): CodeableConcept => ({ coding: [CONDITIONS[id]] })

/** LOINC 10230-1, "Left ventricular Ejection fraction", names no method. */
const INDEX_LOINC: ReadonlyMap<string, Coding> = new Map([
  ['lvEf', { system: LOINC, code: '10230-1', display: 'Left ventricular Ejection fraction' }],
])

export function indexConcept(id: string, name: string): CodeableConcept {
  const loinc = INDEX_LOINC.get(id)
  return { coding: [...(loinc ? [loinc] : []), { system: INDEX, code: id, display: name }], text: name }
}

/** Concept of an index's 90% interval. */
export const intervalConcept = (id: string, name: string): CodeableConcept => ({
  coding: [{ system: INDEX, code: `${id}-interval-90`, display: `${name}, 90% interval` }],
})

export const correlationConcept: CodeableConcept = {
  coding: [{ system: INDEX, code: 'correlation', display: 'Correlation with the measured value on held-out people' }],
}

/** Replaces HL7's `risk-probability`, whose terms (low, high, certain) suggest a likelihood; a threshold is not one. */
export function riskConcept({ flagged: isFlagged, withheld }: Pick<Finding, 'flagged' | 'withheld'>): CodeableConcept {
  if (withheld !== undefined) {
    const text = `withheld: ${withheld.reason}`
    return { coding: [{ system: FINDING, code: 'withheld', display: text }], text }
  }
  const text = `${isFlagged ? 'above' : 'below'} the threshold of the model`
  return { coding: [{ system: FINDING, code: isFlagged ? 'above-threshold' : 'below-threshold', display: text }], text }
}

export const EVIDENCE_TEXT: Readonly<Record<Evidence, string>> = {
  real: "learned from real patients' labels",
  teacher: "learned from a published model's reading of real ECGs",
  proxy: "learned from a stand-in for real patients' labels",
  virtual: 'learned from simulated people',
}

export const qualityCode = (code: string, display: string): CodeableConcept => ({
  coding: [{ system: QUALITY, code, display }],
})

/** Why there is no value: https://terminology.hl7.org/CodeSystem-data-absent-reason.html, and our own reasons beside it. */
export function notJudged(reasons: readonly string[]): CodeableConcept {
  return {
    coding: [
      {
        system: 'http://terminology.hl7.org/CodeSystem/data-absent-reason',
        code: 'not-performed',
        display: 'Not Performed',
      },
      ...reasons.map((reason) => ({ system: QUALITY, code: reason })),
    ],
    text: `refused by the quality gate: ${reasons.join(', ')}`,
  }
}
