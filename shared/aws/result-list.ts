/**
 * A tenant's results in the order in which they arrived: pages of a list, newest first, and what is new since a position.
 *
 * Both read the index `byArrival`, whose entries come a moment after the results they belong to, and not always in order: a writer's
 * clock, a retry, the index itself. A position therefore is a time up to which everything is settled, and what was seen behind it.
 * @module
 */
import { createHash } from 'node:crypto'
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { type DynamoDBDocumentClient, QueryCommand } from '@aws-sdk/lib-dynamodb'
import * as z from 'zod'
import type { ConditionId } from '../domain/conditions.ts'
import { type EcgId, parseEcgId } from '../domain/ecg-id.ts'
import type { Result } from '../domain/result.ts'
import { CodedError } from '../errors.ts'
import { documents } from './clients.ts'

/** What a list shows of an ECG. */
export interface ResultSummary {
  readonly ecgId: EcgId
  readonly startedAt: string
  readonly status: Result['status']
  readonly device?: string
  /** Conditions above their threshold. */
  readonly flagged: readonly ConditionId[]
}

export interface Page {
  readonly items: readonly ResultSummary[]
  /** Pass as `after` for the next page; absent on the last. */
  readonly next?: string
}

/** What a list is narrowed to; times are those when the ECG was taken. */
export interface Filter {
  readonly device?: string | undefined
  readonly status?: Result['status'] | undefined
  readonly flagged?: ConditionId | undefined
  readonly from?: Date | undefined
  readonly to?: Date | undefined
}

export interface News {
  /** Each with the position right behind it. */
  readonly items: readonly { readonly result: ResultSummary; readonly position: string }[]
  readonly position: string
}

/** A result shows in the index at most so long after its time of arrival; what comes later still is in lists, but no news. */
const SETTLED_MS = 20_000

/** What a position holds at most; a tenant with more results than that in `SETTLED_MS` has them settled sooner. */
const MAX_UNSETTLED = 256

/** Characters of base64url that stand for a result in a position: 48 bits. */
const MARK_LENGTH = 8

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
   * What arrived since a position, each result once; without a position, nothing but the one to go on from.
   * @throws CodedError `field-invalid` for a position that is not ours
   */
  async news(tenant: string, after: string | undefined, now: Date = new Date()): Promise<News> {
    const settledMs = now.getTime() - SETTLED_MS
    const { settled, seen } = after === undefined ? { settled: settledMs, seen: undefined } : parsePosition(after, now)
    const { Items: items = [], LastEvaluatedKey } = await this.#query({
      tenant,
      floor: new Date(settled).toISOString(),
      limit: after === undefined ? undefined : MAX_UNSETTLED,
    })
    const entries = items.map((item) => ({ item, mark: markOf(item), arrivedMs: arrivalOf(item) }))
    const isDone = new Set(seen ?? entries.map(({ mark }) => mark))
    const positionAt = (time: number) => {
      const done = entries.filter(({ mark, arrivedMs }) => isDone.has(mark) && arrivedMs >= time)
      const kept = done.slice(-MAX_UNSETTLED)
      return makePosition(kept.length < done.length ? kept[0]!.arrivedMs : time, kept)
    }
    const fresh: News['items'][number][] = []
    for (const { item, mark, arrivedMs } of entries) {
      if (isDone.has(mark)) continue
      isDone.add(mark)
      // What follows in this batch is not seen yet, so nothing behind this one counts as settled.
      const position = positionAt(Math.max(settled, Math.min(settledMs, arrivedMs)))
      fresh.push({ result: toSummary(item), position })
    }
    const isComplete = LastEvaluatedKey === undefined
    const last = isComplete ? settledMs : Math.min(settledMs, entries.at(-1)!.arrivedMs)
    return { items: fresh, position: positionAt(Math.max(settled, last)) }
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

function narrowing({ device, status, flagged, from, to }: Filter): Narrowing {
  const wanted = [
    ['device', '#device = :device', device],
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

function toSummary({ pk, startedAt, status, device, flagged }: Item): ResultSummary {
  const id = String(pk).split('#')[1] ?? ''
  // Written by `ResultStore`, so the shapes are known.
  const written = { startedAt, status, flagged } as Pick<ResultSummary, 'startedAt' | 'status' | 'flagged'>
  return { ecgId: parseEcgId(id)!, ...written, ...(device === undefined ? {} : { device: String(device) }) }
}

const arrivalOf = ({ arrival }: Item): number => Date.parse(String(arrival).split('#')[0] ?? '')

function markOf({ pk, sk }: Item): string {
  return createHash('sha256').update(`${pk}#${sk}`).digest('base64url').slice(0, MARK_LENGTH)
}

function makePosition(settledMs: number, seen: readonly { readonly mark: string }[]): string {
  return `${settledMs.toString(36)}.${seen.map(({ mark }) => mark).join('')}`
}

function parsePosition(position: string, now: Date): { settled: number; seen: readonly string[] } {
  const [, time = '', marks = ''] = /^([0-9a-z]{8,9})\.((?:[\w-]{8}){0,256})$/.exec(position) ?? []
  const settled = Number.parseInt(time, 36)
  if (!(settled <= now.getTime() + CLOCK_SLACK_MS)) throw new CodedError('field-invalid', { field: 'after' })
  return { settled, seen: marks.match(/.{8}/g) ?? [] }
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
