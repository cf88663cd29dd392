/**
 * Finds the ECGs in a FHIR resource and in the resources that it refers to.
 * @module
 */
import type { Recording } from '../../../shared/domain/recording.ts'
import { CodedError } from '../../../shared/errors.ts'
import type { ReadOptions, SourceFile } from '../format.ts'
import { ageAt, plausiblePerson, withPerson } from '../person.ts'
import { holdsEcg, leadsIn, readObservation } from './observation.ts'
import { attachmentsOf, type EcgResource, isWithdrawn, type Observation, parseResource, partsOf } from './resources.ts'

/** Source of referenced resources and attached files. */
export interface ResourceStore {
  resource(reference: string): unknown
  bytes(url: string): Uint8Array | undefined
}

interface Label {
  /** The resource that contains it, such as `Observation/123`, if it has an id. */
  readonly source: string | undefined
  /** Reference of the patient. */
  readonly subject: string | undefined
}

export interface FoundEcg extends Label {
  readonly recording: Recording
}

export interface SearchResult {
  readonly ecgs: readonly FoundEcg[]
  /** Errors that prevented reading of an ECG. A file that is not an ECG at all (a letter, an image) is not an error. */
  readonly errors: readonly CodedError[]
}

export type ParseFiles = (files: readonly SourceFile[], options: ReadOptions) => Recording

/** More resources than any reasonable report contains. */
const MAX_RESOURCES = 1000

/**
 * Finds the ECGs of a resource.
 * @throws CodedError `payload-too-large`, and `field-invalid` for a root that is not FHIR
 */
export function findEcgs(
  root: unknown,
  store: ResourceStore,
  parseFiles: ParseFiles,
  options: ReadOptions,
): SearchResult {
  const ecgs: FoundEcg[] = []
  const errors: CodedError[] = []
  const visited = new Set<unknown>()

  visit(root, store, undefined)
  return { ecgs, errors }

  /** @param container the resource that contains it: a contained resource has no address of its own */
  function visit(json: unknown, around: ResourceStore, container: Label | undefined): void {
    if (json === undefined || visited.has(json)) return
    visited.add(json)
    if (visited.size > MAX_RESOURCES)
      throw new CodedError('payload-too-large', { field: 'entry', maxResources: MAX_RESOURCES })
    const resource = attempt(() => parseResource(json), json === root)
    if (resource === undefined || (json !== root && isWithdrawn(resource))) return
    const scope = withContained(resource, around)
    const label = container ?? labelOf(resource)
    const files = filesIn(resource, scope)
    if (files.length > 0) found(label, scope, () => parseFiles(files, options))
    if (resource.resourceType === 'Observation' && readLeads(resource, scope, label)) return
    if (resource.resourceType === 'Bundle') for (const entry of resource.entry) visit(entry.resource, scope, undefined)
    for (const reference of partsOf(resource)) {
      visit(scope.resource(reference), scope, reference.startsWith('#') ? label : undefined)
    }
  }

  /** Reads an observation that is an ECG by itself, or together with its members. Returns whether it is one. */
  function readLeads(observation: Observation, scope: ResourceStore, label: Label): boolean {
    if (holdsEcg(observation)) {
      found(label, scope, () => readObservation([observation], options))
      return true
    }
    const members = membersWithOneLead(observation, scope)
    if (members.length === 0) return false
    for (const { json } of members) visited.add(json)
    const panel = { ...observation, component: [] }
    const leads = members.map(({ member }) => member)
    found(label, scope, () => {
      checkSubject([label.subject, ...leads.map(({ subject }) => subject?.reference)])
      return readObservation(isDated(observation) ? [panel, ...leads] : leads, options)
    })
    return true
  }

  function found(label: Label, scope: ResourceStore, read: () => Recording): void {
    const recording = attempt(read, false)
    if (recording === undefined) return
    ecgs.push({ ...label, recording: withPerson(recording, personOf(label.subject, scope, recording.startedAt)) })
  }

  function attempt<T>(read: () => T, isRoot: boolean): T | undefined {
    try {
      return read()
    } catch (error) {
      if (!(error instanceof CodedError) || isRoot) throw error
      if (error.code !== 'format-unknown') errors.push(error)
      return undefined
    }
  }
}

