/**
 * Finds a patient's ECGs: through associations of devices over a time span, and through EHR resources that name the patient.
 * @module
 */
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import * as z from 'zod'
import type { EcgId } from '../../../shared/domain/ecg-id.ts'
import { CodedError } from '../../../shared/errors.ts'
import type { AssociationStore, DeviceSpan } from '../../../shared/store/associations.ts'
import { ecgsOfSources } from '../../../shared/store/ehr-ecgs.ts'
import type { ResultList } from '../../../shared/store/result-list.ts'
import type { EhrClient } from '../../../streams/fhir/client.ts'

/** Resource types that may hold an ECG; all support the search parameter `patient`. */
const ECG_RESOURCES = ['Observation', 'DocumentReference', 'DiagnosticReport', 'Media'] as const

const PAGE_SIZE = 100

const Page = z.object({
  entry: z.array(z.object({ resource: z.looseObject({ resourceType: z.string(), id: z.string() }) })).default([]),
})

/** Devices and times of a patient's associations: of all devices, because older associations are in no list of their patient. */
export async function spansOfPatient(
  associations: AssociationStore,
  tenant: string,
  patient: string,
): Promise<readonly DeviceSpan[]> {
  const spans: DeviceSpan[] = []
  for (const device of await associations.devices(tenant)) {
    for (const span of await associations.spansOf(tenant, device, patient)) spans.push({ device, ...span })
  }
  return spans
}

/** ECGs that were recorded within an association's time span. */
export async function ecgsOfSpan(list: ResultList, tenant: string, span: DeviceSpan): Promise<readonly EcgId[]> {
  const found: EcgId[] = []
  let after: string | undefined
  do {
    const page = await list.page(tenant, { limit: PAGE_SIZE, after, filter: { ...span } })
    found.push(...page.items.map(({ ecgId }) => ecgId))
    after = page.next
  } while (after !== undefined)
  return found
}

/**
 * ECGs from EHR resources that name the patient now.
 * @throws CodedError when the EHR does not answer, because the list would be incomplete
 */
export async function ecgsOfEhr(
  { ehr, server }: { readonly ehr: EhrClient; readonly server: string },
  { dynamo, table, tenant }: { readonly dynamo: DynamoDBClient; readonly table: string; readonly tenant: string },
  patient: string,
): Promise<readonly EcgId[]> {
  const sources = new Set<string>()
  for (const type of ECG_RESOURCES) {
    const query = { patient, _elements: 'id', _count: PAGE_SIZE }
    for await (const page of ehr.searchPages(type, query)) {
      const parsed = Page.safeParse(page)
      if (!parsed.success) throw new CodedError('ehr-malformed', { field: 'entry' })
      for (const { resource } of parsed.data.entry) sources.add(`${resource.resourceType}/${resource.id}`)
    }
  }
  return ecgsOfSources(dynamo, table, tenant, server, sources)
}
