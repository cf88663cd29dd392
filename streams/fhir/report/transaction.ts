/**
 * Parts of all our transactions: entries that are created once, however often they are sent, and the model that is their author.
 * @module
 */
import type {
  Device,
  DiagnosticReport,
  DocumentReference,
  ImagingStudy,
  Observation,
  Provenance,
  RiskAssessment,
} from '@medplum/fhirtypes'
import { v5 as uuidv5 } from 'uuid'
import { NOTICE } from '../../../shared/domain/result.ts'
import { AIAST } from '../ours.ts'
import { MODEL_ID } from './codes.ts'

type Written = DiagnosticReport | RiskAssessment | Observation | ImagingStudy | DocumentReference | Device | Provenance

/** Marks a resource as made by a machine. */
export const meta = () => ({ security: [{ ...AIAST }] })

/** Creates a resource unless one exists that meets the condition. Its name within the Bundle is derived from the condition. */
export function entry(resource: Written, condition: string) {
  return {
    fullUrl: `urn:uuid:${uuidv5(condition, uuidv5.URL)}`,
    resource,
    request: { method: 'POST' as const, url: resource.resourceType, ifNoneExist: condition },
  }
}

export const reference = ({ fullUrl }: { readonly fullUrl: string }) => ({ reference: fullUrl })

/** A model as a Device: a description, and `name@version` and SHA-256 of its bundle. */
export function modelEntry(what: string, bundle: string, sha256: string) {
  const [name = '', version] = bundle.split('@')
  const device: Device = {
    resourceType: 'Device',
    meta: meta(),
    identifier: [{ system: MODEL_ID, value: sha256 }],
    status: 'active',
    deviceName: [{ name, type: 'model-name' }],
    ...(version === undefined ? {} : { version: [{ value: version }] }),
    type: { text: what },
    note: [{ text: NOTICE }],
  }
  return entry(device, `identifier=${MODEL_ID}|${sha256}`)
}
