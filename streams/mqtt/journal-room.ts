/**
 * Keeps the journal within its limit: what may go makes room first, and nobody may fill it at the cost of others.
 * @module
 */
import type { Ingest } from './ingest.ts'
import type { Journal } from './journal.ts'
import type { Limits } from './limits.ts'

/** Share of the limit beyond which what is kept for corrections makes room, the oldest first; windows that wait for SQS never do. */
const MAKE_ROOM_BEYOND = 0.5

/** Windows that could still have been corrected, and sessions that are over: so many make room at a time. */
const CHUNK = 500

/** Share beyond which we look who fills the journal. */
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

/** Makes room where it is needed, and says of whom no more is taken. */
export function makeRoom({ ingest, journal, limits, limitBytes }: RoomOptions): MadeRoom {
  const isFull = () => journal.usedBytes > limitBytes * MAKE_ROOM_BEYOND
  const expiredWindows = repeat(isFull, () => ingest.expire(Number.MAX_SAFE_INTEGER, CHUNK))
  // Only then: a session that is forgotten can no longer tell a repeat from a new frame.
  const forgottenSessions = repeat(isFull, () =>
    journal.transaction(() => journal.prune(Number.MAX_SAFE_INTEGER, CHUNK)),
  )
  const isWatched = journal.usedBytes > limitBytes * WATCH_BEYOND
  limits.weigh(isWatched ? journal.holdings() : [], limitBytes)
  return { expiredWindows, forgottenSessions }
}

/** Does something until it is enough or nothing is left to do. Returns how much it did. */
function repeat(isWanted: () => boolean, some: () => number): number {
  let total = 0
  while (isWanted()) {
    const count = some()
    if (count === 0) break
    total += count
  }
  return total
}
