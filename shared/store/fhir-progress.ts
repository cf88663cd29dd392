/**
 * How far we are with an EHR: up to when its changes were looked through, and which versions of which resources were taken in.
 *
 * In the table of results: `pk` = tenant#fhir#server; `sk` = mark#criteria is how far a search came, taken#reference#version one resource.
 * Neither is in an index.
 * @module
 */
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { type DynamoDBDocumentClient, GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb'
import { documents } from '../aws/clients.ts'

export class FhirProgress {
  readonly #table: string
  readonly #documents: DynamoDBDocumentClient

  constructor(dynamo: DynamoDBClient, table: string) {
    this.#documents = documents(dynamo)
    this.#table = table
  }

  /** The newest change that a search by these criteria has come to, as the server wrote its time. */
  async mark(tenant: string, server: string, criteria: string): Promise<string | undefined> {
    const item = await this.#get(tenant, server, `mark#${criteria}`)
    return item === undefined ? undefined : String(item.lastUpdated)
  }

  async setMark(tenant: string, server: string, criteria: string, lastUpdated: string): Promise<void> {
    await this.#put(tenant, server, `mark#${criteria}`, { lastUpdated })
  }

  async isTaken(tenant: string, server: string, reference: string, version: string): Promise<boolean> {
    return (await this.#get(tenant, server, `taken#${reference}#${version}`)) !== undefined
  }

  async setTaken(tenant: string, server: string, reference: string, version: string): Promise<void> {
    await this.#put(tenant, server, `taken#${reference}#${version}`, {})
  }

  async #get(tenant: string, server: string, sk: string) {
    const Key = { pk: pk(tenant, server), sk }
    return (await this.#documents.send(new GetCommand({ TableName: this.#table, Key, ConsistentRead: true }))).Item
  }

  async #put(tenant: string, server: string, sk: string, attributes: Readonly<Record<string, string>>): Promise<void> {
    const Item = { pk: pk(tenant, server), sk, ...attributes }
    await this.#documents.send(new PutCommand({ TableName: this.#table, Item }))
  }
}

const pk = (tenant: string, server: string) => `${tenant}#fhir#${server}`
