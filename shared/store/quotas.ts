/**
 * How much of something a tenant, and one caller of it, has had: so much in a span of time, or so many at once.
 *
 * In the table of results, not in an index: `pk` = tenant#quota; `sk` = kind#who#span is a counter, `kind`#who#slot a place that somebody has until
 * `until`. `who` is `tenant`, or a caller's subject by its hash. Rows go by themselves.
 * @module
 */
import { createHash, randomUUID } from 'node:crypto'
import { ConditionalCheckFailedException, type DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { DeleteCommand, type DynamoDBDocumentClient, PutCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb'
import { documents } from '../aws/clients.ts'

/** Who is counted. */
export interface Counted {
  readonly tenant: string
  /** As the token has it. */
  readonly subject: string
}

/** Of a tenant, and of one subject of it. */
export interface Share {
  readonly tenant: number
  readonly subject: number
}

/** How long a row outlives what it counts. */
const SLACK_S = 3600

export class QuotaStore {
  readonly #table: string
  readonly #documents: DynamoDBDocumentClient

  constructor(dynamo: DynamoDBClient, table: string) {
    this.#documents = documents(dynamo)
    this.#table = table
  }

  /**
   * Counts one more of a kind, unless either has had its share in this span.
   * @returns seconds until the span ends where there is none left, else `undefined`
   */
  async take(kind: string, of: Counted, share: Share, spanS: number, now: Date): Promise<number | undefined> {
    const span = Math.floor(now.getTime() / 1000 / spanS)
    const endsS = (span + 1) * spanS
    // The caller first: whoever asks for too much takes nothing from its tenant.
    for (const [who, most] of sharesOf(of, share)) {
      const key = { pk: quotaPk(of.tenant), sk: `${kind}#${who}#${span}` }
      if (!(await this.#count(key, most, endsS + SLACK_S))) return Math.max(1, Math.ceil(endsS - now.getTime() / 1000))
    }
    return undefined
  }

  /**
   * One of the places of a kind, for as long as `untilMs` at most.
   * @returns how to give it back; `undefined` where there is none left
   */
  async hold(
    kind: string,
    of: Counted,
    share: Share,
    untilMs: number,
    now: Date,
  ): Promise<(() => Promise<void>) | undefined> {
    const token = randomUUID()
    const held: Record<string, unknown>[] = []
    const giveBack = async () => {
      await Promise.all(held.splice(0).map((key) => this.#free(key, token)))
    }
    for (const [who, most] of sharesOf(of, share)) {
      const key = await this.#place(`${kind}#${who}`, of.tenant, { most, token, untilMs, now })
      if (key === undefined) {
        await giveBack()
        return undefined
      }
      held.push(key)
    }
    return giveBack
  }

  /** The first place that is free, from anywhere on. */
  async #place(
    prefix: string,
    tenant: string,
    { most, token, untilMs, now }: { most: number; token: string; untilMs: number; now: Date },
  ) {
    const first = Math.floor(Math.random() * most)
    for (let tries = 0; tries < most; tries++) {
      const key = { pk: quotaPk(tenant), sk: `${prefix}#${(first + tries) % most}` }
      const isMine = await this.#unless(
        new PutCommand({
          TableName: this.#table,
          Item: { ...key, token, until: untilMs, expiresAt: Math.ceil(untilMs / 1000) + SLACK_S },
          ConditionExpression: 'attribute_not_exists(pk) OR #until < :now',
          ExpressionAttributeNames: { '#until': 'until' },
          ExpressionAttributeValues: { ':now': now.getTime() },
        }),
      )
      if (isMine) return key
    }
    return undefined
  }

  async #count(Key: Record<string, unknown>, most: number, expiresAt: number): Promise<boolean> {
    return this.#unless(
      new UpdateCommand({
        TableName: this.#table,
        Key,
        UpdateExpression: 'ADD #count :one SET expiresAt = :expiry',
        ConditionExpression: 'attribute_not_exists(#count) OR #count < :most',
        ExpressionAttributeNames: { '#count': 'count' },
        ExpressionAttributeValues: { ':one': 1, ':most': most, ':expiry': expiresAt },
      }),
    )
  }

  /** Another may have it by now. */
  async #free(Key: Record<string, unknown>, token: string): Promise<void> {
    await this.#unless(
      new DeleteCommand({
        TableName: this.#table,
        Key,
        ConditionExpression: '#token = :token',
        ExpressionAttributeNames: { '#token': 'token' },
        ExpressionAttributeValues: { ':token': token },
      }),
    )
  }

  /** @returns false when the condition is not met */
  async #unless(command: PutCommand | UpdateCommand | DeleteCommand): Promise<boolean> {
    try {
      await this.#documents.send(command as PutCommand) // all of them are commands of a document client
      return true
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return false
      throw error
    }
  }
}

const quotaPk = (tenant: string) => `${tenant}#quota`

function sharesOf({ subject }: Counted, share: Share): readonly (readonly [string, number])[] {
  const hash = createHash('sha256').update(subject).digest('hex').slice(0, 32)
  return [
    [hash, share.subject],
    ['tenant', share.tenant],
  ]
}
