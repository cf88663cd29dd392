/**
 * FHIR resources of the sandbox, and its error responses.
 * @module
 */

/** Any FHIR R4 resource, as JSON. */
export interface Resource {
  readonly resourceType: string
  readonly id?: string | undefined
  readonly meta?: Meta | undefined
  readonly [element: string]: unknown
}

export interface Meta {
  readonly versionId?: string | undefined
  readonly lastUpdated?: string | undefined
  readonly [element: string]: unknown
}

/** A stored resource, with id and version. */
export interface StoredResource extends Resource {
  readonly id: string
  readonly meta: Meta & { readonly versionId: string; readonly lastUpdated: string }
}

/** `Observation/123` */
export const referenceTo = ({ resourceType, id }: StoredResource) => `${resourceType}/${id}`

/** A request that cannot be fulfilled: an OperationOutcome with an HTTP status. */
export class FhirError extends Error {
  override readonly name = 'FhirError'
  readonly status: number
  /** https://hl7.org/fhir/R4/valueset-issue-type.html */
  readonly type: string

  constructor(status: number, type: string, diagnostics: string) {
    super(diagnostics)
    this.status = status
    this.type = type
  }

  get outcome(): Resource {
    return {
      resourceType: 'OperationOutcome',
      issue: [{ severity: 'error', code: this.type, diagnostics: this.message }],
    }
  }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** @throws FhirError 400 for a value that is not a resource */
export function toResource(value: unknown): Resource {
  if (isObject(value) && typeof value.resourceType === 'string') return value as Resource // the validator checks the rest
  throw new FhirError(400, 'structure', 'the body is no FHIR resource')
}

/** Every `reference` in a value, at any depth. */
export function* references(value: unknown): Generator<string> {
  if (Array.isArray(value)) for (const item of value) yield* references(item)
  else if (isObject(value)) {
    for (const [name, item] of Object.entries(value)) {
      if (name === 'reference' && typeof item === 'string') yield item
      else yield* references(item)
    }
  }
}

/** The value with each `reference` replaced. */
export function withReferences<T>(value: T, replace: (reference: string) => string): T {
  const visit = (item: unknown, name?: string): unknown => {
    if (name === 'reference' && typeof item === 'string') return replace(item)
    if (Array.isArray(item)) return item.map((each) => visit(each))
    if (isObject(item)) return Object.fromEntries(Object.entries(item).map(([key, each]) => [key, visit(each, key)]))
    return item
  }
  return visit(value) as T // the same shape: only strings were changed
}
