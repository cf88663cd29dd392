/**
 * Live sessions in the table of results, until their summary is written.
 *
 * Of each window there is a digest, written as often as its result comes and the same each time. The session's head says whether the session goes on,
 * which check looks after its end, and what was reported.
 * @module
 */
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import * as z from 'zod'
import { CONDITION_IDS } from '../../shared/domain/conditions.ts'
import { CodedError } from '../../shared/errors.ts'
import { headKey, ownEcgId, type SessionKey, sessionPk, WINDOWS, windowKey } from '../../shared/store/keys.ts'
import { type Change, IS_NEW, type Row, Table, type Condition as WriteCondition } from '../../shared/store/table.ts'
import type { WindowDigest } from '../../streams/fhir/report/session.ts'

/** How long a session is kept after its last window: its patient must be known by then. */
const KEPT_S = 90 * 24 * 3600

const Condition = z.enum(CONDITION_IDS)

const Head = z.object({
  state: z.enum(['live', 'over']),
  /** Of the check that looks after its end; any other is a leftover. */
  token: z.string(),
  /** When its last window came, ms. */
  lastAt: z.number(),
  /** By patient: the conditions that the last report had above their threshold. */
  reported: z.record(z.string(), z.array(Condition)).default({}),
  lastReportAt: z.number().default(0),
  /** Somebody writes its report until then, ms. */
  busyUntil: z.number().default(0),
  /** A window that stands for the session in the list of those that wait for a patient. */
  waiting: z.object({ at: z.string(), ecgId: z.string() }).nullish(),
})
export type Head = z.infer<typeof Head>

const Digest = z.object({
  ecgId: z.string(),
  /** Windows noted before there were versions have none. */
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

/** What tells one result of a window from another. */
const RESULT_KEY = ['version', 'modelSha256', 'profile', 'site'] as const
type NotedWindow = Partial<Pick<WindowDigest, (typeof RESULT_KEY)[number]>>

/** Windows noted before there were versions have none. */
const isSameResult = ({ version = 1, ...noted }: NotedWindow, digest: WindowDigest) =>
  RESULT_KEY.every((name) => ({ version, ...noted })[name] === digest[name])

/** The condition that a window is still noted as it was read. */
function stillNoted(before: NotedWindow): WriteCondition {
  const parts = RESULT_KEY.map((name) =>
    before[name] === undefined ? `attribute_not_exists(#${name})` : `#${name} = :${name}`,
  )
  return { expression: parts.join(' AND '), values: before }
}

/** Results of one window that come at the same time are a few. */
const MAX_TRIES = 10

export class SessionStore {
  readonly #table: Table

  constructor(dynamo: DynamoDBClient, table: string) {
    this.#table = new Table(dynamo, table)
  }

  /**
   * Notes a window.
   * @param newest digest of the window's newest result as it is stored now, `undefined` when its ECG was deleted. Asked where the window is there
   *   already: results come late, twice and out of order, and an older one must not take the place of a newer one
   * @returns `new`; `known` when the window was there before, whichever of the two changed; `gone` when its ECG was deleted
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
      // Read after what is noted, so it is never older than that; what is noted meanwhile is found by the condition.
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

  /** Notes that a window came. @returns the head, or `undefined` when the session is not live */
  touch(key: SessionKey, now: Date): Promise<Head | undefined> {
    const set = { lastAt: now.getTime(), expiresAt: expiry(now) }
    return this.#update(key, { set }, '#state = :live', { live: 'live' })
  }

  /** Begins a session, or takes up one that was over. @returns `undefined` when another did so first */
  begin(key: SessionKey, token: string, now: Date): Promise<Head | undefined> {
    const set = { state: 'live', lastAt: now.getTime(), token, expiresAt: expiry(now) }
    return this.#update(key, { set }, 'attribute_not_exists(pk) OR #state = :over', { over: 'over' })
  }

  /** Hands the watch over its end from one check to the next. */
  passOn(key: SessionKey, from: string, to: string): Promise<Head | undefined> {
    return this.#update(key, { set: { token: to } }, '#token = :from', { from })
  }

  /** Ends a session, unless a window came since `lastAt`. */
  end(key: SessionKey, { token, lastAt }: Pick<Head, 'token' | 'lastAt'>): Promise<Head | undefined> {
    const set = { state: 'over' }
    return this.#update(key, { set }, '#token = :token AND #lastAt = :lastAt', { token, lastAt })
  }

  /** The right to write its report, for one at a time. @returns `undefined` while another has it */
  lease(key: SessionKey, now: Date, untilMs: number): Promise<Head | undefined> {
    const isFree = 'attribute_exists(pk) AND (attribute_not_exists(#busyUntil) OR #busyUntil < :now)'
    return this.#update(key, { set: { busyUntil: untilMs } }, isFree, { now: now.getTime() })
  }

  /** Gives the right back, with what was reported. */
  async release(key: SessionKey, done?: Pick<Head, 'reported' | 'lastReportAt' | 'waiting'>): Promise<void> {
    const { reported, lastReportAt, waiting = null } = done ?? {}
    const set = { busyUntil: 0, ...(done === undefined ? {} : { reported, lastReportAt, waiting }) }
    await this.#update(key, { set }, 'attribute_exists(pk)')
  }

  /** The newest `count` windows by their place in the session, newest first. */
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
