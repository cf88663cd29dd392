/**
 * A DynamoDB table with the keys `pk` and `sk`: reads, conditional writes and pages, the same for every kind of row. Its keys are in
 * `keys.ts`.
 *
 * A condition is a DynamoDB expression in which `#name` stands for the attribute `name`, and `:name` for a value that is passed with it. A
 * condition that is not met is a result, not an error.
 * @module
 */
import { ConditionalCheckFailedException, type DynamoDBClient } from '@aws-sdk/client-dynamodb'
import {
  DeleteCommand,
  type DynamoDBDocumentClient,
  GetCommand,
  PutCommand,
  paginateQuery,
  paginateScan,
  QueryCommand,
  type QueryCommandInput,
  UpdateCommand,
} from '@aws-sdk/lib-dynamodb'
import { documents } from '../aws/clients.ts'
import type { Key, SortKeys } from './keys.ts'

export type Row = Readonly<Record<string, unknown>>

export interface Condition {
  readonly expression: string
  readonly values?: Row
}

/** Changes of a row. Attributes have their stored names; `undefined` sets nothing. */
export interface Change {
  readonly set?: Row
  /** Set only where the row does not have the attribute yet. */
  readonly setOnce?: Row
  /** Numbers to add; an absent attribute counts as 0. */
  readonly add?: Readonly<Record<string, number>>
  /** An attribute, or the path to an entry of a map. Attributes in `set` are not removed. */
  readonly remove?: readonly (string | readonly string[])[]
}

export interface PageOptions {
  /** Most rows that one request reads. */
  readonly limit?: number | undefined
  readonly isDescending?: boolean
}

/** Query of the index `byArrival`. */
export interface Arrivals extends PageOptions {
  /** Value of `tenant` in the rows. */
  readonly part: string
  /** Earliest arrival; absent for all. */
  readonly floor?: string | undefined
  readonly filter?: Condition | undefined
  /** Key that the previous page ended with. */
  readonly start?: Row | undefined
}

export interface Page {
  readonly rows: readonly Row[]
  /** Key to continue from; absent on the last page. */
  readonly next?: Row | undefined
  /** Rows that were read, including those that the filter removed. */
  readonly read: number
}

export const IS_NEW: Condition = { expression: 'attribute_not_exists(pk)' }

export class Table {
  readonly #name: string
  readonly #documents: DynamoDBDocumentClient

  constructor(dynamo: DynamoDBClient, name: string) {
    this.#documents = documents(dynamo)
    this.#name = name
  }

