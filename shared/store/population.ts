/**
 * Counts of a population in the table of results: one row that everybody adds to, until there are enough and it begins anew.
 * It holds numbers only, of nobody.
 * @module
 */
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import type { BinCounts } from '../inference/population.ts'
import { type Key, populationKey } from './keys.ts'
import { Table } from './table.ts'

/** The index of 500 from the very same people is .018 on average, with ten bins: far below what raises an alarm. */
const POPULATION = 500

/** Nights and wards differ; a population is of a whole day at least. */
export const LEAST_MS = 24 * 3600 * 1000

export class PopulationStore {
  readonly #table: Table
  readonly #size: number
  readonly #key: Key

  /** @param sha256 of the reference: against another one it begins anew */
  constructor(dynamo: DynamoDBClient, table: string, sha256: string, size = POPULATION) {
    this.#table = new Table(dynamo, table)
    this.#size = size
    this.#key = populationKey(sha256)
  }

  /**
   * Adds one.
   * @returns the population when it is complete with this one: to one caller, who takes it away
   */
  async add(bins: readonly string[], now: Date): Promise<BinCounts | undefined> {
    const row = await this.#table.update(this.#key, {
      add: { n: 1, ...Object.fromEntries(bins.map((bin) => [bin, 1])) },
      setOnce: { since: now.getTime() },
    })
    const { pk: _, sk: __, n, since, ...counts } = row ?? {}
    if (Number(n) < this.#size || now.getTime() - Number(since) < LEAST_MS) return undefined
    // Another that has added meanwhile is to take it away.
    const isOurs = await this.#table.deleteIf(this.#key, { expression: '#n = :n', values: { n } })
    return isOurs ? (counts as BinCounts) : undefined // as it was written
  }
}
