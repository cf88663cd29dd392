/**
 * Counts of a population in the table of results: one row that everybody adds to, until there are enough and it begins anew.
 *
 * `pk` = drift#sha256 of the reference, `sk` = population. It holds numbers only, of nobody.
 * @module
 */
import { ConditionalCheckFailedException, type DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { DeleteCommand, type DynamoDBDocumentClient, UpdateCommand } from '@aws-sdk/lib-dynamodb'
import { documents } from '../aws/clients.ts'
import type { BinCounts } from '../inference/population.ts'

/** The index of 500 from the very same people is .018 on average, with ten bins: far below what raises an alarm. */
export const POPULATION = 500

/** Nights and wards differ; a population is of a whole day at least. */
export const LEAST_MS = 24 * 3600 * 1000

export class PopulationStore {
  readonly #documents: DynamoDBDocumentClient
  readonly #table: string
  readonly #size: number
  readonly #key: { readonly pk: string; readonly sk: string }

  /** @param sha256 of the reference: against another one it begins anew */
  constructor(dynamo: DynamoDBClient, table: string, sha256: string, size = POPULATION) {
    this.#documents = documents(dynamo)
    this.#table = table
    this.#size = size
    this.#key = { pk: `drift#${sha256}`, sk: 'population' }
  }

  /**
   * Adds one.
   * @returns the population when it is complete with this one: to one caller, who takes it away
   */
  async add(bins: readonly string[], now: Date): Promise<BinCounts | undefined> {
    const names = Object.fromEntries(bins.map((bin, index) => [`#b${index}`, bin]))
    const { Attributes = {} } = await this.#documents.send(
      new UpdateCommand({
        TableName: this.#table,
        Key: this.#key,
        UpdateExpression: `ADD #n :one, ${Object.keys(names)
          .map((name) => `${name} :one`)
          .join(', ')} SET #since = if_not_exists(#since, :now)`,
        ExpressionAttributeNames: { '#n': 'n', '#since': 'since', ...names },
        ExpressionAttributeValues: { ':one': 1, ':now': now.getTime() },
        ReturnValues: 'ALL_NEW',
      }),
    )
    const { pk: _, sk: __, n, since, ...counts } = Attributes
    const isComplete = Number(n) >= this.#size && now.getTime() - Number(since) >= LEAST_MS
    return isComplete && (await this.#takeAway(Number(n))) ? (counts as BinCounts) : undefined // as it was written
  }

  /** @returns false when another has added meanwhile, and so is to take it away */
  async #takeAway(n: number): Promise<boolean> {
    try {
      await this.#documents.send(
        new DeleteCommand({
          TableName: this.#table,
          Key: this.#key,
          ConditionExpression: '#n = :n',
          ExpressionAttributeNames: { '#n': 'n' },
          ExpressionAttributeValues: { ':n': n },
        }),
      )
      return true
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return false
      throw error
    }
  }
}
