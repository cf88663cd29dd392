/**
 * How much of something a tenant, and one caller of it, has had: so much in a span of time, or so many at once.
 *
 * A counter is a row of a kind and a span of time, a place a row of a kind and a number that is taken until `until`. Rows expire.
 * @module
 */
import { createHash, randomUUID } from 'node:crypto'
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { type Key, quotaKey } from './keys.ts'
import { Table } from './table.ts'

/** Who is counted. */
export interface Counted {
  readonly tenant: string
  /** As the token has it. */
  readonly subject: string
}

/** Of a tenant, and of one subject of it. */
export interface Share {
  readonly tenant: number
  readonly subject: number
}

/** How long a row outlives what it counts. */
const SLACK_S = 3600

export class QuotaStore {
  readonly #table: Table

  constructor(dynamo: DynamoDBClient, table: string) {
    this.#table = new Table(dynamo, table)
  }

  /**
   * Counts one more of a kind, unless either has had its share in this span.
   * @returns seconds until the span ends where there is none left, else `undefined`
   */
  async take(kind: string, of: Counted, share: Share, spanS: number, now: Date): Promise<number | undefined> {
    const span = Math.floor(now.getTime() / 1000 / spanS)
    const endsS = (span + 1) * spanS
    // The caller first: a caller over its own limit takes nothing from its tenant.
    for (const [who, most] of sharesOf(of, share)) {
      const key = quotaKey(of.tenant, kind, who, span)
      if (!(await this.#count(key, most, endsS + SLACK_S))) return Math.max(1, Math.ceil(endsS - now.getTime() / 1000))
    }
    return undefined
  }

  /**
   * One of the places of a kind, for as long as `untilMs` at most.
   * @returns how to give it back; `undefined` where there is none left
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

  /** The first place that is free, from anywhere on. */
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

  /** Another may have it by now. */
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