function labelOf(resource: EcgResource): Label {
  return {
    source: 'id' in resource && resource.id !== undefined ? `${resource.resourceType}/${resource.id}` : undefined,
    subject: 'subject' in resource ? resource.subject?.reference : undefined,
  }
}

const isDated = ({ effectiveDateTime, effectiveInstant, effectivePeriod }: Observation) =>
  (effectiveDateTime ?? effectiveInstant ?? effectivePeriod) !== undefined

/** The files that are attached to a resource. */
function filesIn(resource: EcgResource, scope: ResourceStore): SourceFile[] {
  return attachmentsOf(resource).flatMap(({ data, url, title }) => {
    const bytes = data === undefined ? url && bytesOf(url, scope) : Buffer.from(data, 'base64')
    // Only a name: the header of a WFDB record names its signal files.
    const name = (title ?? url ?? '').split(/[/\\]/).at(-1)!
    return bytes && bytes.length > 0 ? [{ name, bytes }] : []
  })
}

/** The members of a panel with one lead each, all different: together they are one ECG. Empty for other panels. */
function membersWithOneLead(
  { hasMember }: Observation,
  scope: ResourceStore,
): { json: unknown; member: Observation }[] {
  const members: { json: unknown; member: Observation }[] = []
  const leads = new Set<string>()
  for (const { reference } of hasMember) {
    const { json, resource: member } = lookUp(reference, scope)
    if (member?.resourceType !== 'Observation' || isWithdrawn(member)) continue
    const [lead, ...others] = leadsIn(member)
    if (lead === undefined) continue
    if (others.length > 0 || leads.has(lead)) return []
    leads.add(lead)
    members.push({ json, member })
  }
  return members
}

/**
 * Leads of different people are not one ECG. A lead without a subject is of the panel's.
 * @throws CodedError `field-invalid`
 */
function checkSubject(subjects: readonly (string | undefined)[]): void {
  const named = subjects.filter((each) => each !== undefined && !each.startsWith('#'))
  // The same patient may be named by an address, by type and id, and with a version.
  const [first = '', ...others] = named.map((each) => each!.replace(/\/_history\/[^/]*$/, ''))
  const isFirst = (other: string) => other === first || other.endsWith(`/${first}`) || first.endsWith(`/${other}`)
  if (!others.every(isFirst)) throw new CodedError('field-invalid', { field: 'hasMember.subject' })
}

/** The resource that a reference means, if it is present and valid. */
function lookUp(
  reference: string | undefined,
  scope: ResourceStore,
): { json?: unknown; resource?: EcgResource | undefined } {
  const json = reference === undefined ? undefined : scope.resource(reference)
  if (json === undefined) return {}
  try {
    return { json, resource: parseResource(json) }
  } catch {
    return { json }
  }
}

/** References that start with `#` are to contained resources: https://hl7.org/fhir/R4/references.html#contained */
function withContained(resource: EcgResource, around: ResourceStore): ResourceStore {
  if (!('contained' in resource) || resource.contained.length === 0) return around
  const byId = new Map(
    resource.contained.flatMap((each) =>
      typeof each === 'object' && each !== null && 'id' in each && typeof each.id === 'string' ? [[each.id, each]] : [],
    ),
  )
  return {
    resource: (reference) => (reference.startsWith('#') ? byId.get(reference.slice(1)) : around.resource(reference)),
    bytes: around.bytes,
  }
}

function bytesOf(url: string, scope: ResourceStore): Uint8Array | undefined {
  const bytes = scope.bytes(url)
  if (bytes !== undefined) return bytes
  const { resource } = lookUp(url, scope)
  return resource?.resourceType === 'Binary' && resource.data !== undefined
    ? Buffer.from(resource.data, 'base64')
    : undefined
}

/** Sex, and age on the day of the ECG. No other data of a patient is read. */
function personOf(subject: string | undefined, scope: ResourceStore, startedAt: string | undefined) {
  const { resource } = lookUp(subject, scope)
  if (resource?.resourceType !== 'Patient') return undefined
  const { gender, birthDate } = resource
  const day = startedAt ?? new Date().toISOString()
  return plausiblePerson({
    sex: gender === 'male' || gender === 'female' ? gender : undefined,
    ageYears: ageAt(/^\d{4}-\d\d-\d\d$/.test(birthDate ?? '') ? birthDate : undefined, day),
  })
}
