/**
 * Results in DynamoDB: one item a (ECG, bundle, profile, site calibration if any), written once and never changed.
 *
 * `pk` = tenant#ecgId, `sk` = result#bundle sha256#profile[#site sha256]; index `byTime` = (tenant, startedAt) with what a list shows.
 * `sk` = deleted marks an ECG that is not to come back.
 * The result itself is zstd JSON: 15 KB of text are 2.5 KB, and DynamoDB bills each written kilobyte.
 * @module
 */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { ConditionalCheckFailedException, type DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { DeleteCommand, DynamoDBDocumentClient, GetCommand, PutCommand, QueryCommand } from '@aws-sdk/lib-dynamodb'
import { type EcgId, parseEcgId } from '../domain/ecg-id.ts'
import type { Result } from '../domain/result.ts'
import { CodedError } from '../errors.ts'
import type { Origin } from '../messages.ts'

/** What a list shows of an ECG. */
export interface ResultSummary {
  readonly ecgId: EcgId
  readonly startedAt: string
  readonly status: Result['status']
  readonly device?: string
  /** Conditions above their threshold. */
  readonly flagged: readonly string[]
}

export interface Page {
  readonly items: readonly ResultSummary[]
  /** Pass as `after` for the next page; absent on the last. */
  readonly next?: string
}

export class ResultStore {
  readonly #table: string
  readonly #documents: DynamoDBDocumentClient

  constructor(dynamo: DynamoDBClient, table: string) {
    this.#documents = DynamoDBDocumentClient.from(dynamo, { marshallOptions: { removeUndefinedValues: true } })
    this.#table = table
  }

  /**
   * Stores a result unless one with its key is there already.
   * @param receivedAt stands in for the start time in lists where the source does not say one
   * @returns the JSON that is stored: this one's, or the one that came first, letter for letter
   * @throws CodedError `session-changed` when the one that came first is of other samples: a device used a session's name again
   */
  async putOnce(
    tenant: string,
    origin: Origin,
    result: Result,
    receivedAt: Date,
  ): Promise<{ json: string; isNew: boolean }> {
    const json = JSON.stringify(result)
    const key = itemKey(tenant, result)
    try {
      await this.#documents.send(
        new PutCommand({
          TableName: this.#table,
          Item: {
            ...key,
            tenant,
            startedAt: `${result.span.startedAt ?? receivedAt.toISOString()}#${result.ecgId}`,
            status: result.status,
            device: 'device' in origin ? origin.device : undefined,
            flagged: result.findings.filter((finding) => finding.flagged).map((finding) => finding.condition),
            storedAt: receivedAt.toISOString(),
            result: packResult(json),
          },
          ConditionExpression: 'attribute_not_exists(pk)',
        }),
      )
      return { json, isNew: true }
    } catch (error) {
      if (!(error instanceof ConditionalCheckFailedException)) throw error
      const { Item } = await this.#documents.send(
        new GetCommand({ TableName: this.#table, Key: key, ConsistentRead: true }),
      )
      if (Item === undefined) throw new CodedError('unavailable', { field: 'result' })
      const stored = unpack(Item)
      // Our own JSON, so its shape is known.
      const { provenance } = JSON.parse(stored) as Result
      if (provenance.inputSha256 !== result.provenance.inputSha256) {
        throw new CodedError('session-changed', { field: 'session' })
      }
      return { json: stored, isNew: false }
    }
  }

  /** The JSON of an ECG's newest result as it is now, or `undefined`. Another tenant's ECG is as absent as one that never was. */
  async latest(tenant: string, ecgId: EcgId): Promise<string | undefined> {
    const { Items = [] } = await this.#documents.send(
      new QueryCommand({
        TableName: this.#table,
        KeyConditionExpression: 'pk = :pk AND begins_with(sk, :prefix)',
        ExpressionAttributeValues: { ':pk': `${tenant}#${ecgId}`, ':prefix': 'result#' },
        // Who asks right after it was published must not hear that there is none: `report` would take it for deleted.
        ConsistentRead: true,
      }),
    )
    const newest = Items.toSorted((a, b) => String(a.storedAt).localeCompare(String(b.storedAt))).at(-1)
    return newest === undefined ? undefined : unpack(newest)
  }

  /** Whether an ECG was deleted: a message of it that comes again must leave nothing behind. */
  async isDeleted(tenant: string, ecgId: EcgId): Promise<boolean> {
    const { Item } = await this.#documents.send(
      new GetCommand({ TableName: this.#table, Key: tombstoneKey(tenant, ecgId), ConsistentRead: true }),
    )
    return Item !== undefined
  }

  /** Lets a deleted ECG in again. */
  async undelete(tenant: string, ecgId: EcgId): Promise<void> {
    await this.#documents.send(new DeleteCommand({ TableName: this.#table, Key: tombstoneKey(tenant, ecgId) }))
  }

  /** A tenant's ECGs, newest first. */
  async list(tenant: string, { limit, after }: { limit: number; after?: string }): Promise<Page> {
    const { Items = [], LastEvaluatedKey } = await this.#documents.send(
      new QueryCommand({
        TableName: this.#table,
        IndexName: 'byTime',
        KeyConditionExpression: 'tenant = :tenant',
        ExpressionAttributeValues: { ':tenant': tenant },
        ScanIndexForward: false,
        Limit: limit,
        ...(after === undefined ? {} : { ExclusiveStartKey: parseCursor(after, tenant) }),
      }),
    )
    return {
      items: Items.map((item) => {
        const [startedAt = '', id = ''] = String(item.startedAt).split('#')
        return {
          ecgId: parseEcgId(id)!,
          startedAt,
          status: item.status,
          ...(item.device === undefined ? {} : { device: item.device }),
          flagged: item.flagged,
        }
      }),
      ...(LastEvaluatedKey === undefined ? {} : { next: makeCursor(LastEvaluatedKey) }),
    }
  }
}

function itemKey(tenant: string, { ecgId, provenance }: Result) {
  const { modelSha256, profile, site } = provenance
  return {
    pk: `${tenant}#${ecgId}`,
    sk: ['result', modelSha256, profile, ...(site === undefined ? [] : [site])].join('#'),
  }
}

const tombstoneKey = (tenant: string, ecgId: EcgId) => ({ pk: `${tenant}#${ecgId}`, sk: 'deleted' })

/** A tenth of a millisecond more than zstd's default level, and in most cases a billed kilobyte less. */
export function packResult(json: string): Buffer {
  return zstdCompressSync(json, { params: { [constants.ZSTD_c_compressionLevel]: 9 } })
}

function unpack(item: Record<string, unknown>): string {
  if (!(item.result instanceof Uint8Array)) throw new CodedError('internal', { field: 'result' })
  return zstdDecompressSync(item.result).toString('utf8')
}

function makeCursor({ pk, sk, startedAt }: Record<string, unknown>): string {
  return Buffer.from(JSON.stringify([pk, sk, startedAt])).toString('base64url')
}

/** @throws CodedError `field-invalid` for a cursor that is not ours or another tenant's. */
function parseCursor(cursor: string, tenant: string) {
  try {
    const [pk, sk, startedAt]: unknown[] = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
    if ([pk, sk, startedAt].every((part) => typeof part === 'string') && String(pk).startsWith(`${tenant}#`)) {
      return { pk, sk, startedAt, tenant }
    }
  } catch {
    // Fall through: whatever it was, it is no cursor of ours.
  }
  throw new CodedError('field-invalid', { field: 'after' })
}
