/**
 * Takes back what should never have stood in a chart: every resource that we wrote about an ECG or a session becomes `entered-in-error`.
 * @module
 */
import type { BundleEntry } from '@medplum/fhirtypes'
import { CodedError } from '../../../shared/errors.ts'
import type { EhrClient, FhirResource } from '../client.ts'
import { isOurs } from '../ours.ts'
import { CINE_ID, ECG_ID, SESSION_ID } from './codes.ts'

/** What a report consists of beside what has no status and names nobody (Device, Provenance). */
const TYPES = ['DiagnosticReport', 'RiskAssessment', 'Observation', 'ImagingStudy'] as const

/** Names in one search: an address stays well below what servers take. */
const NAMES_A_SEARCH = 20

/** What a report is about, by the name that all its versions share. */
export interface About {
  readonly kind: 'ecg' | 'session'
  /** An ECG's id, or that of a session's summary. */
  readonly id: string
}

/** A resource of ours that still counts in the chart. */
export interface Standing {
  readonly about: About
  readonly resource: FhirResource & { readonly id: string }
}

const SYSTEMS = { ecg: ECG_ID, session: SESSION_ID } as const

/** All that stands in charts about these ECGs and sessions. */
export async function standing(
  ehr: Pick<EhrClient, 'searchPages'>,
  abouts: readonly About[],
): Promise<readonly Standing[]> {
  const found: Standing[] = []
  for (let at = 0; at < abouts.length; at += NAMES_A_SEARCH) {
    const byName = new Map(abouts.slice(at, at + NAMES_A_SEARCH).map((about) => [nameOf(about), about]))
    for (const type of TYPES) {
      for (const resource of await named(ehr, type, [...byName.keys()])) {
        const about = identifiersOf(resource).flatMap(({ name }) => byName.get(name) ?? [])[0]
        if (about !== undefined) found.push({ about, resource })
      }
    }
  }
  return [...found, ...(await previews(ehr, found))]
}

/**
 * Marks resources as entered in error, in one transaction.
 * @throws CodedError as the client does; of a resource that somebody changed meanwhile the whole transaction is refused
 */
export async function withdraw(ehr: Pick<EhrClient, 'transaction'>, all: readonly Standing[]): Promise<void> {
  if (all.length === 0) return
  const entry = all.map(({ resource }) => withdrawal(resource))
  await ehr.transaction({ resourceType: 'Bundle', type: 'transaction', entry } as {
    readonly resourceType: 'Bundle' // a transaction's further elements are not of the type that the client asks for
  })
}

function withdrawal(resource: FhirResource & { readonly id: string }): BundleEntry {
  const { resourceType, id, meta } = resource
  const versionId = typeof meta === 'object' && meta !== null && 'versionId' in meta ? meta.versionId : undefined
  const withdrawn: object = { ...resource, status: 'entered-in-error' }
  return {
    resource: withdrawn as NonNullable<BundleEntry['resource']>, // as the EHR had it
    request: {
      method: 'PUT',
      url: `${resourceType}/${id}`,
      ...(typeof versionId === 'string' ? { ifMatch: `W/"${versionId}"` } : {}),
    },
  }
}

/** The moving picture of a cine bears the cine's own name. */
async function previews(ehr: Pick<EhrClient, 'searchPages'>, found: readonly Standing[]): Promise<readonly Standing[]> {
  const cines = found.flatMap(({ about, resource }) =>
    identifiersOf(resource)
      .filter(({ system }) => system === CINE_ID)
      .flatMap(({ name }) => ['sax', '4ch'].map((view): [string, About] => [`${name}/${view}`, about])),
  )
  const all: Standing[] = []
  for (let at = 0; at < cines.length; at += NAMES_A_SEARCH) {
    const byName = new Map<string, About>(cines.slice(at, at + NAMES_A_SEARCH))
    for (const resource of await named(ehr, 'DocumentReference', [...byName.keys()])) {
      const about = identifiersOf(resource).flatMap(({ name }) => byName.get(name) ?? [])[0]
      if (about !== undefined) all.push({ about, resource })
    }
  }
  return all
}

/** What we wrote of a type under any of these names, and is not withdrawn. */
async function named(ehr: Pick<EhrClient, 'searchPages'>, type: string, names: readonly string[]) {
  const found: Standing['resource'][] = []
  for await (const page of ehr.searchPages(type, { identifier: names.join(), _count: 100 })) {
    const entries: readonly unknown[] = Array.isArray(page.entry) ? page.entry : []
    for (const each of entries) {
      const { resource } = each as { resource?: FhirResource } // of a searchset
      if (resource?.resourceType !== type || !isOurs(resource) || resource.status === 'entered-in-error') continue
      if (typeof resource.id !== 'string') throw new CodedError('ehr-malformed', { field: 'id' })
      found.push({ ...resource, id: resource.id })
    }
  }
  return found
}

const nameOf = ({ kind, id }: About) => `${SYSTEMS[kind]}|${id}`

function identifiersOf({ identifier }: FhirResource): readonly { readonly system: unknown; readonly name: string }[] {
  const all: readonly unknown[] = Array.isArray(identifier) ? identifier : []
  return all.map((each) => {
    const { system, value } = each as { system?: unknown; value?: unknown } // an Identifier
    return { system, name: `${String(system)}|${String(value)}` as string }
  })
}
