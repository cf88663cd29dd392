/**
 * FHIR search (https://hl7.org/fhir/R4/search.html), as far as ECGs need it. An unknown parameter is an error and not ignored, because a
 * search that silently finds too much would hide a mistake.
 * @module
 */
import { FhirError, isObject, type Resource, type StoredResource } from './resource.ts'

type Kind = 'token' | 'reference' | 'date' | 'uri' | 'string'

/** Parameter → its kind and the elements that it searches, in any type that has them. */
const PARAMETERS: Readonly<Record<string, readonly [Kind, ...string[]]>> = {
  _id: ['token', 'id'],
  _lastUpdated: ['date', 'meta.lastUpdated'],
  _tag: ['token', 'meta.tag'],
  _security: ['token', 'meta.security'],
  agent: ['reference', 'agent.who'],
  birthdate: ['date', 'birthDate'],
  category: ['token', 'category'],
  code: ['token', 'code'],
  date: ['date', 'effectiveDateTime', 'effectivePeriod', 'occurrenceDateTime', 'date'],
  encounter: ['reference', 'encounter', 'context.encounter'],
  device: ['reference', 'device'],
  family: ['string', 'name.family'],
  identifier: ['token', 'identifier'],
  issued: ['date', 'issued'],
  patient: ['reference', 'subject', 'patient'],
  result: ['reference', 'result'],
  status: ['token', 'status'],
  subject: ['reference', 'subject'],
  target: ['reference', 'target'],
  type: ['token', 'type'],
  url: ['uri', 'channel.endpoint', 'url'],
}

/** Parameters that shape the response and do not filter. */
const RESULT_PARAMETERS = ['_count', '_elements', '_offset', '_sort', '_format', '_total']

const MAX_COUNT = 200

export interface SearchResult {
  readonly total: number
  readonly page: readonly StoredResource[]
  /** Offset of the next page; absent on the last. */
  readonly nextOffset?: number
}

/** @throws FhirError 400 naming what is not supported */
export function search(resources: Iterable<StoredResource>, query: URLSearchParams): SearchResult {
  const matches = matcher(query)
  const found = sorted([...resources].filter(matches), query.get('_sort'))
  const count = Math.min(whole(query, '_count', 20), MAX_COUNT)
  const offset = whole(query, '_offset', 0)
  const end = offset + count
  return {
    total: found.length,
    page: found.slice(offset, end),
    ...(end < found.length ? { nextOffset: end } : {}),
  }
}

/** Whether a resource matches a query; also used for the criteria of subscriptions. */
export function matcher(query: URLSearchParams): (resource: StoredResource) => boolean {
  const tests = [...query]
    .filter(([name]) => !RESULT_PARAMETERS.includes(name))
    .map(([name, value]) => parameterTest(name, value))
  return (resource) => tests.every((test) => test(resource))
}

function parameterTest(nameAndModifier: string, text: string): (resource: StoredResource) => boolean {
  const [name = '', modifier] = nameAndModifier.split(':')
  const parameter = PARAMETERS[name]
  if (parameter === undefined) throw new FhirError(400, 'not-supported', `unknown search parameter ${name}`)
  const [kind, ...paths] = parameter
  const values = (resource: StoredResource) => paths.flatMap((path) => elements(resource, path.split('.')))
  if (modifier === 'missing') return (resource) => (values(resource).length === 0) === (text === 'true')
  // A comma means "or"; after a backslash it is literal.
  const wanted = text.split(/(?<!\\),/).map((each) => each.replaceAll(/\\(.)/g, '$1'))
  const meets = TESTS[kind]
  const isAny = (resource: StoredResource) =>
    values(resource).some((value) => wanted.some((each) => meets(value, each)))
  if (modifier === 'not' && kind === 'token') return (resource) => !isAny(resource)
  if (modifier === undefined) return isAny
  throw new FhirError(400, 'not-supported', `unknown modifier ${nameAndModifier}`)
}

