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
import { headKey, ownEcgId, type SessionKey, sessionPk, WINDOWS, windowKey } from '../../shared/store/keys.ts'
import { type Change, type Row, Table } from '../../shared/store/table.ts'
import type { WindowDigest } from '../../streams/fhir/report/session.ts'

/** How long a session is kept after its last window: whoever it belongs to must be known by then. */
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
  firstSample: z.number(),
  at: z.string(),
  durationMs: z.number(),
  status: z.enum(['screened', 'refused']),
  modelSha256: z.string(),
  profile: z.string(),
  probabilities: z.array(z.number()),
  flagged: z.array(Condition),
  reasons: z.array(z.string()),
  heartRateBpm: z.number().nullable(),
})

export class SessionStore {
  readonly #table: Table

  constructor(dynamo: DynamoDBClient, table: string) {
    this.#table = new Table(dynamo, table)
  }

  /** @returns false when the window was there already */
  async addWindow(key: SessionKey, digest: WindowDigest, now: Date): Promise<boolean> {
    const row = { ...digest, at: digest.at.toISOString(), expiresAt: expiry(now) }
    return (await this.#table.replace({ ...windowKey(key, digest.firstSample), ...row })) === undefined
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
