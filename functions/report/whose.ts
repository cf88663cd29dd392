/**
 * The patient of an ECG from the EHR, as the resource that holds it says.
 * @module
 */
import { CodedError } from '../../shared/errors.ts'
import type { EhrClient, FhirResource } from '../../streams/fhir/client.ts'
import { isWithdrawn } from '../../streams/formats/fhir/resources.ts'

export interface Whose {
  readonly patient: string
  readonly encounter?: string
  readonly source?: string
}

/** A reference to one version of a resource: https://hl7.org/fhir/R4/references.html#literal */
const VERSION = /\/_history\/[A-Za-z0-9\-.]{1,64}$/
const PATIENT = /^Patient\/[A-Za-z0-9\-.]{1,64}$/
const ENCOUNTER = /^Encounter\/[A-Za-z0-9\-.]{1,64}$/

/**
 * The patient and encounter of an ECG, as the EHR has it now.
 * @returns `withdrawn` for an ECG that became `entered-in-error` or `cancelled` after it was read
 * @throws CodedError those of `whoseResource` and of the client
 */
export async function whoseInChart(
  ehr: Pick<EhrClient, 'baseUrl' | 'read'>,
  source: string,
): Promise<Whose | 'withdrawn'> {
  const resource = await ehr.read(source)
  return isWithdrawn(resource) ? 'withdrawn' : whoseResource(resource, source, ehr.baseUrl)
}

/**
 * The patient and encounter that a resource of this EHR names. `Patient/1` of another server is another person, so a reference outside
 * `baseUrl` names no patient here.
 * @throws CodedError `origin-foreign` for a patient on another server, `field-invalid` without a patient
 */
export function whoseResource({ subject, encounter }: FhirResource, source: string, baseUrl: string): Whose {
  const here = (reference: string | undefined) => reference?.replace(`${baseUrl}/`, '').replace(VERSION, '') ?? ''
  const named = here(referenceIn(subject))
  const patient = PATIENT.exec(named)?.[0]
  if (patient === undefined && named.includes(':')) throw new CodedError('origin-foreign', { field: 'subject' })
  // An operator who adds a subject can redrive the message.
  if (patient === undefined) throw new CodedError('field-invalid', { field: 'subject' })
  const visit = ENCOUNTER.exec(here(referenceIn(encounter)))?.[0]
  return { patient, source, ...(visit === undefined ? {} : { encounter: visit }) }
}

function referenceIn(value: unknown): string | undefined {
  const isReference = typeof value === 'object' && value !== null && 'reference' in value
  return isReference && typeof value.reference === 'string' ? value.reference : undefined
}
