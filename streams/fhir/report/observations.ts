/**
 * The indices as Observations: one for each value of a whole chamber or vessel, and one with components for the segments of the wall.
 * @module
 */
import type { Observation, ObservationComponent, Quantity } from '@medplum/fhirtypes'
import { LEADS } from '../../../shared/domain/leads.ts'
import type { IndexEstimate } from '../../../shared/domain/result.ts'
import {
  correlationConcept,
  EKG_MEMBERS,
  EKG_PANEL,
  EVIDENCE_TEXT,
  HEART_RATE,
  indexConcept,
  intervalConcept,
  notJudged,
  PROCEDURE,
  qualityCode,
  UCUM,
} from './codes.ts'
import type { Screening } from './screening.ts'

/** An Observation without its identifier, patient and marks. */
export type Content = Pick<
  Observation,
  'category' | 'code' | 'method' | 'valueQuantity' | 'valueCodeableConcept' | 'dataAbsentReason' | 'component' | 'note'
>

/** An Observation, and the suffix of its identifier. */
export interface Part {
  readonly name: string
  readonly content: Content
}

const METHOD = { text: 'Estimated from the ECG by a model; not measured by imaging' }

/** `wallThicknessAha7` → group `wallThickness`. */
const SEGMENT = /^(\w+?)(?:Aha|Segment)\d+$/

const GROUP_NAMES: Readonly<Record<string, string>> = {
  wallThickness: 'LV mean wall thickness by AHA segment',
  circumferentialStrain: 'LV peak circumferential strain by AHA segment',
  radialStrain: 'LV peak radial strain by AHA segment',
  longitudinalStrain: 'LV peak longitudinal strain by segment',
}

export function indexParts(indices: readonly IndexEstimate[]): readonly Part[] {
  const groups = Object.groupBy(indices, ({ id }) => SEGMENT.exec(id)?.[1] ?? '')
  const { '': whole = [], ...segments } = groups
  return [
    ...whole.map((index) => ({ name: index.id, content: oneIndex(index) })),
    ...Object.entries(segments).map(([group, members = []]) => ({
      name: `${group}Segments`,
      content: segmentIndices(`${group}Segments`, GROUP_NAMES[group] ?? group, members),
    })),
  ]
}

function oneIndex(index: IndexEstimate): Content {
  return {
    category: [PROCEDURE],
    code: indexConcept(index.id, index.name),
    method: METHOD,
    valueQuantity: quantity(index.value, index.unit),
    component: [interval(index), { code: correlationConcept, valueQuantity: quantity(index.correlation, '1') }],
    note: [{ text: reliability([index]) }],
  }
}

function segmentIndices(id: string, name: string, members: readonly IndexEstimate[]): Content {
  return {
    category: [PROCEDURE],
    code: indexConcept(id, name),
    method: METHOD,
    component: members.flatMap((index) => [
      { code: indexConcept(index.id, index.name), valueQuantity: quantity(index.value, index.unit) },
      interval(index),
    ]),
    note: [{ text: reliability(members) }],
  }
}

/** A component, because `referenceRange` means what is normal, and this is the uncertainty of the estimate. */
function interval({ id, name, low, high, unit }: IndexEstimate): ObservationComponent {
  return {
    code: intervalConcept(id, name),
    valueRange: { low: quantity(low, unit), high: quantity(high, unit) },
  }
}

/** The reliability of the estimate, as text that stays with the value. */
function reliability(indices: readonly IndexEstimate[]): string {
  const correlations = indices.map(({ correlation }) => correlation)
  const [least, most] = [Math.min(...correlations), Math.max(...correlations)].map((value) => value.toFixed(2))
  const range = least === most ? `r = ${least}` : `r = ${least} to ${most}`
  const [{ evidence }] = indices as readonly [IndexEstimate] // a group has a member
  return `A model's estimate from an ECG, ${EVIDENCE_TEXT[evidence]}. Correlation with the measured value on held-out people: ${range}. The interval holds the measured value in 90% of such people.`
}

const MEMBER_UNITS = { Ms: 'ms', Degrees: 'deg' } as const

/** Measurements of the ECG as members of LOINC's panel; empty when there are none. */
export function measurementParts({ measurements }: Pick<Screening, 'measurements'>): readonly Part[] {
  if (measurements === undefined) return []
  const { method, heartRateBpm } = measurements
  const members = Object.entries(EKG_MEMBERS).flatMap(([name, code]): ObservationComponent[] => {
    const value = measurements[name as keyof typeof EKG_MEMBERS] // the table's own keys
    const unit = name.endsWith('Ms') ? MEMBER_UNITS.Ms : MEMBER_UNITS.Degrees
    return value === undefined ? [] : [{ code, valueQuantity: quantity(value, unit) }]
  })
  const rate: ObservationComponent[] =
    heartRateBpm === undefined
      ? []
      : [{ code: HEART_RATE, valueQuantity: quantity(heartRateBpm, '/min', 'beats/minute') }]
  if (members.length + rate.length === 0) return []
  const content: Content = {
    category: [PROCEDURE],
    code: EKG_PANEL,
    method: { text: `Measured on the median beat by software (${method}); not over-read` },
    component: [...rate, ...members],
  }
  return [{ name: 'measurements', content }]
}

/** Signal quality; for a refused ECG also the reason why there is nothing else. */
export function qualityPart({ quality, session }: Screening): Part {
  const { verdict, reasons, leads, heartRateBpm } = quality
  const components: ObservationComponent[] = [
    ...(heartRateBpm === null
      ? []
      : [{ code: HEART_RATE, valueQuantity: quantity(heartRateBpm, '/min', 'beats/minute') }]),
    ...(leads === undefined
      ? []
      : LEADS.map((lead) => {
          const code = qualityCode(`lead-${lead}`, `Signal quality of lead ${lead}`)
          const given = leads[lead]
          return given === 'acceptable'
            ? { code, valueCodeableConcept: qualityCode('acceptable', 'acceptable') }
            : { code, dataAbsentReason: notJudged([given]) }
        })),
    ...(session === undefined
      ? []
      : [
          count('windows-screened', 'Windows of ten seconds that were screened', session.screenedWindows),
          count('windows-refused', 'Windows of ten seconds that the quality gate refused', session.refusedWindows),
        ]),
  ]
  const content: Content = {
    category: [PROCEDURE],
    code: qualityCode('signal-quality', 'Signal quality of the ECG'),
    ...(verdict === 'acceptable'
      ? { valueCodeableConcept: qualityCode('acceptable', 'acceptable') }
      : { dataAbsentReason: notJudged(reasons) }),
    ...(components.length === 0 ? {} : { component: components }),
  }
  return { name: 'quality', content }
}

const count = (code: string, name: string, value: number): ObservationComponent => ({
  code: qualityCode(code, name),
  valueQuantity: quantity(value, '1', 'windows'),
})

/** Six significant digits; more would exceed the model's precision. */
const quantity = (value: number, code: string, unit = code): Quantity => ({
  value: Number(value.toPrecision(6)),
  unit,
  system: UCUM,
  code,
})
