/**
 * Which ECGs came from which resource of an EHR: whose they are stands there, so whoever erases a patient goes this way.
 *
 * In the table of results: `pk` = tenant#fhir#server, `sk` = ecg#reference#ecgId. Not in an index.
 * @module
 */
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { QueryCommand } from '@aws-sdk/lib-dynamodb'
import { documents } from '../aws/clients.ts'
import { type EcgId, parseEcgId } from '../domain/ecg-id.ts'

/** The resource of an EHR that holds an ECG. */
export interface EhrSource {
  readonly server: string
  readonly source: string
}

export const ehrEcgKey = (tenant: string, { server, source }: EhrSource, ecgId: EcgId) => ({
  pk: `${tenant}#fhir#${server}`,
  sk: `ecg#${source}#${ecgId}`,
})

/** ECGs of these resources. */
export async function ecgsOfSources(
  dynamo: DynamoDBClient,
  table: string,
  tenant: string,
  server: string,
  sources: ReadonlySet<string>,
): Promise<readonly EcgId[]> {
  const found: EcgId[] = []
  let start: Record<string, unknown> | undefined
  do {
    const { Items = [], LastEvaluatedKey } = await documents(dynamo).send(
      new QueryCommand({
        TableName: table,
        KeyConditionExpression: 'pk = :pk AND begins_with(sk, :prefix)',
        ExpressionAttributeValues: { ':pk': `${tenant}#fhir#${server}`, ':prefix': 'ecg#' },
        ConsistentRead: true,
        ExclusiveStartKey: start,
      }),
    )
    for (const { sk } of Items) {
      const [, source = '', ecgId = ''] = String(sk).split('#')
      if (sources.has(source)) found.push(parseEcgId(ecgId)!) // our own key
    }
    start = LastEvaluatedKey
  } while (start !== undefined)
  return found
}
