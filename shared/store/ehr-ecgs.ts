/**
 * Finds the ECGs that came from given EHR resources. The patient is named in the resource, so erasing a patient's data starts here.
 * @module
 */
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import type { EcgId } from '../domain/ecg-id.ts'
import { EHR_ECGS, ehrEcgOf, ehrPk } from './keys.ts'
import { Table } from './table.ts'

/** ECGs that came from these resources. */
export async function ecgsOfSources(
  dynamo: DynamoDBClient,
  table: string,
  tenant: string,
  server: string,
  sources: ReadonlySet<string>,
): Promise<readonly EcgId[]> {
  const found: EcgId[] = []
  for await (const { sk } of new Table(dynamo, table).rows(ehrPk(tenant, server), EHR_ECGS)) {
    const { source, ecgId } = ehrEcgOf(sk)
    if (sources.has(source)) found.push(ecgId)
  }
  return found
}
