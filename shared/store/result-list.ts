/**
 * A tenant's results in the order in which they arrived: pages of a list, newest first, and what is new since a position.
 * Both read the index `byArrival`.
 * @module
 */
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { type DynamoDBDocumentClient, QueryCommand } from '@aws-sdk/lib-dynamodb'
import * as z from 'zod'
import { documents } from '../aws/clients.ts'
import type { ConditionId } from '../domain/conditions.ts'
import { type EcgId, parseEcgId } from '../domain/ecg-id.ts'
import type { QualityReason } from '../domain/quality.ts'
import type { Result } from '../domain/result.ts'
import type { WarningCode } from '../domain/warnings.ts'
import { CodedError } from '../errors.ts'
import { type News, readNews } from './news.ts'

/** What a list shows of an ECG. */
export interface ResultSummary {
  readonly ecgId: EcgId
  readonly startedAt: string
  readonly status: Result['status']
  readonly device?: string
  /** Conditions above their threshold. */
  readonly flagged: readonly ConditionId[]
  /** When the result was stored, ISO 8601 in UTC: against it a reader knows how far behind it is. */
  readonly arrivedAt: string
  readonly heartRateBpm?: number
  /** Why the window was refused. */
  readonly reasons?: readonly QualityReason[]
  /** The highest probability of those that may be read. */
  readonly top?: { readonly condition: ConditionId; readonly probability: number }
  readonly warnings?: readonly WarningCode[]
  /** Absent for the first. */
  readonly version?: number
}

export interface Page {
  readonly items: readonly ResultSummary[]
  /** Pass as `after` for the next page; absent on the last. */
  readonly next?: string
}

/** What a list is narrowed to; times are those when the ECG was taken. */
export interface Filter {
  readonly device?: string | undefined
  /** Part of a device's name. */
  readonly search?: string | undefined
  readonly status?: Result['status'] | undefined
  readonly flagged?: ConditionId | undefined
  readonly from?: Date | undefined
  readonly to?: Date | undefined
}

/** Index entries that one request reads at most, so that a narrow filter over a long time answers within a Lambda's. */
const MAX_READ = 10_000

/** A device's clock may be so far ahead of ours. */
const CLOCK_SLACK_MS = 24 * 3600 * 1000

type Item = Record<string, unknown>

export class ResultList {
  readonly #table: string
  readonly #documents: DynamoDBDocumentClient

  constructor(dynamo: DynamoDBClient, table: string) {
    this.#documents = documents(dynamo)
    this.#table = table
  }

  /**
   * A tenant's results, newest first.
   * @throws CodedError `field-invalid` for a cursor that is not ours or another tenant's
   */
  async page(
    tenant: string,
    { limit, after, filter = {} }: { limit: number; after?: string | undefined; filter?: Filter },
  ): Promise<Page> {
    const narrow = narrowing(filter)
    const found: Item[] = []
    let start: Item | undefined = after === undefined ? undefined : parseCursor(after, tenant)
    if (start !== undefined && String(start.arrival) < narrow.floor) return { items: [] }
    for (let read = 0; ; ) {
      const {
        Items = [],
        LastEvaluatedKey,
        ScannedCount = 0,
      } = await this.#query({
        tenant,
        floor: narrow.floor,
        filter: narrow,
        isNewestFirst: true,
        // DynamoDB counts what it reads, not what passes the filter.
        limit: narrow.conditions.length === 0 ? limit + 1 : undefined,
        start,
      })
      found.push(...Items)
      read += ScannedCount
      const items = found.slice(0, limit).map(toSummary)
      if (found.length > limit) return { items, next: makeCursor(found[limit - 1]!) }
      if (LastEvaluatedKey === undefined) return { items }
      if (read >= MAX_READ) return { items, next: makeCursor(LastEvaluatedKey) }
      start = LastEvaluatedKey
    }
  }

  /**
   * What arrived since a time, newest first.
   * @param most that are looked at; `isAll` says whether these were all
   */
  async since(
    tenant: string,
    time: Date,
    most: number,
  ): Promise<{ readonly items: readonly ResultSummary[]; readonly isAll: boolean }> {
    const found: Item[] = []
    let start: Item | undefined
    do {
      const query = { tenant, floor: time.toISOString(), isNewestFirst: true, limit: most - found.length + 1, start }
      const { Items = [], LastEvaluatedKey } = await this.#query(query)
      found.push(...Items)
      start = LastEvaluatedKey
    } while (start !== undefined && found.length <= most)
    return { items: found.slice(0, most).map(toSummary), isAll: found.length <= most }
  }

  /**
   * What arrived since a position, each result once; without a position, nothing but the one to go on from.
   * @throws CodedError `field-invalid` for a position that is not ours
   */
  news(tenant: string, after: string | undefined, now: Date = new Date()): Promise<News<ResultSummary>> {
    const read = async (floor: string, limit: number | undefined) => {
      const { Items = [], LastEvaluatedKey } = await this.#query({ tenant, floor, limit })
      return { items: Items, isAll: LastEvaluatedKey === undefined }
    }
    return readNews({ read, toItem: toSummary, nameOf: ({ pk, sk }) => `${pk}#${sk}` }, after, now)
  }

  #query({ tenant, floor, limit, start, isNewestFirst = false, filter }: Query) {
    const names = { '#tenant': 'tenant', ...filter?.names }
    return this.#documents.send(
      new QueryCommand({
        TableName: this.#table,
        IndexName: 'byArrival',
        KeyConditionExpression: floor === '' ? '#tenant = :tenant' : '#tenant = :tenant AND arrival >= :floor',
        ExpressionAttributeNames: names,
        ExpressionAttributeValues: {
          ':tenant': tenant,
          ...(floor === '' ? {} : { ':floor': floor }),
          ...filter?.values,
        },
        ...(filter === undefined || filter.conditions.length === 0
          ? {}
          : { FilterExpression: filter.conditions.join(' AND ') }),
        ScanIndexForward: !isNewestFirst,
        Limit: limit,
        ExclusiveStartKey: start,
      }),
    )
  }
}

