/**
 * Reads the rows of a CSV file into columns of numbers.
 * @module
 */
import Papa from 'papaparse'
import { CodedError } from '../../../shared/errors.ts'
import { numberOf } from './cells.ts'
import type { Layout } from './layout.ts'
import { secondsOfClock } from './time.ts'

export interface RowLimits {
  readonly maxRows: number
}

export interface Rows {
  readonly count: number
  /** By column, [count]: numbers, or seconds of clock times; NaN where the value is missing. */
  readonly values: ReadonlyMap<number, Float64Array>
  /** Columns of clock times. */
  readonly clocks: ReadonlySet<number>
  /** Whether something after the last row was left out: a truncated row, or words. */
  readonly isTailCut: boolean
  lineOf(row: number): number
}

/** Characters that are split at a time, because one string per cell of a whole file takes too much memory. */
const CHUNK = 1024 * 1024

/** An invalid row: too short, too long, or without a number where the others have one. */
interface Odd {
  readonly row: number
  readonly error: (line: number) => CodedError
}

/**
 * Reads the `wanted` columns of all rows. Blank lines are skipped.
 * @throws CodedError `payload-too-large`, `payload-malformed` (a row of another length), `sample-invalid`, naming line and column
 */
export function readRows(text: string, layout: Layout, wanted: readonly number[], { maxRows }: RowLimits): Rows {
  const body = layout.delimiter === ' ' ? singleBlanks(text.slice(layout.at)) : text.slice(layout.at)
  const columns = wanted.map((index) => new Column(index, layout.first[index] ?? ''))
  let count = 0
  let odd: Odd | undefined
  const lineOf = (row: number) => lineOfRow(body, layout, row)
  const take = (cells: readonly string[]) => {
    const problem = oddity(cells, layout.columns, columns, count)
    // Only more invalid rows may follow it: then they are the tail of the file.
    if (odd !== undefined && problem === undefined) throw odd.error(lineOf(odd.row))
    if (problem !== undefined) {
      if (problem.isFatal) throw problem.error(lineOf(problem.row))
      odd ??= problem
      return
    }
    if (count === maxRows) throw new CodedError('payload-too-large', { field: 'rows', maxRows })
    for (const column of columns) column.push(count, cells[column.index] ?? '')
    count++
  }
  const config: Papa.ParseLocalConfig<string[], File> = {
    delimiter: layout.delimiter,
    quoteChar: layout.quote,
    skipEmptyLines: true,
    chunkSize: CHUNK,
    chunk: ({ data }) => {
      for (const cells of data) take(cells)
    },
    complete: () => {},
  }
  // The types accept only files for chunked parsing; the parser also chunks strings.
  const source: unknown = body
  Papa.parse(source as File, config)
  return {
    count,
    values: new Map(columns.map((column) => [column.index, column.values.subarray(0, count)])),
    clocks: new Set(columns.filter(({ isClock }) => isClock).map(({ index }) => index)),
    isTailCut: odd !== undefined,
    lineOf,
  }
}

/** A column that grows with its rows. */
class Column {
  readonly index: number
  readonly isClock: boolean
  values = new Float64Array(4096)

  constructor(index: number, first: string) {
    this.index = index
    this.isClock = secondsOfClock(first) !== undefined
  }

  read(cell: string): number | undefined {
    return this.isClock ? (secondsOfClock(cell) ?? (cell.trim() === '' ? Number.NaN : undefined)) : numberOf(cell)
  }

  push(row: number, cell: string): void {
    if (row === this.values.length) {
      const larger = new Float64Array(2 * row)
      larger.set(this.values)
      this.values = larger
    }
    // `oddity` has checked that it is a number.
    this.values[row] = this.read(cell)!
  }
}

function oddity(
  cells: readonly string[],
  expected: number,
  columns: readonly Column[],
  row: number,
): (Odd & { readonly isFatal: boolean }) | undefined {
  const isShort = cells.length < expected && !columns.every(({ index }) => index < cells.length)
  if (isShort || (cells.length > expected && cells.slice(expected).some((cell) => cell.trim() !== ''))) {
    const error = (line: number) => new CodedError('payload-malformed', { line, field: 'columns', expected })
    return { row, error, isFatal: false }
  }
  const wrong = columns.find((column) => column.read(cells[column.index] ?? '') === undefined)
  if (wrong === undefined) return undefined
  const error = (line: number) => new CodedError('sample-invalid', { line, column: wrong.index + 1 })
  // A row of words is not data; a word among numbers is an unreadable sample.
  return { row, error, isFatal: columns.some((column) => isNumber(column.read(cells[column.index] ?? ''))) }
}

const isNumber = (value: number | undefined) => value !== undefined && !Number.isNaN(value)

/** Collapses runs of blanks, and removes those at the start of a line. */
export function singleBlanks(text: string): string {
  return text.replace(/ +/g, ' ').replace(/(^|\n|\r) /g, '$1')
}

/** Line number of a row, from 1. Rows are counted as by the parser, which skips blank lines and treats quoted line ends as text. */
function lineOfRow(body: string, { firstLine, quote }: Layout, row: number): number {
  let [line, rows, isQuoted, isBlank] = [firstLine, 0, false, true]
  for (let i = 0; i < body.length; i++) {
    const character = body[i]!
    const isEnd = character === '\n' || (character === '\r' && body[i + 1] !== '\n')
    if (character === quote) isQuoted = !isQuoted
    if (isEnd) line++
    if (isEnd && !isQuoted) {
      if (!isBlank) rows++
      isBlank = true
    } else if (character !== '\n' && character !== '\r') {
      if (isBlank && rows === row) return line
      isBlank = false
    }
  }
  return line
}