/** The values at a path, including those in lists. */
function elements(value: unknown, path: readonly string[]): readonly unknown[] {
  if (value === undefined || value === null) return []
  if (Array.isArray(value)) return value.flatMap((item) => elements(item, path))
  const [first, ...rest] = path
  if (first === undefined) return [value]
  return isObject(value) ? elements(value[first], rest) : []
}

const TESTS: Readonly<Record<Kind, (value: unknown, wanted: string) => boolean>> = {
  token: (value, wanted) => {
    const [system, code] = wanted.includes('|') ? wanted.split('|', 2) : [undefined, wanted]
    const isIt = (given: { system?: unknown; code?: unknown }) =>
      (system === undefined || (system === '' ? given.system === undefined : given.system === system)) &&
      (code === '' || code === undefined || given.code === code)
    if (typeof value === 'string' || typeof value === 'boolean') return isIt({ code: String(value) })
    if (!isObject(value)) return false
    if (Array.isArray(value.coding)) return value.coding.some((coding) => isObject(coding) && isIt(coding))
    return isIt({ system: value.system, code: value.code ?? value.value })
  },
  reference: (value, wanted) => {
    const reference = isObject(value) ? value.reference : undefined
    return typeof reference === 'string' && (reference === wanted || reference.endsWith(`/${wanted}`))
  },
  date: (value, wanted) => {
    const [, prefix = 'eq', text = ''] = /^(eq|ne|gt|lt|ge|le)?(.+)$/.exec(wanted) ?? []
    const [at, to] = isObject(value) ? [span(value.start)[0], span(value.end ?? '9999')[1]] : span(value)
    const [from, until] = span(text)
    switch (prefix) {
      case 'gt':
        return to > until
      case 'lt':
        return at < from
      case 'ge':
        return at >= from || to > until
      case 'le':
        return to <= until || at < from
      case 'ne':
        return at < from || to > until
      default:
        return at >= from && to <= until
    }
  },
  uri: (value, wanted) => value === wanted,
  string: (value, wanted) => typeof value === 'string' && value.toLowerCase().startsWith(wanted.toLowerCase()),
}

/** First millisecond of a date, and the first one after it, by its precision. */
function span(date: unknown): readonly [number, number] {
  const text = String(date)
  const startMs = Date.parse(text)
  if (Number.isNaN(startMs)) throw new FhirError(400, 'value', 'a date cannot be read')
  const start = new Date(startMs)
  if (text.length === 4) return [startMs, Date.UTC(start.getUTCFullYear() + 1)]
  if (text.length === 7) return [startMs, Date.UTC(start.getUTCFullYear(), start.getUTCMonth() + 1)]
  if (text.length === 10) return [startMs, startMs + 86_400_000]
  return [startMs, startMs + (/\.\d/.test(text) ? 1 : 1000)]
}

function sorted(resources: StoredResource[], sort: string | null): readonly StoredResource[] {
  if (sort === null) return resources
  const [, sign, name = ''] = /^(-?)(\w+)$/.exec(sort) ?? []
  if (name !== '_lastUpdated') throw new FhirError(400, 'not-supported', 'sorts by _lastUpdated only')
  const order = resources.toSorted((a, b) => a.meta.lastUpdated.localeCompare(b.meta.lastUpdated))
  return sign === '-' ? order.reverse() : order
}

/** The requested elements of a resource, which is then marked as incomplete. */
export function summarised(resource: StoredResource, query: URLSearchParams): Resource {
  const elements = query.get('_elements')?.split(',')
  if (elements === undefined) return resource
  const kept = Object.entries(resource).filter(([name]) => ['resourceType', 'id', ...elements].includes(name))
  const tag = { system: 'http://terminology.hl7.org/CodeSystem/v3-ObservationValue', code: 'SUBSETTED' }
  return { ...Object.fromEntries(kept), resourceType: resource.resourceType, meta: { ...resource.meta, tag: [tag] } }
}

function whole(query: URLSearchParams, name: string, fallback: number): number {
  const value = Number(query.get(name) ?? fallback)
  if (Number.isInteger(value) && value >= 0) return value
  throw new FhirError(400, 'value', `${name} must be a whole number`)
}
