/**
 * Marks on resources that we write: machine-made (AIAST), and identifiers of our own. They prevent our own reports from being taken for
 * ECGs.
 * @module
 */
/** https://terminology.hl7.org/CodeSystem-v3-ObservationValue.html: "Artificial Intelligence asserted" */
export const AIAST = {
  system: 'http://terminology.hl7.org/CodeSystem/v3-ObservationValue',
  code: 'AIAST',
  display: 'Artificial Intelligence asserted',
} as const

/** Prefix of all our identifier and code systems. */
const OUR_SYSTEMS = 'urn:cardiacnets:'

/** Elements of a resource that show who wrote it. */
interface Labelled {
  readonly resourceType: string
  readonly meta?: unknown
  readonly identifier?: unknown
}

/** Whether we wrote a resource; such a resource never starts a screening. */
export function isOurs({ meta, identifier }: Labelled): boolean {
  const labels: unknown = typeof meta === 'object' && meta !== null && 'security' in meta ? meta.security : undefined
  const isAiast = (label: unknown) => isRecord(label) && label.system === AIAST.system && label.code === AIAST.code
  const isNamedByUs = (each: unknown) => isRecord(each) && String(each.system).startsWith(OUR_SYSTEMS)
  return list(labels).some(isAiast) || list(identifier).some(isNamedByUs)
}

const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null
