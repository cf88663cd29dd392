/**
 * Which stretches of an ECG moved the score, as asked for: one row a result, beside it under the same `pk`, so that it goes when the ECG goes.
 *
 * `sk` = attribution#bundle sha256#profile[#v2 and so on]. `pending` from the question on, then `done` or, where there is nothing to show, `failed`.
 * @module
 */
import { ConditionalCheckFailedException, type DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { DeleteCommand, type DynamoDBDocumentClient, GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb'
import { documents } from '../aws/clients.ts'
import type { EcgId } from '../domain/ecg-id.ts'
import type { Result } from '../domain/result.ts'
import type { ErrorCode } from '../errors.ts'
import type { ConditionAttribution } from '../inference/attribution.ts'
import type { ResultStore } from './results.ts'

/** What is shown beside an ECG. */
export interface Attribution {
  readonly method: string
  /** Where the first stretch begins in the recording, seconds. */
  readonly fromS: number
  readonly stretchMs: number
  readonly conditions: readonly ConditionAttribution[]
}

export type StoredAttribution =
  | { readonly status: 'pending' }
  | { readonly status: 'failed'; readonly reason: ErrorCode }
  | ({ readonly status: 'done' } & Attribution)

/** Which result is explained. */
export type Explained = Pick<Result, 'ecgId' | 'version' | 'provenance'>

/** After so long a question is taken for lost and may be asked again: it takes seconds. */
const PENDING_MS = 5 * 60_000

/** Nobody comes back for a question that was lost. */
const PENDING_DAYS = 1

export class AttributionStore {
  readonly #table: string
  readonly #documents: DynamoDBDocumentClient
  readonly #results: Pick<ResultStore, 'isDeleted'>
  readonly #keptDays: number | undefined

  /** @param keptDays as of the results */
  constructor(dynamo: DynamoDBClient, table: string, results: Pick<ResultStore, 'isDeleted'>, keptDays?: number) {
    this.#documents = documents(dynamo)
    this.#table = table
    this.#results = results
    this.#keptDays = keptDays
  }

  async get(tenant: string, of: Explained, now: Date): Promise<StoredAttribution | undefined> {
    const command = new GetCommand({ TableName: this.#table, Key: keyOf(tenant, of), ConsistentRead: true })
    const { Item } = await this.#documents.send(command)
    if (Item === undefined) return undefined
    if (Item.status === 'pending') return Item.until > now.getTime() ? { status: 'pending' } : undefined
    return Item.status === 'failed'
      ? { status: 'failed', reason: Item.reason as ErrorCode } // as `end` wrote it
      : { status: 'done', ...(Item.attribution as Attribution) }
  }

  /** @returns false where it is asked for already, or is there */
  async begin(tenant: string, of: Explained, now: Date): Promise<boolean> {
    const until = now.getTime() + PENDING_MS
    try {
      await this.#documents.send(
        new PutCommand({
          TableName: this.#table,
          Item: { ...keyOf(tenant, of), status: 'pending', until, expiresAt: expiry(now, PENDING_DAYS) },
          ConditionExpression: 'attribute_not_exists(pk) OR #until < :now OR #status = :failed',
          ExpressionAttributeNames: { '#until': 'until', '#status': 'status' },
          ExpressionAttributeValues: { ':now': now.getTime(), ':failed': 'failed' },
        }),
      )
      return true
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return false
      throw error
    }
  }

  /** Keeps the answer, unless the ECG was deleted meanwhile. */
  async end(tenant: string, of: Explained, answer: Attribution | { reason: ErrorCode }, now: Date): Promise<void> {
    const state = 'reason' in answer ? { status: 'failed', ...answer } : { status: 'done', attribution: answer }
    const expiresAt = this.#keptDays === undefined ? undefined : expiry(now, this.#keptDays)
    const Key = keyOf(tenant, of)
    await this.#documents.send(new PutCommand({ TableName: this.#table, Item: { ...Key, ...state, expiresAt } }))
    // After the put, not before: who deletes leaves the mark first and looks for rows then, so one of the two sees the other.
    if (!(await this.#results.isDeleted(tenant, of.ecgId))) return
    await this.#documents.send(new DeleteCommand({ TableName: this.#table, Key }))
  }
}

const expiry = (now: Date, days: number) => Math.ceil(now.getTime() / 1000) + days * 86_400

function keyOf(tenant: string, { ecgId, version, provenance }: Explained): { pk: string; sk: string } {
  const { modelSha256, profile } = provenance
  const parts = ['attribution', modelSha256, profile, ...(version === 1 ? [] : [`v${version}`])]
  return { pk: pkOf(tenant, ecgId), sk: parts.join('#') }
}

const pkOf = (tenant: string, ecgId: EcgId) => `${tenant}#${ecgId}`
