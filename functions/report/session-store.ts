/**
 * Live sessions in the table of results, until their summary is written.
 *
 * `pk` = tenant#session#device#session; `sk` = window#first sample is the digest of a window's newest result; `sk` = head says whether the session goes on, who looks after its end, and what was reported. Neither is in the index `byArrival`.
 * @module
 */
import { ConditionalCheckFailedException, type DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { type DynamoDBDocumentClient, GetCommand, PutCommand, QueryCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb'
import * as z from 'zod'
import { documents } from '../../shared/aws/clients.ts'
import { headKey, type SessionKey, sessionPk, windowSk } from '../../shared/aws/session-keys.ts'
import { CONDITION_IDS } from '../../shared/domain/conditions.ts'
import { parseEcgId } from '../../shared/domain/ecg-id.ts'
import { CodedError } from '../../shared/errors.ts'
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
function stillNoted(before: NotedWindow): { readonly condition: string; readonly values: Record<string, unknown> } {
  const known = RESULT_KEY.filter((name) => before[name] !== undefined)
  const parts = RESULT_KEY.map((name) =>
    known.includes(name) ? `#${name} = :${name}` : `attribute_not_exists(#${name})`,
  )
  return { condition: parts.join(' AND '), values: Object.fromEntries(known.map((name) => [`:${name}`, before[name]])) }
}

/** Results of one window that come at the same time are a few. */
const MAX_TRIES = 10

export class SessionStore {
  readonly #table: string
  readonly #documents: DynamoDBDocumentClient

  constructor(dynamo: DynamoDBClient, table: string) {
    this.#documents = documents(dynamo)
    this.#table = table
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
    const isNew = await this.#putWindow(key, digest, now, 'attribute_not_exists(pk)', {})
    if (isNew) return 'new'
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const before = await this.#window(key, digest.firstSample)
      // Read after what is noted, so it is never older than that; what is noted meanwhile is found by the condition.
      const current = await newest()
      if (current === undefined) return 'gone'
      if (before === undefined) {
        if (await this.#putWindow(key, current, now, 'attribute_not_exists(pk)', {})) return 'known'
        continue
      }
      if (isSameResult(before, current)) return 'known'
      const stillThat = stillNoted(before)
      if (await this.#putWindow(key, current, now, stillThat.condition, stillThat.values)) return 'known'
    }
    throw new CodedError('unavailable', { field: 'window' })
  }

  async #window(key: SessionKey, firstSample: number): Promise<NotedWindow | undefined> {
    const { Item } = await this.#documents.send(
      new GetCommand({
        TableName: this.#table,
        Key: { pk: sessionPk(key), sk: windowSk(firstSample) },
        ConsistentRead: true,
      }),
    )
    return Item as NotedWindow | undefined // as `#putWindow` wrote it
  }

  /** @returns false when the condition is not met */
  async #putWindow(
    key: SessionKey,
    digest: WindowDigest,
    now: Date,
    condition: string,
    values: Record<string, unknown>,
  ): Promise<boolean> {
    try {
      await this.#documents.send(
        new PutCommand({
          TableName: this.#table,
          Item: {
            pk: sessionPk(key),
            sk: windowSk(digest.firstSample),
            ...digest,
            at: digest.at.toISOString(),
            expiresAt: expiry(now),
          },
          ConditionExpression: condition,
          ...namesIn(
            condition,
            RESULT_KEY.map((name) => [`#${name}`, name]),
          ),
          ExpressionAttributeValues: Object.keys(values).length === 0 ? undefined : values,
        }),
      )
      return true
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return false
      throw error
    }
  }

  async head(key: SessionKey): Promise<Head | undefined> {
    const { Item } = await this.#documents.send(
      new GetCommand({ TableName: this.#table, Key: headKey(key), ConsistentRead: true }),
    )
    return Item === undefined ? undefined : Head.parse(Item)
  }

  /** Notes that a window came. @returns the head, or `undefined` when the session is not live */
  touch(key: SessionKey, now: Date): Promise<Head | undefined> {
    return this.#update(key, 'SET lastAt = :now, expiresAt = :expiry', '#state = :live', {
      ':now': now.getTime(),
      ':expiry': expiry(now),
      ':live': 'live',
    })
  }

  /** Begins a session, or takes up one that was over. @returns `undefined` when another did so first */
  begin(key: SessionKey, token: string, now: Date): Promise<Head | undefined> {
    return this.#update(
      key,
      'SET #state = :live, lastAt = :now, #token = :token, expiresAt = :expiry',
      'attribute_not_exists(pk) OR #state = :over',
      { ':now': now.getTime(), ':expiry': expiry(now), ':live': 'live', ':over': 'over', ':token': token },
    )
  }

  /** Hands the watch over its end from one check to the next. */
  passOn(key: SessionKey, from: string, to: string): Promise<Head | undefined> {
    return this.#update(key, 'SET #token = :to', '#token = :from', { ':from': from, ':to': to })
  }

  /** Ends a session, unless a window came since `lastAt`. */
  end(key: SessionKey, { token, lastAt }: Pick<Head, 'token' | 'lastAt'>): Promise<Head | undefined> {
    return this.#update(key, 'SET #state = :over', '#token = :token AND lastAt = :lastAt', {
      ':over': 'over',
      ':token': token,
      ':lastAt': lastAt,
    })
  }

  /** The right to write its report, for one at a time. @returns `undefined` while another has it */
  lease(key: SessionKey, now: Date, untilMs: number): Promise<Head | undefined> {
    return this.#update(
      key,
      'SET busyUntil = :until',
      'attribute_exists(pk) AND (attribute_not_exists(busyUntil) OR busyUntil < :now)',
      { ':until': untilMs, ':now': now.getTime() },
    )
  }

  /** Gives the right back, with what was reported. */
  async release(key: SessionKey, done?: Pick<Head, 'reported' | 'lastReportAt' | 'waiting'>): Promise<void> {
    const what = done === undefined ? '' : ', reported = :reported, lastReportAt = :at, waiting = :waiting'
    await this.#update(key, `SET busyUntil = :none${what}`, 'attribute_exists(pk)', {
      ':none': 0,
      ...(done === undefined
        ? {}
        : { ':reported': done.reported, ':at': done.lastReportAt, ':waiting': done.waiting ?? null }),
    })
  }

  /** The newest `count` windows by their place in the session, newest first. */
  newest(key: SessionKey, count: number): Promise<readonly WindowDigest[]> {
    return this.#windows(key, { ScanIndexForward: false, Limit: count })
  }

  /** All windows in order. */
  async windows(key: SessionKey): Promise<readonly WindowDigest[]> {
    return this.#windows(key, {})
  }

  async #windows(key: SessionKey, options: { ScanIndexForward?: boolean; Limit?: number }) {
    const digests: WindowDigest[] = []
    let start: Record<string, unknown> | undefined
    do {
      const { Items = [], LastEvaluatedKey } = await this.#documents.send(
        new QueryCommand({
          TableName: this.#table,
          KeyConditionExpression: 'pk = :pk AND begins_with(sk, :prefix)',
          ExpressionAttributeValues: { ':pk': sessionPk(key), ':prefix': 'window#' },
          ConsistentRead: true,
          ExclusiveStartKey: start,
          ...options,
        }),
      )
      digests.push(...Items.map(toDigest))
      start = options.Limit === undefined ? LastEvaluatedKey : undefined
    } while (start !== undefined)
    return digests
  }

  /** @returns the new head, or `undefined` when the condition is not met */
  async #update(
    key: SessionKey,
    update: string,
    condition: string,
    values: Record<string, unknown>,
  ): Promise<Head | undefined> {
    const names = Object.entries({ '#state': 'state', '#token': 'token' })
    try {
      const { Attributes } = await this.#documents.send(
        new UpdateCommand({
          TableName: this.#table,
          Key: headKey(key),
          UpdateExpression: update,
          ConditionExpression: condition,
          ExpressionAttributeValues: values,
          // DynamoDB refuses a name that the expressions do not use.
          ...namesIn(`${update} ${condition}`, names),
          ReturnValues: 'ALL_NEW',
        }),
      )
      return Head.parse(Attributes)
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return undefined
      throw error
    }
  }
}

function namesIn(expressions: string, names: readonly (readonly [string, string])[]) {
  const used = names.filter(([name]) => expressions.includes(name))
  return used.length === 0 ? {} : { ExpressionAttributeNames: Object.fromEntries(used) }
}

const expiry = (now: Date) => Math.ceil(now.getTime() / 1000) + KEPT_S

function toDigest(item: Record<string, unknown>): WindowDigest {
  const { ecgId, at, ...rest } = Digest.parse(item)
  return { ...rest, ecgId: parseEcgId(ecgId)!, at: new Date(at) }
}
