/**
 * Counts of a population, in the results table: one row that every function adds to, until it is complete and a new one begins. It holds
 * only numbers, and no personal data.
 * @module
 */
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import type { BinCounts } from '../inference/population.ts'
import { type Key, populationKey } from './keys.ts'
import { Table } from './table.ts'

/** Size of a population. For 500 draws from an unchanged distribution with ten bins, the index is 0.018 on average, far below the alarm. */
const POPULATION = 500

/** Shortest time of a population: nights and wards differ, so it covers at least a whole day. */
export const LEAST_MS = 24 * 3600 * 1000

export class PopulationStore {
  readonly #table: Table
  readonly #size: number
  readonly #key: Key

  /** @param sha256 of the reference; another reference starts a new population */
  constructor(dynamo: DynamoDBClient, table: string, sha256: string, size = POPULATION) {
    this.#table = new Table(dynamo, table)
    this.#size = size
    this.#key = populationKey(sha256)
  }

  /**
   * Adds one ECG.
   * @returns the population when this ECG completes it. Only one caller gets it, and it is removed
   */
  async add(bins: readonly string[], now: Date): Promise<BinCounts | undefined> {
    const row = await this.#table.update(this.#key, {
      add: { n: 1, ...Object.fromEntries(bins.map((bin) => [bin, 1])) },
      setOnce: { since: now.getTime() },
    })
    const { pk: _, sk: __, n, since, ...counts } = row ?? {}
    if (Number(n) < this.#size || now.getTime() - Number(since) < LEAST_MS) return undefined
    // When another caller has added meanwhile, that caller takes it.
    const isOurs = await this.#table.deleteIf(this.#key, { expression: '#n = :n', values: { n } })
    return isOurs ? (counts as BinCounts) : undefined // as it was written
  }
}
