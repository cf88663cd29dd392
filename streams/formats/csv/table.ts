/**
 * The rows and columns of a CSV file, still as text.
 * @module
 */
import { CodedError } from '../../../shared/errors.ts'

export interface CsvTable {
  /** What the lines before the header row say: `rate`, `unit`, `gain`. */
  readonly facts: ReadonlyMap<string, string>
  readonly delimiter: string
  readonly header: readonly string[]
  /** [rows][columns], each as long as the header. */
  readonly rows: readonly (readonly string[])[]
  /** Line of `rows[0]` in the file, from 1. */
  readonly firstLine: number
}

/** Names that a line before the header row may give a fact; `Sampling Rate (Hz)` is one of them, its unit left away. */
const FACTS: ReadonlyMap<string, string> = new Map([
  ['rate', 'rate'],
  ['sampling rate', 'rate'],
  ['sample rate', 'rate'],
  ['sampling frequency', 'rate'],
  ['fs', 'rate'],
  ['unit', 'unit'],
  ['units', 'unit'],
  ['gain', 'gain'],
])

/** `rate: 500`, `# Sampling Rate (Hz): 500`; a longer line states nothing that is known. */
function factIn(line: string): { fact: string; value: string } | undefined {
  const colon = line.length > MAX_FACT_LINE ? -1 : line.indexOf(':')
  if (colon < 0) return undefined
  const stated = line.slice(line.startsWith('#') ? 1 : 0, colon).trim()
  const remark = stated.endsWith(')') ? stated.indexOf('(') : -1
  const fact = FACTS.get((remark < 0 ? stated : stated.slice(0, remark)).trim().toLowerCase())
  const [value = ''] = line
    .slice(colon + 1)
    .trim()
    .split(/\s/, 1)
  return fact === undefined || value === '' ? undefined : { fact, value }
}

const MAX_FACT_LINE = 256

/** The lines of a text, the facts before its header row, and where that row is. */
export function readPreamble(text: string): { lines: string[]; facts: Map<string, string>; headerRow: number } {
  const lines = text.split(/\r\n|\n|\r/)
  const facts = new Map<string, string>()
  let headerRow = 0
  for (; headerRow < lines.length; headerRow++) {
    const line = lines[headerRow]!.trim()
    const stated = factIn(line)
    if (stated !== undefined) facts.set(stated.fact, stated.value)
    else if (line !== '' && !line.startsWith('#')) break
  }
  return { lines, facts, headerRow }
}

/** The cells of a header row, split where it has most cells. */
export function splitHeader(line: string): { cells: string[]; delimiter: string } {
  const [best] = [',', ';', '\t']
    .map((delimiter) => ({ cells: splitRow(line, delimiter), delimiter }))
    .sort((a, b) => b.cells.length - a.cells.length)
  return best!
}

export interface TableLimits {
  readonly maxRows: number
  readonly maxColumns: number
}

/** @throws CodedError `payload-empty`, `payload-too-large`, `payload-malformed` naming the line of a row of another length */
export function readTable(text: string, { maxRows, maxColumns }: TableLimits): CsvTable {
  // Before there is a string a line.
  if (lineEndsIn(text) > maxRows + MAX_OTHER_LINES)
    throw new CodedError('payload-too-large', { field: 'rows', maxRows })
  const { lines, facts, headerRow } = readPreamble(text)
  while (lines.at(-1)?.trim() === '') lines.pop()
  if (lines.length <= headerRow + 1) throw new CodedError('payload-empty', { field: 'rows' })
  if (lines.length - headerRow - 1 > maxRows) throw new CodedError('payload-too-large', { field: 'rows', maxRows })
  const longest = lines.findIndex(({ length }) => length > MAX_LINE_LENGTH)
  if (longest >= 0)
    throw new CodedError('payload-too-large', { field: 'line', line: longest + 1, maxLength: MAX_LINE_LENGTH })
  const { cells: header, delimiter } = splitHeader(lines[headerRow]!)
  if (header.length > maxColumns) throw new CodedError('payload-too-large', { field: 'columns', maxColumns })
  const firstLine = headerRow + 2
  const rows = lines.slice(headerRow + 1).map((line, index) => {
    const cells = splitRow(line, delimiter)
    if (cells.length !== header.length)
      throw new CodedError('payload-malformed', { line: firstLine + index, field: 'columns', expected: header.length })
    return cells
  })
  return { facts, delimiter, header, rows, firstLine }
}

/** Cells without blanks and quotation marks around them; numbers and lead names hold neither inside. */
export function splitRow(line: string, delimiter: string): string[] {
  return line.split(delimiter).map((cell) => cell.trim().replace(/^"(.*)"$/, '$1'))
}

/** A comment, or a header row of 64 long names. */
const MAX_LINE_LENGTH = 16_384

/** Facts, comments and empty lines at the end. */
const MAX_OTHER_LINES = 1000

function lineEndsIn(text: string): number {
  let [feeds, returns] = [0, 0]
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === 0x0a) feeds++
    else if (code === 0x0d) returns++
  }
  return Math.max(feeds, returns)
}
