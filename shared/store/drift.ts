/**
 * How far the last population had moved from the bundle's reference: one row that is written over. It holds numbers only, of nobody.
 * @module
 */
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { type DynamoDBDocumentClient, GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb'
import { documents } from '../aws/clients.ts'
import type { ConditionId } from '../domain/conditions.ts'

export interface Drift {
  /** When the population was complete, ISO 8601. */
  readonly at: string
  /** Population stability index of the verdicts, and of each condition's scores. */
  readonly quality: number
  readonly scores: readonly { readonly condition: ConditionId; readonly shift: number }[]
}

const KEY = { pk: 'drift', sk: 'last' }

export class DriftStore {
  readonly #documents: DynamoDBDocumentClient
  readonly #table: string

  constructor(dynamo: DynamoDBClient, table: string) {
    this.#documents = documents(dynamo)
    this.#table = table
  }

  async put(drift: Drift): Promise<void> {
    await this.#documents.send(new PutCommand({ TableName: this.#table, Item: { ...KEY, drift } }))
  }

  /** `undefined` until the first population is complete. */
  async last(): Promise<Drift | undefined> {
    const { Item } = await this.#documents.send(new GetCommand({ TableName: this.#table, Key: KEY }))
    return Item?.drift as Drift | undefined // as `put` wrote it
  }
}
