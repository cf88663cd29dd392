/**
 * CSV: a header row of lead names in any order, then a row a sample. Delimited by comma, semicolon or tab (a decimal comma is read where
 * the comma does not delimit). An empty cell or `NaN` is a missing sample; columns that are no standard lead are left out.
 *
 * Before the header row may stand lines `rate: 500` (Hz), `unit: mV` and `gain: 2048` (digits a millivolt), with or without `#`.
 * A unit may also stand behind a lead's name: `II (mV)`, `V1_uV`. The rate may come from a column `time` (seconds) or `time (ms)`.
 * Neither unit nor rate is ever guessed. The CSV of Movesense sensors, which names no lead, is read as well: see `movesense.ts`.
 * @module
 */
import { findLead, type LeadName, leadByName } from '../../../shared/domain/leads.ts'
import {
  checkRecording,
  MAX_DURATION_S,
  RATE_RANGE_HZ,
  type RecordedLead,
  type Recording,
} from '../../../shared/domain/recording.ts'
import { CodedError } from '../../../shared/errors.ts'
import { decodeText, type Format, microvolts, type ParseOptions, type SourceFile, sniffText } from '../format.ts'
import { quantise, toLead } from '../quantise.ts'
import { isMovesense, movesenseUnit, rateOfPackets } from './movesense.ts'
import { type CsvTable, readPreamble, readTable, splitHeader, splitRow } from './table.ts'
import { rateOfTimes, timeUnitSeconds } from './time.ts'

export const csv: Format = {
  name: 'csv',
  detects(bytes) {
    const text = sniffText(bytes)
    return text !== undefined && looksLikeCsv(text)
  },
  parse: (main, _others, options) => parse(main, options),
}

/** A header row with a lead in it, or one of words above a row of numbers. */
function looksLikeCsv(text: string): boolean {
  const { headerRow, lines } = readPreamble(text)
  const header = lines[headerRow]
  const below = lines[headerRow + 1]
  if (header === undefined || below === undefined) return false
  const { cells, delimiter } = splitHeader(header)
  const isNumeric = splitRow(below, delimiter).some((cell) => Number.isFinite(Number.parseFloat(cell)))
  return isNumeric && cells.some((cell) => /[a-z]/i.test(cell)) && cells.every((cell) => cell.length <= MAX_HEADER_CELL)
}

/** A lead's name and its unit. */
const MAX_HEADER_CELL = 64

/** Most rows that the longest recording has. */
const MAX_ROWS = RATE_RANGE_HZ.max * MAX_DURATION_S

/** More than any recorder has channels. */
const MAX_COLUMNS = 64

/** Ten minutes of twelve leads at 500 Hz take 25 MB. Every cell is a string for a while: 64 MB took 6 s and 750 MB. */
const MAX_BYTES = 32 * 1024 * 1024

/**
 * @throws CodedError `payload-empty`, `lead-unknown`, `lead-duplicate`, `unit-unknown`, `gain-invalid`, `field-invalid` (rate, time),
 *   `sample-invalid` (line, column), `payload-malformed` (a row of another length), and those of `checkRecording`
 */
export function parse({ name, bytes }: SourceFile, options: ParseOptions = {}): Recording {
  if (bytes.length > MAX_BYTES) throw new CodedError('payload-too-large', { field: 'file', maxBytes: MAX_BYTES })
  const table = readTable(decodeText(bytes), { maxRows: MAX_ROWS, maxColumns: MAX_COLUMNS })
  if (isMovesense(table.header)) return readMovesense(table, name, options)
  const columns = leadColumns(table)
  const rateHz = statedRate(table) ?? rateOfTimeColumn(table) ?? options.rateHz
  if (rateHz === undefined) throw new CodedError('field-invalid', { field: 'rate' })
  return checkRecording({
    format: 'csv',
    rateHz,
    leads: columns.map((column) => readLead(table, column, options)),
  })
}

interface LeadColumn {
  readonly name: LeadName
  readonly index: number
  readonly unit: string | undefined
}