  async get({ pk, sk }: Key): Promise<Row | undefined> {
    const command = new GetCommand({ TableName: this.#name, Key: { pk, sk }, ConsistentRead: true })
    return (await this.#documents.send(command)).Item
  }

  /** Writes a row and replaces the one with its key. */
  async put(row: Key & Row): Promise<void> {
    await this.#documents.send(new PutCommand({ TableName: this.#name, Item: row }))
  }

  /**
   * Like `put`.
   * @returns the row that was replaced
   */
  async replace(row: Key & Row): Promise<Row | undefined> {
    const command = new PutCommand({ TableName: this.#name, Item: row, ReturnValues: 'ALL_OLD' })
    return (await this.#documents.send(command)).Attributes
  }

  /**
   * Writes a row when the condition is met.
   * @returns false when it is not met
   */
  putIf(row: Key & Row, condition: Condition): Promise<boolean> {
    const command = new PutCommand({ TableName: this.#name, Item: row, ...conditional(condition) })
    return isMet(() => this.#documents.send(command))
  }

  /**
   * Changes a row when the condition is met.
   * @returns the row as it is now, or `undefined` when the condition is not met
   */
  async update({ pk, sk }: Key, change: Change, condition?: Condition): Promise<Row | undefined> {
    const update = updateOf(change)
    const { ExpressionAttributeNames, ExpressionAttributeValues, ...rest } = conditional(condition)
    const command = new UpdateCommand({
      TableName: this.#name,
      Key: { pk, sk },
      UpdateExpression: update.expression,
      ...given({
        ExpressionAttributeNames: { ...update.names, ...ExpressionAttributeNames },
        ExpressionAttributeValues: { ...update.values, ...ExpressionAttributeValues },
      }),
      ...rest,
      ReturnValues: 'ALL_NEW',
    })
    let row: Row | undefined
    await isMet(async () => {
      row = (await this.#documents.send(command)).Attributes
    })
    return row
  }

  async delete({ pk, sk }: Key): Promise<void> {
    await this.#documents.send(new DeleteCommand({ TableName: this.#name, Key: { pk, sk } }))
  }

  /**
   * Deletes a row when the condition is met.
   * @returns false when it is not met
   */
  deleteIf({ pk, sk }: Key, condition: Condition): Promise<boolean> {
    const command = new DeleteCommand({ TableName: this.#name, Key: { pk, sk }, ...conditional(condition) })
    return isMet(() => this.#documents.send(command))
  }

  /** Whether any such row exists. */
  async has(pk: string, keys: SortKeys = {}): Promise<boolean> {
    return (await this.page(pk, keys, { limit: 1 })).rows.length > 0
  }

  /** All such rows in the order of their keys, with consistent reads. */
  async *rows(pk: string, keys: SortKeys = {}): AsyncGenerator<Row> {
    for await (const page of this.pages(pk, keys)) yield* page
  }

  async *pages(pk: string, keys: SortKeys = {}, options: PageOptions = {}): AsyncGenerator<readonly Row[]> {
    const pages = paginateQuery({ client: this.#documents }, this.#query(pk, keys, options))
    for await (const { Items = [] } of pages) yield Items
  }

  /** One page of such rows. */
  async page(pk: string, keys: SortKeys, options: PageOptions): Promise<Page> {
    return this.#page(this.#query(pk, keys, options))
  }

  /** One page of the index `byArrival`, which may be slightly behind the rows. */
  async arrivals({ part, floor, filter, start, ...options }: Arrivals): Promise<Page> {
    const { names, values } = placeholders(filter)
    return this.#page({
      TableName: this.#name,
      IndexName: 'byArrival',
      KeyConditionExpression: floor === undefined ? '#tenant = :part' : '#tenant = :part AND arrival >= :floor',
      ExpressionAttributeNames: { '#tenant': 'tenant', ...names },
      ExpressionAttributeValues: { ':part': part, ...(floor === undefined ? {} : { ':floor': floor }), ...values },
      ...(filter === undefined ? {} : { FilterExpression: filter.expression }),
      ...paging(options),
      ExclusiveStartKey: start,
    })
  }

  /** Every row of the table, with these attributes only. */
  async *scan(attributes: readonly string[]): AsyncGenerator<Row> {
    const names = attributes.map((name) => `#${name}`)
    const input = {
      TableName: this.#name,
      ProjectionExpression: names.join(', '),
      ExpressionAttributeNames: Object.fromEntries(attributes.map((name) => [`#${name}`, name])),
      ConsistentRead: true,
    }
    for await (const { Items = [] } of paginateScan({ client: this.#documents }, input)) yield* Items
  }

  #query(pk: string, keys: SortKeys, options: PageOptions): QueryCommandInput {
    const { expression, values } = rangeOf(keys)
    return {
      TableName: this.#name,
      KeyConditionExpression: `pk = :pk${expression}`,
      ExpressionAttributeValues: { ':pk': pk, ...values },
      ConsistentRead: true,
      ...paging(options),
    }
  }

  async #page(query: QueryCommandInput): Promise<Page> {
    const { Items, LastEvaluatedKey, ScannedCount } = await this.#documents.send(new QueryCommand(query))
    return { rows: Items ?? [], next: LastEvaluatedKey, read: ScannedCount ?? 0 }
  }
}

function rangeOf(keys: SortKeys): { expression: string; values: Row } {
  if ('prefix' in keys) return { expression: ' AND begins_with(sk, :prefix)', values: { ':prefix': keys.prefix } }
  if (!('from' in keys)) return { expression: '', values: {} }
  return { expression: ' AND sk BETWEEN :from AND :to', values: { ':from': keys.from, ':to': keys.to } }
}

const paging = ({ limit, isDescending = false }: PageOptions) => ({ Limit: limit, ScanIndexForward: !isDescending })

/** DynamoDB rejects names and values that an expression does not use, so only those in use are passed. */
function placeholders(condition: Condition | undefined): { names: Record<string, string>; values: Row } {
  const used = new Set(condition?.expression.match(/[#:]\w+/g))
  const names = [...used].filter((name) => name.startsWith('#')).map((name) => [name, name.slice(1)])
  const values = Object.entries(condition?.values ?? {}).map(([name, value]) => [`:${name}`, value] as const)
  return { names: Object.fromEntries(names), values: Object.fromEntries(values.filter(([name]) => used.has(name))) }
}

function conditional(condition: Condition | undefined) {
  const { names, values } = placeholders(condition)
  return {
    ...(condition === undefined ? {} : { ConditionExpression: condition.expression }),
    ...given({ ExpressionAttributeNames: names, ExpressionAttributeValues: values }),
  }
}

/** DynamoDB rejects empty maps. */
function given(maps: { ExpressionAttributeNames: Record<string, string>; ExpressionAttributeValues: Row }) {
  const { ExpressionAttributeNames: names, ExpressionAttributeValues: values } = maps
  return {
    ...(Object.keys(names).length === 0 ? {} : { ExpressionAttributeNames: names }),
    ...(Object.keys(values).length === 0 ? {} : { ExpressionAttributeValues: values }),
  }
}

/** The expression of a change. Its placeholders are numbered, so that they never clash with those of a condition. */
function updateOf({ set = {}, setOnce = {}, add = {}, remove = [] }: Change) {
  const names: Record<string, string> = {}
  const values: Record<string, unknown> = {}
  const name = (attribute: string) => {
    const placeholder = `#n${Object.keys(names).length}`
    names[placeholder] = attribute
    return placeholder
  }
  const value = (of: unknown) => {
    const placeholder = `:v${Object.keys(values).length}`
    values[placeholder] = of
    return placeholder
  }
  const sets = Object.entries(set).filter(([, of]) => of !== undefined)
  const paths = remove
    .map((path) => [path].flat())
    .filter(([first = '', ...rest]) => rest.length > 0 || set[first] === undefined)
  const once = Object.entries(setOnce).map(([attribute, of]) => {
    const placeholder = name(attribute)
    return `${placeholder} = if_not_exists(${placeholder}, ${value(of)})`
  })
  const clauses = {
    SET: [...sets.map(([attribute, of]) => `${name(attribute)} = ${value(of)}`), ...once],
    ADD: Object.entries(add).map(([attribute, by]) => `${name(attribute)} ${value(by)}`),
    REMOVE: paths.map((path) => path.map(name).join('.')),
  }
  const expression = Object.entries(clauses)
    .filter(([, parts]) => parts.length > 0)
    .map(([verb, parts]) => `${verb} ${parts.join(', ')}`)
    .join(' ')
  return { expression, names, values }
}

/** @returns false when the condition of the write is not met */
async function isMet(write: () => Promise<unknown>): Promise<boolean> {
  try {
    await write()
    return true
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException) return false
    throw error
  }
}
