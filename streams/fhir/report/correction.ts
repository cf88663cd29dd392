/**
 * Text of a correction against the report that it replaces: a flag that was removed must not go unnoticed.
 * @module
 */
import type { CodeableConcept, DiagnosticReport, Observation, RiskAssessment } from '@medplum/fhirtypes'
import { CONDITION_IDS, CONDITION_NAMES, type ConditionId } from '../../../shared/domain/conditions.ts'
import type { Finding } from '../../../shared/domain/result.ts'
import { conditionConcept, riskConcept } from './codes.ts'

type Replaced = DiagnosticReport | RiskAssessment | Observation

/**
 * Describes what changed.
 * @param replaces resources of the earlier report, as they are in the EHR
 * @param findings findings of the new report
 */
export function describeCorrection(replaces: readonly Replaced[], findings: readonly Finding[]): string {
  const isFlagged = (id: ConditionId) =>
    findings.some(({ condition, flagged, withheld }) => condition === id && flagged && withheld === undefined)
  const gone = flaggedIn(replaces).filter((id) => !isFlagged(id))
  const names = gone.map((id) => CONDITION_NAMES.get(id) ?? id)
  const change =
    gone.length === 0
      ? 'Every condition that was above its threshold there is so here.'
      : `NO LONGER ABOVE THRESHOLD, though the earlier report said so: ${names.join('; ')}.`
  return `This report replaces an earlier one. ${change}`
}

const ABOVE = riskConcept({ flagged: true })

function flaggedIn(replaces: readonly Replaced[]): readonly ConditionId[] {
  const predictions = replaces.flatMap((each) =>
    each.resourceType === 'RiskAssessment' ? (each.prediction ?? []) : [],
  )
  const above = predictions.filter(({ qualitativeRisk }) => isAlike(qualitativeRisk, ABOVE))
  return CONDITION_IDS.filter((id) => above.some(({ outcome }) => isAlike(outcome, conditionConcept(id))))
}

/** Whether two concepts share a code. */
function isAlike(one: CodeableConcept | undefined, other: CodeableConcept): boolean {
  return (one?.coding ?? []).some(({ system, code }) =>
    (other.coding ?? []).some((each) => each.system === system && each.code === code),
  )
}
