/**
 * Live sessions in the results table, until their summary is written.
 *
 * Each window has a digest, which is written every time its result arrives and is the same each time. The session's head row records
 * whether the session is live, which check watches for its end, and what was reported.
 * @module
 */
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import * as z from 'zod'
import { CONDITION_IDS } from '../../shared/domain/conditions.ts'
import { CodedError } from '../../shared/errors.ts'
import { headKey, ownEcgId, type SessionKey, sessionPk, WINDOWS, windowKey } from '../../shared/store/keys.ts'
import { type Change, IS_NEW, type Row, Table, type Condition as WriteCondition } from '../../shared/store/table.ts'
import type { WindowDigest } from '../../streams/fhir/report/session.ts'

/** How long a session is kept after its last window, s. Its patient must be known by then. */
const KEPT_S = 90 * 24 * 3600

const Condition = z.enum(CONDITION_IDS)

const Head = z.object({
  state: z.enum(['live', 'over']),
  /** Token of the check that watches for the session's end; any other check is obsolete. */
  token: z.string(),
  /** When its last window arrived, ms since 1970. */
  lastAt: z.number(),
  /** Conditions that the last report flagged, per patient. */
  reported: z.record(z.string(), z.array(Condition)).default({}),
  lastReportAt: z.number().default(0),
  /** A process is writing the session's report until this time, ms since 1970. */
  busyUntil: z.number().default(0),
  /** The window that represents the session on the waiting list. */
  waiting: z.object({ at: z.string(), ecgId: z.string() }).nullish(),
})
export type Head = z.infer<typeof Head>

const Digest = z.object({
  ecgId: z.string(),
  /** Absent in windows from before there were versions. */
  version: z.number().default(1),
  firstSample: z.number(),
  at: z.string(),
  durationMs: z.number(),
  status: z.enum(['screened', 'refused']),
  modelSha256: z.string(),
  profile: z.string(),
  site: z.string().optional(),
  probabilities: z.array(z.number()),
  flagged: z.array(Condition),
  reasons: z.array(z.string()),
  heartRateBpm: z.number().nullable(),
})

/** Fields that distinguish the results of one window. */
const RESULT_KEY = ['version', 'modelSha256', 'profile', 'site'] as const
type NotedWindow = Partial<Pick<WindowDigest, (typeof RESULT_KEY)[number]>>

/** Whether the recorded result is this one. Windows from before there were versions have no `version`. */
const isSameResult = ({ version = 1, ...noted }: NotedWindow, digest: WindowDigest) =>
  RESULT_KEY.every((name) => ({ version, ...noted })[name] === digest[name])

/** Condition: the window is still recorded as it was read. */
function stillNoted(before: NotedWindow): WriteCondition {
  const parts = RESULT_KEY.map((name) =>
    before[name] === undefined ? `attribute_not_exists(#${name})` : `#${name} = :${name}`,
  )
  return { expression: parts.join(' AND '), values: before }
}

/** Most attempts. Few results of one window arrive at the same time. */
const MAX_TRIES = 10

export class SessionStore {
  readonly #table: Table

  constructor(dynamo: DynamoDBClient, table: string) {
    this.#table = new Table(dynamo, table)
  }

  /**
   * Records a window.
   * @param newest digest of the window's newest stored result, `undefined` when its ECG was deleted. Called when the window is already
   * recorded: results arrive late, twice and out of order, and an older one must not replace a newer one
   * @returns `new`; `known` when the window was recorded before, whichever result it keeps; `gone` when its ECG was deleted
   * @throws CodedError `unavailable` when other results of the window keep arriving first
   */
  async addWindow(
    key: SessionKey,
    digest: WindowDigest,
    now: Date,
    newest: () => Promise<WindowDigest | undefined>,
  ): Promise<'new' | 'known' | 'gone'> {
    if (await this.#putWindow(key, digest, now, IS_NEW)) return 'new'
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const before: NotedWindow | undefined = await this.#table.get(windowKey(key, digest.firstSample))
      // Read after the recorded result, so it is never older. The condition detects what is recorded meanwhile.
      const current = await newest()
      if (current === undefined) return 'gone'
      if (before !== undefined && isSameResult(before, current)) return 'known'
      if (await this.#putWindow(key, current, now, before === undefined ? IS_NEW : stillNoted(before))) return 'known'
    }
    throw new CodedError('unavailable', { field: 'window' })
  }

  /** @returns false when the condition is not met */
  #putWindow(key: SessionKey, digest: WindowDigest, now: Date, condition: WriteCondition): Promise<boolean> {
    const row = { ...digest, at: digest.at.toISOString(), expiresAt: expiry(now) }
    return this.#table.putIf({ ...windowKey(key, digest.firstSample), ...row }, condition)
  }

