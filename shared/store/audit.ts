/**
 * Entries of the audit trail, in a table that those who write it may add to and nothing else (`cdk/constructs/audit.ts`).
 *
 * `pk` = tenant#day, `sk` = time#random. One write unit an entry and no index: to look for an ECG or a subject reads the days in question, which
 * nobody does often.
 * @module
 */
import { randomBytes } from 'node:crypto'
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { type DynamoDBDocumentClient, PutCommand, QueryCommand } from '@aws-sdk/lib-dynamodb'
import { documents } from '../aws/clients.ts'
import type { EcgId } from '../domain/ecg-id.ts'
import type { AuditEntry } from '../observe/audit.ts'

/** An id takes 40 bytes, so that a part is at most a fifth of what an item holds. */
const ECGS_A_PART = 2000

const DAY_MS = 24 * 3600 * 1000

export interface AuditQuery {
  readonly tenant: string
  readonly since: Date
  readonly until: Date
  readonly ecgId?: EcgId | undefined
  readonly subject?: string | undefined
}

export class AuditStore {
  readonly #table: string
  readonly #documents: DynamoDBDocumentClient
  readonly #keptDays: number

  /** @param keptDays after which DynamoDB forgets an entry */
  constructor(dynamo: DynamoDBClient, table: string, keptDays: number) {
    this.#documents = documents(dynamo)
    this.#table = table
    this.#keptDays = keptDays
  }

  /** Resolves when the entry is kept. Never replaces one. One of more ECGs than an item holds (400 KB) is kept in parts, in order. */
  async append({ ecgIds, ...entry }: AuditEntry): Promise<void> {
    const parts = Math.max(1, Math.ceil(ecgIds.length / ECGS_A_PART))
    for (let part = 0; part < parts; part++) {
      const some = ecgIds.slice(part * ECGS_A_PART, (part + 1) * ECGS_A_PART)
      await this.#put({ ...entry, ecgIds: some, ...(parts === 1 ? {} : { part: `${part + 1}/${parts}` }) })
    }
  }

  async #put({ at, ...entry }: AuditEntry): Promise<void> {
    const time = at.toISOString()
    await this.#documents.send(
      new PutCommand({
        TableName: this.#table,
        Item: {
          pk: `${entry.tenant}#${time.slice(0, 10)}`,
          sk: `${time}#${randomBytes(6).toString('hex')}`,
          ...entry,
          expiresAt: Math.ceil((at.getTime() + this.#keptDays * DAY_MS) / 1000),
        },
        ConditionExpression: 'attribute_not_exists(pk)',
      }),
    )
  }

  /** Entries in the order in which they came. */
  async *entries({ tenant, since, until, ecgId, subject }: AuditQuery): AsyncGenerator<AuditEntry> {
    const [from, to] = [since.toISOString(), `${until.toISOString()}~`]
    for (let day = Date.parse(from.slice(0, 10)); day <= until.getTime(); day += DAY_MS) {
      for await (const entry of this.#day(`${tenant}#${new Date(day).toISOString().slice(0, 10)}`, from, to)) {
        if (ecgId !== undefined && !entry.ecgIds.includes(ecgId)) continue
        if (subject !== undefined && entry.subject !== subject) continue
        yield entry
      }
    }
  }

  async *#day(pk: string, from: string, to: string): AsyncGenerator<AuditEntry> {
    let start: Record<string, unknown> | undefined
    do {
      const { Items = [], LastEvaluatedKey } = await this.#documents.send(
        new QueryCommand({
          TableName: this.#table,
          KeyConditionExpression: 'pk = :pk AND sk BETWEEN :from AND :to',
          ExpressionAttributeValues: { ':pk': pk, ':from': from, ':to': to },
          ConsistentRead: true,
          ExclusiveStartKey: start,
        }),
      )
      for (const { pk: _, sk, expiresAt: __, ...entry } of Items) {
        // As `append` wrote it.
        yield { ...(entry as Omit<AuditEntry, 'at'>), at: new Date(String(sk).split('#')[0]!) }
      }
      start = LastEvaluatedKey
    } while (start !== undefined)
  }
}
