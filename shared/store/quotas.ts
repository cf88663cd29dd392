/**
 * Quotas of a tenant and of each of its callers: a number per time span, or a number at the same time.
 *
 * A counter is a row per kind and time span. A slot is a row per kind and number, taken until `until`. Rows expire.
 * @module
 */
import { createHash, randomUUID } from 'node:crypto'
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { type Key, quotaKey } from './keys.ts'
import { Table } from './table.ts'

/** The tenant and caller that are counted. */
export interface Counted {
  readonly tenant: string
  /** Subject of the token. */
  readonly subject: string
}

/** Limit of a tenant, and of one subject in it. */
export interface Share {
  readonly tenant: number
  readonly subject: number
}

/** How long a row outlives what it counts, s. */
const SLACK_S = 3600

export class QuotaStore {
  readonly #table: Table

  constructor(dynamo: DynamoDBClient, table: string) {
    this.#table = new Table(dynamo, table)
  }

  /**
   * Counts one more of a kind, unless the tenant or the subject has reached its limit in this time span.
   * @returns seconds until the span ends when the limit is reached, else `undefined`
   */
  async take(kind: string, of: Counted, share: Share, spanS: number, now: Date): Promise<number | undefined> {
    const span = Math.floor(now.getTime() / 1000 / spanS)
    const endsS = (span + 1) * spanS
    // The caller is counted first, so that a caller above its own limit does not use up the tenant's.
    for (const [who, most] of sharesOf(of, share)) {
      const key = quotaKey(of.tenant, kind, who, span)
      if (!(await this.#count(key, most, endsS + SLACK_S))) return Math.max(1, Math.ceil(endsS - now.getTime() / 1000))
    }
    return undefined
  }

  /**
   * Takes one slot of a kind, until `untilMs` at the latest.
   * @returns a function that frees the slot; `undefined` when no slot is free
   */
  async hold(
    kind: string,
    of: Counted,
    share: Share,
    untilMs: number,
    now: Date,
  ): Promise<(() => Promise<void>) | undefined> {
    const token = randomUUID()
    const held: Key[] = []
    const giveBack = async () => {
      await Promise.all(held.splice(0).map((key) => this.#free(key, token)))
    }
    for (const [who, most] of sharesOf(of, share)) {
      const key = await this.#place((place) => quotaKey(of.tenant, kind, who, place), { most, token, untilMs, now })
      if (key === undefined) {
        await giveBack()
        return undefined
      }
      held.push(key)
    }
    return giveBack
  }

  /** The first free slot, starting at a random one. */
  async #place(
    keyOf: (place: number) => Key,
    { most, token, untilMs, now }: { most: number; token: string; untilMs: number; now: Date },
  ): Promise<Key | undefined> {
    const first = Math.floor(Math.random() * most)
    const isFree = { expression: 'attribute_not_exists(pk) OR #until < :now', values: { now: now.getTime() } }
    for (let tries = 0; tries < most; tries++) {
      const key = keyOf((first + tries) % most)
      const row = { ...key, token, until: untilMs, expiresAt: Math.ceil(untilMs / 1000) + SLACK_S }
      if (await this.#table.putIf(row, isFree)) return key
    }
    return undefined
  }

  async #count(key: Key, most: number, expiresAt: number): Promise<boolean> {
    const change = { add: { count: 1 }, set: { expiresAt } }
    const hasShare = { expression: 'attribute_not_exists(#count) OR #count < :most', values: { most } }
    return (await this.#table.update(key, change, hasShare)) !== undefined
  }

  /** Frees the slot unless another caller has taken it meanwhile. */
  async #free(key: Key, token: string): Promise<void> {
    await this.#table.deleteIf(key, { expression: '#token = :token', values: { token } })
  }
}

function sharesOf({ subject }: Counted, share: Share): readonly (readonly [string, number])[] {
  const hash = createHash('sha256').update(subject).digest('hex').slice(0, 32)
  return [
    [hash, share.subject],
    ['tenant', share.tenant],
  ]
}
