/**
 * The sessions in memory, in the order of their last frame.
 * @module
 */
import { windowSamples } from '../../shared/domain/window.ts'
import type { SessionKey, StoredSession } from './journal.ts'
import { RepeatedWindows } from './repeated-windows.ts'
import type { WindowAssembler } from './window-assembler.ts'

export interface Session {
  readonly id: number
  readonly key: SessionKey
  readonly assembler: WindowAssembler
  readonly repeated: RepeatedWindows
  lastFrameAtMs: number
  /** The assembler's `closedThrough` as in the journal. */
  writtenThrough: number
  /** Samples before this are too late for any correction. */
  expiredThrough: number
  /** When the last late frame arrived. */
  lastLateAtMs: number
  /** Checksum of the frame with sample 0, once it has arrived; `CONTRADICTED` after another one came in its place. */
  firstChecksum: number | undefined
}

/**
 * Most sessions in memory, at some kilobytes each. Beyond it those that were silent longest are dropped if nothing is open, and otherwise
 * closed.
 */
const MAX_SESSIONS = 10_000

export class Sessions {
  readonly #byName = new Map<string, Session>()

  get size(): number {
    return this.#byName.size
  }

  [Symbol.iterator](): Iterator<Session> {
    return this.#byName.values()
  }

  get(key: SessionKey): Session | undefined {
    return this.#byName.get(nameOf(key))
  }

  /** Adds a session, or moves it to the end. */
  touch(session: Session, nowMs: number): Session {
    session.lastFrameAtMs = nowMs
    this.delete(session)
    this.#byName.set(nameOf(session.key), session)
    return session
  }

  delete({ key }: Session): void {
    this.#byName.delete(nameOf(key))
  }

  /** Sessions to drop from memory: first those without open windows. */
  excess(): ReadonlySet<Session> {
    const count = this.size - MAX_SESSIONS
    if (count <= 0) return new Set()
    const isIdle = ({ assembler }: Session) => !assembler.isOpen && assembler.past.reopened.length === 0
    const { true: idle = [], false: busy = [] } = Object.groupBy([...this], (session) =>
      isIdle(session) ? 'true' : 'false',
    )
    return new Set([...idle, ...busy].slice(0, count))
  }
}

/** @param stored what the journal has of it */
export function sessionAt(
  id: number,
  key: SessionKey,
  assembler: WindowAssembler,
  stored: Partial<Pick<StoredSession, 'expiredThrough' | 'firstChecksum'>> = {},
): Session {
  const { closedThrough, format } = assembler
  return {
    id,
    key,
    assembler,
    repeated: new RepeatedWindows(windowSamples(format.rateHz)),
    lastFrameAtMs: 0,
    writtenThrough: closedThrough,
    expiredThrough: stored.expiredThrough ?? 0,
    lastLateAtMs: 0,
    firstChecksum: stored.firstChecksum,
  }
}

function nameOf({ tenant, device, session }: SessionKey): string {
  // None of the three can contain a slash.
  return `${tenant}/${device}/${session}`
}
