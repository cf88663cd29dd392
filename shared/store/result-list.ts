/**
 * A tenant's results in order of arrival: pages of a list, newest first, and what is new since a position. Both read the index `byArrival`.
 * @module
 */
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import * as z from 'zod'
import type { ConditionId } from '../domain/conditions.ts'
import type { EcgId } from '../domain/ecg-id.ts'
import type { QualityReason } from '../domain/quality.ts'
import type { Result } from '../domain/result.ts'
import type { WarningCode } from '../domain/warnings.ts'
import { CodedError } from '../errors.ts'
import type { DeviceSpan } from './associations.ts'
import { arrivedAt, ecgIdOfPk, RESULT_ARRIVAL_FORMAT, RESULT_PK_FORMAT, RESULT_SK_FORMAT } from './keys.ts'
import { type News, readNews } from './news.ts'
import { type Condition, type Row, Table } from './table.ts'

/** Entry of an ECG in a list. */
export interface ResultSummary {
  readonly ecgId: EcgId
  readonly startedAt: string
  readonly status: Result['status']
  readonly device?: string
  /** Conditions that are flagged. */
  readonly flagged: readonly ConditionId[]
  /** When the result was stored, ISO 8601 in UTC; shows how far it is behind the recording. */
  readonly arrivedAt: string
  readonly heartRateBpm?: number
  /** Why the window was refused. */
  readonly reasons?: readonly QualityReason[]
  /** The highest probability among findings that are not withheld. */
  readonly top?: { readonly condition: ConditionId; readonly probability: number }
  readonly warnings?: readonly WarningCode[]
  /** Absent for the first version. */
  readonly version?: number
}

export interface Page {
  readonly items: readonly ResultSummary[]
  /** Pass as `after` for the next page; absent on the last. */
  readonly next?: string
}

/** Filter of a list. Times are those of recording. */
export interface Filter {
  readonly device?: string | undefined
  /** Part of a device's name. */
  readonly search?: string | undefined
  readonly status?: Result['status'] | undefined
  readonly flagged?: ConditionId | undefined
  readonly from?: Date | undefined
  readonly to?: Date | undefined
  /** Only ECGs of these devices in these times; none for an empty list. */
  readonly spans?: readonly DeviceSpan[] | undefined
}

/** Most index entries per request, so that a narrow filter over a long time answers within a Lambda's time limit. */
const MAX_READ = 10_000

/** Most values of DynamoDB's `IN`. */
const MAX_DEVICES = 100

/** Largest difference by which a device's clock may be ahead of ours. */
const CLOCK_SLACK_MS = 24 * 3600 * 1000

export class ResultList {
  readonly #table: Table

  constructor(dynamo: DynamoDBClient, table: string) {
    this.#table = new Table(dynamo, table)
  }

  /**
   * A tenant's results, newest first.
   * @throws CodedError `field-invalid` for a cursor that is not ours or another tenant's
   */
  async page(
    tenant: string,
    { limit, after, filter = {} }: { limit: number; after?: string | undefined; filter?: Filter },
  ): Promise<Page> {
    if (filter.spans?.length === 0) return { items: [] }
    const narrow = { floor: floorOf(filter), filter: conditionOf(filter) }
    const isWithin = withinSpans(filter.spans)
    const found: Row[] = []
    let start: Row | undefined = after === undefined ? undefined : parseCursor(after, tenant)
    if (start !== undefined && narrow.floor !== undefined && String(start.arrival) < narrow.floor) return { items: [] }
    for (let read = 0; ; ) {
      const page = await this.#table.arrivals({
        part: tenant,
        ...narrow,
        isDescending: true,
        // DynamoDB's limit counts the items that it reads, not those that pass the filter.
        limit: narrow.filter === undefined ? limit + 1 : undefined,
        start,
      })
      found.push(...page.rows.filter(isWithin))
      read += page.read
      const shown = found.slice(0, limit)
      const items = shown.map(toSummary)
      if (found.length > limit) return { items, next: makeCursor(shown.at(-1) ?? {}) }
      if (page.next === undefined) return { items }
      if (read >= MAX_READ) return { items, next: makeCursor(page.next) }
      start = page.next
    }
  }

  /**
   * Results that arrived since a time, newest first.
   * @param most results to read; `isAll` tells whether these were all
   */
  async since(
    tenant: string,
    time: Date,
    most: number,
  ): Promise<{ readonly items: readonly ResultSummary[]; readonly isAll: boolean }> {
    const found: Row[] = []
    let start: Row | undefined
    do {
      const query = {
        part: tenant,
        floor: time.toISOString(),
        isDescending: true,
        limit: most - found.length + 1,
        start,
      }
      const page = await this.#table.arrivals(query)
      found.push(...page.rows)
      start = page.next
    } while (start !== undefined && found.length <= most)
    return { items: found.slice(0, most).map(toSummary), isAll: found.length <= most }
  }

  /**
   * Results that arrived since a position, each once. Without a position, no results and the position to continue from.
   * @throws CodedError `field-invalid` for an invalid position
   */
  news(tenant: string, after: string | undefined, now: Date = new Date()): Promise<News<ResultSummary>> {
    const read = async (floor: string, limit: number | undefined) => {
      const { rows, next } = await this.#table.arrivals({ part: tenant, floor, limit })
      return { items: rows, isAll: next === undefined }
    }
    return readNews({ read, toItem: toSummary, nameOf: ({ pk, sk }) => `${pk}#${sk}` }, after, now)
  }
}

