/**
 * Keeps the journal within its limit: dispensable data is removed first, and no device or tenant may fill it at the cost of others.
 * @module
 */
import type { Ingest } from './ingest.ts'
import type { Journal } from './journal.ts'
import type { Limits } from './limits.ts'

/** Share of the limit above which data for corrections is removed, oldest first. Windows that wait for SQS are never removed. */
const MAKE_ROOM_BEYOND = 0.5

/** Number of correctable windows, or of ended sessions, that are removed at a time. */
const CHUNK = 500

/** Share above which the usage of devices and tenants is checked. */
const WATCH_BEYOND = 0.2

export interface RoomOptions {
  readonly ingest: Pick<Ingest, 'expire'>
  readonly journal: Journal
  readonly limits: Limits
  readonly limitBytes: number
}

export interface MadeRoom {
  readonly expiredWindows: number
  readonly forgottenSessions: number
}

/** Makes room if necessary, and determines which devices or tenants must wait. */
export function makeRoom({ ingest, journal, limits, limitBytes }: RoomOptions): MadeRoom {
  const isFull = () => journal.usedBytes > limitBytes * MAKE_ROOM_BEYOND
  const expiredWindows = repeat(isFull, () => ingest.expire(Number.MAX_SAFE_INTEGER, CHUNK))
  // Only after that, because without its session a repeated frame cannot be distinguished from a new one.
  const forgottenSessions = repeat(isFull, () =>
    journal.transaction(() => journal.prune(Number.MAX_SAFE_INTEGER, CHUNK)),
  )
  const isWatched = journal.usedBytes > limitBytes * WATCH_BEYOND
  limits.weigh(isWatched ? journal.holdings() : [], limitBytes)
  return { expiredWindows, forgottenSessions }
}

/** Repeats an action until it is no longer wanted or has no effect. Returns the total. */
function repeat(isWanted: () => boolean, some: () => number): number {
  let total = 0
  while (isWanted()) {
    const count = some()
    if (count === 0) break
    total += count
  }
  return total
}