/** `II`, `II (mV)`, `II [uV]`, `II_mV`, `II/µV`: the name and the unit behind it. A longer cell is no lead. */
function leadAndUnit(cell: string): { name: string; unit?: string | undefined } {
  if (cell.length > MAX_HEADER_CELL) return { name: '' }
  const bracket = Math.max(cell.lastIndexOf('('), cell.lastIndexOf('['))
  if (bracket >= 0 && bracket < cell.length - 2 && /[)\]]$/.test(cell))
    return { name: cell.slice(0, bracket), unit: cell.slice(bracket + 1, -1) }
  const suffix = /[\s_/]([muµμ]v)$/i.exec(cell)
  return suffix === null ? { name: cell } : { name: cell.slice(0, suffix.index), unit: suffix[1] }
}

function leadColumns({ header }: CsvTable): LeadColumn[] {
  const columns: LeadColumn[] = []
  for (const [index, cell] of header.entries()) {
    const { name, unit } = leadAndUnit(cell)
    const lead = findLead(name)
    if (lead === undefined) continue
    if (columns.some((column) => column.name === lead))
      throw new CodedError('lead-duplicate', { column: index + 1, lead })
    columns.push({ name: lead, index, unit })
  }
  if (columns.length === 0) throw new CodedError('lead-unknown', { field: 'header' })
  return columns
}

function statedRate({ facts }: CsvTable): number | undefined {
  const stated = facts.get('rate')
  return stated === undefined ? undefined : factNumber(stated)
}

/** A number before the header row, with a decimal point or comma; NaN for `2,048`, which may be either of two. */
function factNumber(text: string): number {
  return /,\d{3}(?!\d)/.test(text) ? Number.NaN : Number.parseFloat(text.replace(',', '.'))
}

function rateOfTimeColumn(table: CsvTable): number | undefined {
  for (const [index, cell] of table.header.entries()) {
    const unitSeconds = timeUnitSeconds(cell)
    if (unitSeconds === undefined) continue
    return rateOfTimes(numbers(table, index), unitSeconds, table.firstLine)
  }
  return undefined
}

/** One channel without a lead's name. What lead it is, only the caller can know. */
function readMovesense(table: CsvTable, fileName: string, { lead, unit, rateHz }: ParseOptions): Recording {
  if (lead === undefined) throw new CodedError('lead-unknown', { field: 'header' })
  const column = { name: leadByName(lead), index: 1, unit: movesenseUnit(fileName) ?? unit }
  return checkRecording({
    format: 'csv',
    rateHz: rateHz ?? rateOfPackets(numbers(table, 0), table.firstLine),
    leads: [readLead(table, column, {})],
  })
}

function readLead(table: CsvTable, column: LeadColumn, options: ParseOptions): RecordedLead {
  const values = numbers(table, column.index)
  const unit = column.unit ?? table.facts.get('unit') ?? options.unit
  const digitsPerMv = table.facts.get('gain')
  if (column.unit === undefined && digitsPerMv !== undefined) {
    const gainUv = 1000 / factNumber(digitsPerMv)
    if (!(gainUv > 0 && gainUv < Number.POSITIVE_INFINITY)) throw new CodedError('gain-invalid', { field: 'gain' })
    return { name: column.name, gainUv, samples: quantise(values, 1, invalidSample(table, column)) }
  }
  if (unit === undefined) throw new CodedError('unit-unknown', { field: 'unit', column: column.index + 1 })
  return toLead(column.name, values, microvolts(unit, 'unit'), invalidSample(table, column))
}

const invalidSample =
  ({ firstLine }: CsvTable, { index }: Pick<LeadColumn, 'index'>) =>
  (row: number) =>
    new CodedError('sample-invalid', { line: firstLine + row, column: index + 1 })

// What `Number` takes beyond it (hexadecimal, Infinity) is no measurement.
const DECIMAL = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i

/** A column as numbers, NaN where it has none. */
function numbers({ rows, delimiter, firstLine }: CsvTable, column: number): Float64Array {
  const values = new Float64Array(rows.length)
  for (const [index, row] of rows.entries()) {
    const cell = row[column]!
    const text = delimiter === ',' ? cell : cell.replace(',', '.')
    if (text === '' || text.toLowerCase() === 'nan') values[index] = Number.NaN
    else if (DECIMAL.test(text)) values[index] = Number(text)
    else throw new CodedError('sample-invalid', { line: firstLine + index, column: column + 1 })
  }
  return values
}
