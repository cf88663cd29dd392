/**
 * Attributions: which stretches of an ECG moved its scores, computed on request. One row per result, under the result's `pk`, so that it is
 * removed with the ECG. `pending` from the request on, then `done` or, where there is nothing to show, `failed`.
 * @module
 */
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import type { Result } from '../domain/result.ts'
import type { ErrorCode } from '../errors.ts'
import type { ConditionAttribution } from '../inference/attribution.ts'
import { attributionKey } from './keys.ts'
import type { ResultStore } from './results.ts'
import { Table } from './table.ts'

/** The attribution of an ECG, as it is shown. */
export interface Attribution {
  readonly method: string
  /** Start of the first stretch in the recording, seconds. */
  readonly fromS: number
  readonly stretchMs: number
  readonly conditions: readonly ConditionAttribution[]
}

export type StoredAttribution =
  | { readonly status: 'pending' }
  | { readonly status: 'failed'; readonly reason: ErrorCode }
  | ({ readonly status: 'done' } & Attribution)

/** The result that is explained. */
export type Explained = Pick<Result, 'ecgId' | 'version' | 'provenance'>

/** After this long a pending request counts as lost and may be repeated; computing takes seconds. */
const PENDING_MS = 5 * 60_000

/** Days after which a lost request is removed. */
const PENDING_DAYS = 1

export class AttributionStore {
  readonly #table: Table
  readonly #results: Pick<ResultStore, 'isDeleted'>
  readonly #keptDays: number | undefined

  /** @param keptDays retention of results, days */
  constructor(dynamo: DynamoDBClient, table: string, results: Pick<ResultStore, 'isDeleted'>, keptDays?: number) {
    this.#table = new Table(dynamo, table)
    this.#results = results
    this.#keptDays = keptDays
  }

  async get(tenant: string, of: Explained, now: Date): Promise<StoredAttribution | undefined> {
    const row = await this.#table.get(attributionKey(tenant, of))
    if (row === undefined) return undefined
    if (row.status === 'pending') return Number(row.until) > now.getTime() ? { status: 'pending' } : undefined
    return row.status === 'failed'
      ? { status: 'failed', reason: row.reason as ErrorCode } // as `end` wrote it
      : { status: 'done', ...(row.attribution as Attribution) }
  }

  /**
   * Marks an attribution as requested.
   * @returns false when it is already requested or done
   */
  begin(tenant: string, of: Explained, now: Date): Promise<boolean> {
    const until = now.getTime() + PENDING_MS
    const expiresAt = expiry(now, PENDING_DAYS)
    return this.#table.putIf(
      { ...attributionKey(tenant, of), status: 'pending', until, expiresAt },
      {
        expression: 'attribute_not_exists(pk) OR #until < :now OR #status = :failed',
        values: { now: now.getTime(), failed: 'failed' },
      },
    )
  }

  /** Stores the outcome, unless the ECG was deleted meanwhile. */
  async end(tenant: string, of: Explained, answer: Attribution | { reason: ErrorCode }, now: Date): Promise<void> {
    const state = 'reason' in answer ? { status: 'failed', ...answer } : { status: 'done', attribution: answer }
    const expiresAt = this.#keptDays === undefined ? undefined : expiry(now, this.#keptDays)
    const key = attributionKey(tenant, of)
    await this.#table.put({ ...key, ...state, expiresAt })
    // After the put: a deletion first sets its mark and then looks for rows, so one of the two always sees the other.
    if (await this.#results.isDeleted(tenant, of.ecgId)) await this.#table.delete(key)
  }
}

const expiry = (now: Date, days: number) => Math.ceil(now.getTime() / 1000) + days * 86_400
