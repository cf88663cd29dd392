/**
 * The elements of FHIR resources that can contain an ECG, in R4 and as changed in R5. All others are ignored.
 * @module
 */
import * as z from 'zod'
import { CodedError } from '../../../shared/errors.ts'

const text = z.string().optional()
const number = z.number().optional()

const Coding = z.object({ system: text, code: text, display: text })
export type Coding = z.infer<typeof Coding>

const CodeableConcept = z.object({ coding: z.array(Coding).default([]), text })
export type CodeableConcept = z.infer<typeof CodeableConcept>

const Quantity = z.object({ value: number, unit: text, system: text, code: text })

const Reference = z.object({ reference: text })

/** https://hl7.org/fhir/R4/datatypes.html#SampledData; `interval`, `offsets` and `codeMap` are of R5. */
const SampledData = z.object({
  origin: Quantity,
  period: number,
  interval: number,
  intervalUnit: text,
  factor: z.number().default(1),
  lowerLimit: number,
  upperLimit: number,
  dimensions: z.int().min(1).max(64).default(1),
  offsets: text,
  codeMap: text,
  data: z.string(),
})
export type SampledData = z.infer<typeof SampledData>

const Component = z.object({
  code: CodeableConcept,
  valueSampledData: SampledData.optional(),
  valueQuantity: Quantity.optional(),
})

const Attachment = z.object({ contentType: text, data: text, url: text, title: text })
export type Attachment = z.infer<typeof Attachment>

const Common = z.object({
  id: text,
  status: z.unknown().optional(),
  docStatus: z.unknown().optional(),
  subject: Reference.optional(),
  contained: z.array(z.unknown()).default([]),
})

const Observation = Common.extend({
  resourceType: z.literal('Observation'),
  code: CodeableConcept.default({ coding: [], text: undefined }),
  effectiveDateTime: text,
  effectiveInstant: text,
  effectivePeriod: z.object({ start: text }).optional(),
  valueSampledData: SampledData.optional(),
  component: z.array(Component).default([]),
  hasMember: z.array(Reference).default([]),
  derivedFrom: z.array(Reference).default([]),
})
export type Observation = z.infer<typeof Observation>

const Patient = Common.extend({ resourceType: z.literal('Patient'), gender: text, birthDate: text })
export type Patient = z.infer<typeof Patient>

const EcgResource = z.discriminatedUnion('resourceType', [
  Observation,
  Common.extend({
    resourceType: z.literal('DocumentReference'),
    content: z.array(z.object({ attachment: Attachment.optional() })).default([]),
  }),
  Common.extend({ resourceType: z.literal('Media'), content: Attachment.optional() }),
  z.object({ resourceType: z.literal('Binary'), id: text, contentType: text, data: text }),
  Common.extend({
    resourceType: z.literal('DiagnosticReport'),
    result: z.array(Reference).default([]),
    media: z.array(z.object({ link: Reference.optional() })).default([]),
    presentedForm: z.array(Attachment).default([]),
  }),
  z.object({
    resourceType: z.literal('Bundle'),
    entry: z.array(z.object({ fullUrl: text, resource: z.unknown().optional() })).default([]),
  }),
  Patient,
])
export type EcgResource = z.infer<typeof EcgResource>

/** Resource types that may contain an ECG. */
export const ECG_RESOURCE_TYPES: readonly string[] = [
  'Observation',
  'DocumentReference',
  'Media',
  'Binary',
  'DiagnosticReport',
  'Bundle',
]

/**
 * Parses a resource.
 * @returns `undefined` for a resource of another type
 * @throws CodedError `field-invalid` naming the first invalid field
 */
export function parseResource(json: unknown): EcgResource | undefined {
  const type = typeof json === 'object' && json !== null && 'resourceType' in json ? json.resourceType : undefined
  if (typeof type !== 'string') throw new CodedError('field-invalid', { field: 'resourceType' })
  if (type !== 'Patient' && !ECG_RESOURCE_TYPES.includes(type)) return undefined
  const parsed = EcgResource.safeParse(json)
  if (parsed.success) return parsed.data
  throw new CodedError('field-invalid', { field: fieldName(parsed.error.issues[0]!.path) })
}

/** A path in FHIR's notation: `component[3].valueSampledData.origin`. */
function fieldName(path: readonly PropertyKey[]): string {
  return path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('')
    .replace(/^\./, '')
}

interface Stated {
  readonly resourceType: string
  readonly status?: unknown
  readonly docStatus?: unknown
}

const WITHDRAWN: readonly unknown[] = ['entered-in-error', 'cancelled']

/**
 * Whether somebody has withdrawn a resource, or the document that it describes. https://hl7.org/fhir/R4/valueset-observation-status.html,
 * https://hl7.org/fhir/R4/valueset-composition-status.html
 */
export function isWithdrawn({ status, docStatus }: Stated): boolean {
  return WITHDRAWN.includes(status) || WITHDRAWN.includes(docStatus)
}

/** References to the parts of a resource; the subject is not one of them. */
export function partsOf(resource: EcgResource): readonly string[] {
  const all =
    resource.resourceType === 'Observation'
      ? [...resource.hasMember, ...resource.derivedFrom]
      : resource.resourceType === 'DiagnosticReport'
        ? [...resource.result, ...resource.media.flatMap(({ link }) => link ?? [])]
        : []
  return all.flatMap(({ reference }) => reference ?? [])
}

/** Files that a resource contains or refers to. */
export function attachmentsOf(resource: EcgResource): readonly Attachment[] {
  switch (resource.resourceType) {
    case 'DocumentReference':
      return resource.content.flatMap(({ attachment }) => attachment ?? [])
    case 'Media':
      return resource.content === undefined ? [] : [resource.content]
    case 'DiagnosticReport':
      return resource.presentedForm
    case 'Binary':
      return [{ contentType: resource.contentType, data: resource.data, url: undefined, title: undefined }]
    default:
      return []
  }
}
