/**
 * Drift of the last complete population from the bundle's reference: one row that is overwritten. It holds only numbers, and no personal
 * data.
 * @module
 */
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import type { ConditionId } from '../domain/conditions.ts'
import { LAST_DRIFT } from './keys.ts'
import { Table } from './table.ts'

export interface Drift {
  /** When the population was complete, ISO 8601. */
  readonly at: string
  /** Population stability index of the verdicts, and of each condition's scores. */
  readonly quality: number
  readonly scores: readonly { readonly condition: ConditionId; readonly shift: number }[]
}

export class DriftStore {
  readonly #table: Table

  constructor(dynamo: DynamoDBClient, table: string) {
    this.#table = new Table(dynamo, table)
  }

  async put(drift: Drift): Promise<void> {
    await this.#table.put({ ...LAST_DRIFT, drift })
  }

  /** The last drift; `undefined` until the first population is complete. */
  async last(): Promise<Drift | undefined> {
    return (await this.#table.get(LAST_DRIFT))?.drift as Drift | undefined // as `put` wrote it
  }
}