  async head(key: SessionKey): Promise<Head | undefined> {
    const row = await this.#table.get(headKey(key))
    return row && Head.parse(row)
  }

  /**
   * Records that a window arrived.
   * @returns the head, or `undefined` when the session is not live
   */
  touch(key: SessionKey, now: Date): Promise<Head | undefined> {
    const set = { lastAt: now.getTime(), expiresAt: expiry(now) }
    return this.#update(key, { set }, '#state = :live', { live: 'live' })
  }

  /**
   * Starts a session, or resumes one that was over.
   * @returns `undefined` when another process did so first
   */
  begin(key: SessionKey, token: string, now: Date): Promise<Head | undefined> {
    const set = { state: 'live', lastAt: now.getTime(), token, expiresAt: expiry(now) }
    return this.#update(key, { set }, 'attribute_not_exists(pk) OR #state = :over', { over: 'over' })
  }

  /** Passes the watch for the session's end from one check to the next. */
  passOn(key: SessionKey, from: string, to: string): Promise<Head | undefined> {
    return this.#update(key, { set: { token: to } }, '#token = :from', { from })
  }

  /** Ends a session, unless a window arrived since `lastAt`. */
  end(key: SessionKey, { token, lastAt }: Pick<Head, 'token' | 'lastAt'>): Promise<Head | undefined> {
    const set = { state: 'over' }
    return this.#update(key, { set }, '#token = :token AND #lastAt = :lastAt', { token, lastAt })
  }

  /**
   * Claims the right to write the session's report; one process has it at a time.
   * @returns `undefined` while another has it
   */
  lease(key: SessionKey, now: Date, untilMs: number): Promise<Head | undefined> {
    const isFree = 'attribute_exists(pk) AND (attribute_not_exists(#busyUntil) OR #busyUntil < :now)'
    return this.#update(key, { set: { busyUntil: untilMs } }, isFree, { now: now.getTime() })
  }

  /** Releases that right and records what was reported. */
  async release(key: SessionKey, done?: Pick<Head, 'reported' | 'lastReportAt' | 'waiting'>): Promise<void> {
    const { reported, lastReportAt, waiting = null } = done ?? {}
    const set = { busyUntil: 0, ...(done === undefined ? {} : { reported, lastReportAt, waiting }) }
    await this.#update(key, { set }, 'attribute_exists(pk)')
  }

  /** The newest `count` windows by their position in the session, newest first. */
  async newest(key: SessionKey, count: number): Promise<readonly WindowDigest[]> {
    const { rows } = await this.#table.page(sessionPk(key), WINDOWS, { limit: count, isDescending: true })
    return rows.map(toDigest)
  }

  /** All windows in order. */
  async windows(key: SessionKey): Promise<readonly WindowDigest[]> {
    const rows = await Array.fromAsync(this.#table.rows(sessionPk(key), WINDOWS))
    return rows.map(toDigest)
  }

  /** @returns the new head, or `undefined` when the condition is not met */
  async #update(key: SessionKey, change: Change, condition: string, values: Row = {}): Promise<Head | undefined> {
    const row = await this.#table.update(headKey(key), change, { expression: condition, values })
    return row && Head.parse(row)
  }
}

const expiry = (now: Date) => Math.ceil(now.getTime() / 1000) + KEPT_S

function toDigest(row: Row): WindowDigest {
  const { ecgId, at, ...rest } = Digest.parse(row)
  return { ...rest, ecgId: ownEcgId(ecgId), at: new Date(at) }
}
