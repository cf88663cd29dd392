/**
 * Whose an ECG of the EHR is: what the resource that holds it says.
 * @module
 */
import { CodedError } from '../../shared/errors.ts'
import type { FhirResource } from '../../streams/fhir/client.ts'

export interface Whose {
  readonly patient: string
  readonly encounter?: string
  readonly source?: string
}

const PATIENT = /^(?:.*\/)?(Patient\/[A-Za-z0-9\-.]{1,64})$/
const ENCOUNTER = /^(?:.*\/)?(Encounter\/[A-Za-z0-9\-.]{1,64})$/

/** The patient and encounter that a resource of this EHR names; an absolute reference leads to the same server, as the EHR checks. */
export function whoseResource({ subject, encounter }: FhirResource, source: string): Whose {
  const patient = PATIENT.exec(referenceIn(subject) ?? '')?.[1]
  // Whoever gives it a subject can redrive it.
  if (patient === undefined) throw new CodedError('field-invalid', { field: 'subject' })
  const visit = ENCOUNTER.exec(referenceIn(encounter) ?? '')?.[1]
  return { patient, source, ...(visit === undefined ? {} : { encounter: visit }) }
}

function referenceIn(value: unknown): string | undefined {
  const isReference = typeof value === 'object' && value !== null && 'reference' in value
  return isReference && typeof value.reference === 'string' ? value.reference : undefined
}
