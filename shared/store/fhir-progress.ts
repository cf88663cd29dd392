/**
 * Progress at an EHR: the time up to which its changes were read, and which versions of which resources were queued and imported.
 * @module
 */
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { markKey, queuedKey, takenKey } from './keys.ts'
import { Table } from './table.ts'

export class FhirProgress {
  readonly #table: Table

  constructor(dynamo: DynamoDBClient, table: string) {
    this.#table = new Table(dynamo, table)
  }

  /** Time of the newest change that a search with these criteria has returned, as the server wrote it. */
  async mark(tenant: string, server: string, criteria: string): Promise<string | undefined> {
    const row = await this.#table.get(markKey(tenant, server, criteria))
    return row === undefined ? undefined : String(row.lastUpdated)
  }

  async setMark(tenant: string, server: string, criteria: string, lastUpdated: string): Promise<void> {
    await this.#table.put({ ...markKey(tenant, server, criteria), lastUpdated })
  }

  async isTaken(tenant: string, server: string, reference: string, version: string): Promise<boolean> {
    return (await this.#table.get(takenKey(tenant, server, reference, version))) !== undefined
  }

  async setTaken(tenant: string, server: string, reference: string, version: string): Promise<void> {
    await this.#table.put(takenKey(tenant, server, reference, version))
  }

  /** Whether a search has put a version into the queue. What becomes of it there is no reason to queue it again. */
  async isQueued(tenant: string, server: string, reference: string, version: string): Promise<boolean> {
    return (await this.#table.get(queuedKey(tenant, server, reference, version))) !== undefined
  }

  async setQueued(tenant: string, server: string, reference: string, version: string): Promise<void> {
    await this.#table.put(queuedKey(tenant, server, reference, version))
  }
}
