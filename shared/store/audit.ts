/**
 * Entries of the audit trail, in a table to which their writers can only append (`cdk/constructs/audit.ts`).
 *
 * One write unit per entry and no index. A search for an ECG or a subject reads all entries of the days in question, which is rare.
 * @module
 */
import { randomBytes } from 'node:crypto'
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import type { EcgId } from '../domain/ecg-id.ts'
import { CodedError } from '../errors.ts'
import type { AuditEntry } from '../observe/audit.ts'
import { auditKey, auditPk, auditTime, auditTimes } from './keys.ts'
import { IS_NEW, Table } from './table.ts'

/** ECGs per part of an entry. An id takes 40 bytes, so a part uses at most a fifth of an item. */
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
  readonly #table: Table
  readonly #keptDays: number

  /** @param keptDays days after which DynamoDB removes an entry */
  constructor(dynamo: DynamoDBClient, table: string, keptDays: number) {
    this.#table = new Table(dynamo, table)
    this.#keptDays = keptDays
  }

  /**
   * Stores an entry and never replaces one. Resolves when it is stored. An entry with more ECGs than an item holds (400 KB) is stored in
   * parts, in order.
   * @throws CodedError `unavailable` when the entry could not be stored
   */
  async append({ ecgIds, ...entry }: AuditEntry): Promise<void> {
    const parts = Math.max(1, Math.ceil(ecgIds.length / ECGS_A_PART))
    for (let part = 0; part < parts; part++) {
      const some = ecgIds.slice(part * ECGS_A_PART, (part + 1) * ECGS_A_PART)
      await this.#put({ ...entry, ecgIds: some, ...(parts === 1 ? {} : { part: `${part + 1}/${parts}` }) })
    }
  }

  async #put({ at, ...entry }: AuditEntry): Promise<void> {
    const key = auditKey(entry.tenant, at, randomBytes(6).toString('hex'))
    const expiresAt = Math.ceil((at.getTime() + this.#keptDays * DAY_MS) / 1000)
    const isNew = await this.#table.putIf({ ...key, ...entry, expiresAt }, IS_NEW)
    if (!isNew) throw new CodedError('unavailable', { field: 'audit' })
  }

  /** Entries in order of time. */
  async *entries({ tenant, since, until, ecgId, subject }: AuditQuery): AsyncGenerator<AuditEntry> {
    const times = auditTimes(since, until)
    for (let day = startOfDay(since); day <= until.getTime(); day += DAY_MS) {
      for await (const { pk: _, sk, expiresAt: __, ...row } of this.#table.rows(
        auditPk(tenant, new Date(day)),
        times,
      )) {
        const entry = { ...(row as Omit<AuditEntry, 'at'>), at: auditTime(sk) } // as `append` wrote it
        if (ecgId !== undefined && !entry.ecgIds.includes(ecgId)) continue
        if (subject !== undefined && entry.subject !== subject) continue
        yield entry
      }
    }
  }
}

const startOfDay = (at: Date): number => Math.floor(at.getTime() / DAY_MS) * DAY_MS
