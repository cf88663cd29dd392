/**
 * Withdraws what should not be in a chart: resources that we wrote about an ECG or a session become `entered-in-error`. R4 says of a study
 * with this status that it "has been withdrawn following a final release" (http://hl7.org/fhir/R4/valueset-imagingstudy-status.html).
 * @module
 */
import type { BundleEntry } from '@medplum/fhirtypes'
import type { EcgId } from '../../../shared/domain/ecg-id.ts'
import { CodedError } from '../../../shared/errors.ts'
import type { EhrClient, FhirResource } from '../client.ts'
import { isOurs } from '../ours.ts'
import { drawnVersion } from './cine.ts'
import { CINE_ID, ECG_ID, SESSION_ID } from './codes.ts'
import { retriable } from './conflict.ts'

/** Resource types of a report, except those that have no status and name nobody (Device, Provenance). */
const TYPES = ['DiagnosticReport', 'RiskAssessment', 'Observation', 'ImagingStudy'] as const

/** Identifiers per search, so that the URL stays well below servers' limits. */
const NAMES_A_SEARCH = 20

/** The subject of a report, by the identifier that all its versions share. */
export interface About {
  readonly kind: 'ecg' | 'session'
  /** Id of an ECG, or of a session summary. */
  readonly id: string
}

/** A resource of ours in the chart. */
export interface Standing {
  readonly about: About
  readonly resource: FhirResource & { readonly id: string }
}

const SYSTEMS = { ecg: ECG_ID, session: SESSION_ID } as const

/** Finds all valid resources about these ECGs and sessions. */
export async function standing(
  ehr: Pick<EhrClient, 'searchPages'>,
  abouts: readonly About[],
): Promise<readonly Standing[]> {
  const found = await written(ehr, TYPES, abouts)
  return [...found, ...(await previews(ehr, found))].filter(isValid)
}

/**
 * Finds the valid cines that were drawn from an earlier version of these ECGs: studies and their previews.
 * @param newest version of each ECG that counts now
 */
export async function outdatedCines(
  ehr: Pick<EhrClient, 'searchPages'>,
  newest: ReadonlyMap<EcgId, number>,
): Promise<readonly Standing[]> {
  const abouts = [...newest.keys()].map((id) => ({ kind: 'ecg' as const, id }))
  const studies = await written(ehr, ['ImagingStudy'], abouts)
  const outdated = studies.filter(({ about, resource }) =>
    cinesOf(resource).some((name) => drawnVersion(name) < newest.get(about.id as EcgId)!),
  )
  return [...outdated, ...(await previews(ehr, outdated))].filter(isValid)
}

/** All resources of these types about these ECGs and sessions, withdrawn ones included. */
async function written(ehr: Pick<EhrClient, 'searchPages'>, types: readonly string[], abouts: readonly About[]) {
  const found: Standing[] = []
  for (let at = 0; at < abouts.length; at += NAMES_A_SEARCH) {
    const byName = new Map(abouts.slice(at, at + NAMES_A_SEARCH).map((about) => [nameOf(about), about]))
    for (const type of types) {
      for (const resource of await named(ehr, type, [...byName.keys()])) {
        const about = identifiersOf(resource).flatMap(({ name }) => byName.get(name) ?? [])[0]
        if (about !== undefined) found.push({ about, resource })
      }
    }
  }
  return found
}

const isValid = ({ resource }: Standing) => resource.status !== 'entered-in-error'

/** What the EHR did not let us withdraw. */
export interface Refusal {
  readonly standing: readonly Standing[]
  readonly error: CodedError
}

/**
 * Marks resources as entered in error: each cine with its previews in one transaction, and everything else in another. A refusal of one
 * does not stop the others.
 * @returns what the EHR refuses for good
 * @throws CodedError those of the client that a retry may fix; also when somebody changed a resource meanwhile
 */
export async function withdraw(
  ehr: Pick<EhrClient, 'transaction'>,
  all: readonly Standing[],
): Promise<readonly Refusal[]> {
  const refused: Refusal[] = []
  for (const standing of Map.groupBy(all, ({ resource }) => cineOf(resource)).values()) {
    const entry = standing.map(({ resource }) => withdrawal(resource))
    try {
      await ehr.transaction({ resourceType: 'Bundle', type: 'transaction', entry } as {
        readonly resourceType: 'Bundle' // the client's type lacks the other elements of a transaction
      })
    } catch (thrown) {
      const error = retriable(thrown)
      if (!error.kind.permanent) throw error
      refused.push({ standing, error })
    }
  }
  return refused
}

/** Name of the cine that a study or a preview belongs to; `undefined` for the parts of a report. */
const cineOf = (resource: FhirResource) => cinesOf(resource)[0]?.replace(/\/(?:sax|4ch)$/, '')

function withdrawal(resource: FhirResource & { readonly id: string }): BundleEntry {
  const { resourceType, id, meta } = resource
  const versionId = typeof meta === 'object' && meta !== null && 'versionId' in meta ? meta.versionId : undefined
  const withdrawn: object = { ...resource, status: 'entered-in-error' }
  return {
    resource: withdrawn as NonNullable<BundleEntry['resource']>, // as it was in the EHR
    request: {
      method: 'PUT',
      url: `${resourceType}/${id}`,
      ...(typeof versionId === 'string' ? { ifMatch: `W/"${versionId}"` } : {}),
    },
  }
}

/**
 * The preview of a cine has the cine's own identifier. Previews of a withdrawn study are found too: somebody may have withdrawn the study
 * alone, by hand.
 */
async function previews(ehr: Pick<EhrClient, 'searchPages'>, found: readonly Standing[]): Promise<readonly Standing[]> {
  const cines = found.flatMap(({ about, resource }) =>
    cinesOf(resource).flatMap((name) => ['sax', '4ch'].map((view): [string, About] => [`${name}/${view}`, about])),
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

/** Resources of a type that we wrote with any of these identifiers. */
async function named(ehr: Pick<EhrClient, 'searchPages'>, type: string, names: readonly string[]) {
  const found: Standing['resource'][] = []
  for await (const page of ehr.searchPages(type, { identifier: names.join(), _count: 100 })) {
    const entries: readonly unknown[] = Array.isArray(page.entry) ? page.entry : []
    for (const each of entries) {
      const { resource } = each as { resource?: FhirResource } // of a searchset
      if (resource?.resourceType !== type || !isOurs(resource)) continue
      if (typeof resource.id !== 'string') throw new CodedError('ehr-malformed', { field: 'id' })
      found.push({ ...resource, id: resource.id })
    }
  }
  return found
}

const nameOf = ({ kind, id }: About) => `${SYSTEMS[kind]}|${id}`

/** Names of the drawings that a study holds, as a search takes them. */
const cinesOf = (study: FhirResource) =>
  identifiersOf(study).flatMap(({ system, name }) => (system === CINE_ID ? [name] : []))

function identifiersOf({ identifier }: FhirResource): readonly { readonly system: unknown; readonly name: string }[] {
  const all: readonly unknown[] = Array.isArray(identifier) ? identifier : []
  return all.map((each) => {
    const { system, value } = each as { system?: unknown; value?: unknown } // an Identifier
    return { system, name: `${String(system)}|${String(value)}` as string }
  })
}