/** No result arrives before its ECG was recorded, except with a wrong clock. */
function floorOf({ from, spans }: Filter): string | undefined {
  const earliest = Math.max(
    from?.getTime() ?? Number.NEGATIVE_INFINITY,
    spans === undefined ? Number.NEGATIVE_INFINITY : Math.min(...spans.map((span) => span.from.getTime())),
  )
  return Number.isFinite(earliest) ? new Date(earliest - CLOCK_SLACK_MS).toISOString() : undefined
}

/** Devices that were used last, because a condition has room for so many only. */
const devicesOf = (spans: readonly DeviceSpan[]) =>
  [...new Set(spans.toSorted((a, b) => b.from.getTime() - a.from.getTime()).map(({ device }) => device))].slice(
    0,
    MAX_DEVICES,
  )

function withinSpans(spans: readonly DeviceSpan[] | undefined): (row: Row) => boolean {
  if (spans === undefined) return () => true
  return ({ device, startedAt }) => {
    const at = Date.parse(String(startedAt))
    return spans.some(
      (span) =>
        span.device === device && span.from.getTime() <= at && at < (span.to?.getTime() ?? Number.POSITIVE_INFINITY),
    )
  }
}

/** @returns `undefined` for an empty filter */
function conditionOf({ device, search, status, flagged, from, to, spans }: Filter): Condition | undefined {
  const values = { device, search, status, flagged, from: from?.toISOString(), to: to?.toISOString() }
  const devices = spans === undefined ? [] : devicesOf(spans)
  const anyOf = devices.length === 0 ? [] : [`#device IN (${devices.map((_, i) => `:device${i}`).join(', ')})`]
  const conditions: Readonly<Record<keyof typeof values, string>> = {
    device: '#device = :device',
    search: 'contains(#device, :search)',
    status: '#status = :status',
    flagged: 'contains(#flagged, :flagged)',
    from: '#startedAt >= :from',
    to: '#startedAt < :to',
  }
  const wanted = Object.entries(conditions).filter(([name]) => values[name as keyof typeof values] !== undefined)
  const all = [...wanted.map(([, condition]) => condition), ...anyOf]
  if (all.length === 0) return undefined
  const named = Object.fromEntries(devices.map((each, i) => [`device${i}`, each]))
  return { expression: all.join(' AND '), values: { ...values, ...named } }
}

/** Fields that are shown only where they were stored: older rows have fewer. */
const SOMETIMES = ['device', 'heartRateBpm', 'reasons', 'top', 'warnings', 'version'] as const

function toSummary({ pk, startedAt, status, flagged, arrival, ...row }: Row): ResultSummary {
  const more = SOMETIMES.filter((name) => row[name] !== undefined).map((name) => [name, row[name]])
  // Written by `ResultStore`, so the shapes are known.
  const written = { startedAt, status, flagged, ...Object.fromEntries(more) } as Omit<
    ResultSummary,
    'ecgId' | 'arrivedAt'
  >
  return { ecgId: ecgIdOfPk(pk), ...written, arrivedAt: arrivedAt(arrival) }
}

const makeCursor = ({ pk, sk, arrival }: Row): string =>
  Buffer.from(JSON.stringify([pk, sk, arrival])).toString('base64url')

const Cursor = z.tuple([
  z.string().regex(RESULT_PK_FORMAT),
  z.string().regex(RESULT_SK_FORMAT),
  z.string().regex(RESULT_ARRIVAL_FORMAT),
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
    return undefined // not JSON, so not our cursor
  }
}
