/**
 * Validation with the `fhir` package: structure, cardinality, required codes.
 * @module
 */
import fhirPackage from 'fhir/fhir.js'
import { FhirError, type Resource } from './resource.ts'

// A CommonJS package whose compiled exports Node does not recognise by name.
const validator = new fhirPackage.Fhir()

/** Problems of a resource (or a Bundle of them), one per line; empty when it is valid FHIR R4. */
export function problemsOf(resource: object): readonly string[] {
  const { messages } = validator.validate(resource, { errorOnUnexpected: true })
  return messages
    .filter(({ severity }) => severity === 'error' || severity === 'fatal')
    .map(({ location, message }) => `${location}: ${message}`)
}

/** @throws FhirError 422 */
export function checkValid(resource: Resource): void {
  const [first] = problemsOf(resource)
  if (first !== undefined) throw new FhirError(422, 'structure', first)
}
