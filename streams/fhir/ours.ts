/**
 * What we write is marked: made by a machine (AIAST), and named by us. Both keep our own reports from being taken for ECGs.
 * @module
 */
/** https://terminology.hl7.org/CodeSystem-v3-ObservationValue.html: "Artificial Intelligence asserted" */
export const AIAST = {
  system: 'http://terminology.hl7.org/CodeSystem/v3-ObservationValue',
  code: 'AIAST',
  display: 'Artificial Intelligence asserted',
} as const

/** Of every identifier and code that is ours. */
const OUR_SYSTEMS = 'urn:cardiacnets:'

/** What of a resource says whose it is. */
interface Labelled {
  readonly resourceType: string
  readonly meta?: unknown
  readonly identifier?: unknown
}

/** Whether a resource was written by us; such a one never starts a screening. */
export function isOurs({ meta, identifier }: Labelled): boolean {
  const labels: unknown = typeof meta === 'object' && meta !== null && 'security' in meta ? meta.security : undefined
  const isAiast = (label: unknown) => isRecord(label) && label.system === AIAST.system && label.code === AIAST.code
  const isNamedByUs = (each: unknown) => isRecord(each) && String(each.system).startsWith(OUR_SYSTEMS)
  return list(labels).some(isAiast) || list(identifier).some(isNamedByUs)
}

const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null