interface Query {
  readonly tenant: string
  /** Earliest arrival; empty for all. */
  readonly floor: string
  readonly limit?: number | undefined
  readonly start?: Item | undefined
  readonly isNewestFirst?: boolean
  readonly filter?: Narrowing
}

interface Narrowing {
  readonly floor: string
  readonly conditions: readonly string[]
  readonly names: Readonly<Record<string, string>>
  readonly values: Readonly<Record<string, string>>
}

function narrowing({ device, search, status, flagged, from, to }: Filter): Narrowing {
  const wanted = [
    ['device', '#device = :device', device],
    ['device', 'contains(#device, :search)', search, ':search'],
    ['status', '#status = :status', status],
    ['flagged', 'contains(#flagged, :flagged)', flagged],
    ['startedAt', '#startedAt >= :from', from?.toISOString(), ':from'],
    ['startedAt', '#startedAt < :to', to?.toISOString(), ':to'],
  ].flatMap(([name, condition, value, placeholder = `:${name}`]) =>
    value === undefined ? [] : [{ name: name!, condition: condition!, value, placeholder }],
  )
  return {
    // No result arrives before its ECG was taken, a wrong clock aside.
    floor: from === undefined ? '' : new Date(from.getTime() - CLOCK_SLACK_MS).toISOString(),
    conditions: wanted.map(({ condition }) => condition),
    names: Object.fromEntries(wanted.map(({ name }) => [`#${name}`, name])),
    values: Object.fromEntries(wanted.map(({ placeholder, value }) => [placeholder, value])),
  }
}

/** What a list shows only where it was written: rows of before have less. */
const SOMETIMES = ['device', 'heartRateBpm', 'reasons', 'top', 'warnings', 'version'] as const

function toSummary({ pk, startedAt, status, flagged, arrival, ...row }: Item): ResultSummary {
  const id = String(pk).split('#')[1] ?? ''
  const more = SOMETIMES.filter((name) => row[name] !== undefined).map((name) => [name, row[name]])
  // Written by `ResultStore`, so the shapes are known.
  const written = { startedAt, status, flagged, ...Object.fromEntries(more) } as Omit<
    ResultSummary,
    'ecgId' | 'arrivedAt'
  >
  return { ecgId: parseEcgId(id)!, ...written, arrivedAt: String(arrival).split('#')[0]! }
}

const makeCursor = ({ pk, sk, arrival }: Item): string =>
  Buffer.from(JSON.stringify([pk, sk, arrival])).toString('base64url')

const Cursor = z.tuple([
  z.string().regex(/^[\w.:-]+#[0-9a-f-]{36}$/),
  z.string().regex(/^result#[0-9a-f]{64}#[\w.-]{1,64}(#[0-9a-f]{64})?$/),
  z.string().regex(/^\d{4}-[\d:.TZ-]{19}#[0-9a-f-]{36}#[0-9a-f]{8}$/),
])

function parseCursor(cursor: string, tenant: string) {
  const [pk, sk, arrival] = readCursor(cursor) ?? []
  const [owner, ecgId] = pk?.split('#') ?? []
  if (arrival === undefined || owner !== tenant || arrival.split('#')[1] !== ecgId) {
    throw new CodedError('field-invalid', { field: 'after' })
  }
  return { pk, sk, arrival, tenant }
}

function readCursor(cursor: string): z.infer<typeof Cursor> | undefined {
  try {
    return Cursor.safeParse(JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))).data
  } catch {
    return undefined // no JSON, so no cursor of ours
  }
}
