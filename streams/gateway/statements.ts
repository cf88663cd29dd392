/**
 * The store's statements, each prepared once.
 * @module
 */
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import { QUERIES } from './queries.ts'

export type Query = keyof typeof QUERIES
export type Row = Record<string, unknown>

export class Statements {
  readonly #db: DatabaseSync
  readonly #prepared = new Map<Query, StatementSync>()

  constructor(db: DatabaseSync) {
    this.#db = db
  }

  row(name: Query, ...values: readonly SQLInputValue[]): Row | undefined {
    return this.of(name).get(...values)
  }

  rows(name: Query, ...values: readonly SQLInputValue[]): readonly Row[] {
    return this.of(name).all(...values)
  }

  of(name: Query): StatementSync {
    let statement = this.#prepared.get(name)
    if (statement === undefined) {
      statement = this.#db.prepare(QUERIES[name])
      this.#prepared.set(name, statement)
    }
    return statement
  }

  /** SQLite's query plan of a statement, for the test of query plans. */
  explain(name: Query): readonly string[] {
    return this.#db
      .prepare(`EXPLAIN QUERY PLAN ${QUERIES[name]}`)
      .all()
      .map(({ detail }) => String(detail))
  }

  clear(): void {
    this.#prepared.clear()
  }
}
