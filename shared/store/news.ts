/**
 * New entries in a part of the index `byArrival` since a position.
 *
 * Index entries appear shortly after the rows that they belong to, and not always in order (a writer's clock, a retry, the index itself). A
 * position is therefore a time up to which everything is settled, plus the entries already seen after it.
 * @module
 */
import { createHash } from 'node:crypto'
import { CodedError } from '../errors.ts'

export type IndexEntry = Readonly<Record<string, unknown>>

/** One part of the index, in order of arrival. */
export interface Feed<T> {
  /** Reads entries that arrived at `floor` (ISO 8601) or later. */
  readonly read: (floor: string, limit: number | undefined) => Promise<{ items: readonly IndexEntry[]; isAll: boolean }>
  readonly toItem: (entry: IndexEntry) => T
  /** Unique name of an entry. */
  readonly nameOf: (entry: IndexEntry) => string
}

export interface News<T> {
  /** Each with the position right after it. */
  readonly items: readonly { readonly item: T; readonly position: string }[]
  readonly position: string
}

/**
 * Longest delay between an entry's arrival time and its appearance in the index. An entry that appears later is in lists, but is not news.
 */
const SETTLED_MS = 20_000

/**
 * Most entries in a position. When more arrive within `SETTLED_MS`, they are settled sooner. A query contains two positions
 * (functions/api/routes/events.ts), and a web ACL allows 2,048 bytes for it.
 */
const MAX_UNSETTLED = 118

/** Base64url characters per entry in a position: 48 bits. */
const MARK_LENGTH = 8

/** Largest difference by which another clock may be ahead of ours. */
const CLOCK_SLACK_MS = 24 * 3600 * 1000

/**
 * New entries since a position, each once. Without a position, no entries and the position to continue from.
 * @throws CodedError `field-invalid` for an invalid position
 */
export async function readNews<T>(feed: Feed<T>, after: string | undefined, now: Date): Promise<News<T>> {
  const settledMs = now.getTime() - SETTLED_MS
  const { settled, seen } = after === undefined ? { settled: settledMs, seen: undefined } : parsePosition(after, now)
  const limit = after === undefined ? undefined : MAX_UNSETTLED
  const { items, isAll } = await feed.read(new Date(settled).toISOString(), limit)
  const entries = items.map((entry) => ({ entry, mark: markOf(feed.nameOf(entry)), arrivedMs: arrivalOf(entry) }))
  const isDone = new Set(seen ?? entries.map(({ mark }) => mark))
  const positionAt = (time: number) => {
    const done = entries.filter(({ mark, arrivedMs }) => isDone.has(mark) && arrivedMs >= time)
    const kept = done.slice(-MAX_UNSETTLED)
    return makePosition(kept.length < done.length ? (kept[0]?.arrivedMs ?? time) : time, kept)
  }
  const fresh: News<T>['items'][number][] = []
  for (const { entry, mark, arrivedMs } of entries) {
    if (isDone.has(mark)) continue
    isDone.add(mark)
    // Later entries of this batch are not seen yet, so nothing after this one counts as settled.
    const position = positionAt(Math.max(settled, Math.min(settledMs, arrivedMs)))
    fresh.push({ item: feed.toItem(entry), position })
  }
  const last = isAll ? settledMs : Math.min(settledMs, entries.at(-1)?.arrivedMs ?? settledMs)
  return { items: fresh, position: positionAt(Math.max(settled, last)) }
}

const arrivalOf = ({ arrival }: IndexEntry): number => Date.parse(String(arrival).split('#')[0] ?? '')

function markOf(name: string): string {
  return createHash('sha256').update(name).digest('base64url').slice(0, MARK_LENGTH)
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
