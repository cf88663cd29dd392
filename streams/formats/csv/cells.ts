/**
 * Cells of a CSV file: numbers, missing values and headings.
 * @module
 */
import Papa from 'papaparse'

/** The cells of one line, trimmed. Quoted as in RFC 4180 or with apostrophes. */
export function splitLine(line: string, delimiter: string, quote: string): string[] {
  const [cells = []] = Papa.parse<string[]>(line, { delimiter, quoteChar: quote, newline: '\n' }).data
  return cells.map((cell) => unquoted(cell.trim(), quote))
}

/** The parser does not recognise a quotation mark after a blank. */
function unquoted(cell: string, quote: string): string {
  return cell.length >= 2 && cell.startsWith(quote) && cell.endsWith(quote) ? cell.slice(1, -1).trim() : cell
}

/** How data tools write a missing value. */
const NOTHING: ReadonlySet<string> = new Set([
  ...[
    '',
    'na',
    'n/a',
    '#n/a',
    '#na',
    '<na>',
    'nan',
    '-nan',
    '+nan',
    '-nan(ind)',
    '1.#qnan',
    '-1.#ind',
    '#num!',
    '#value!',
  ],
  ...['null', 'nil', 'none', 'missing', '-', '--', '.', '?', '*'],
])

export const isNothing = (cell: string): boolean => cell.length <= 9 && NOTHING.has(cell.trim().toLowerCase())

// Other forms that `Number` accepts (hexadecimal, Infinity) are not measurements.
const DECIMAL = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i

/** Longest number, characters. */
const MAX_NUMBER = 40

/** A number with a decimal point or comma; NaN for a missing value, `undefined` for other text. */
export function numberOf(cell: string): number | undefined {
  if (cell.length > MAX_NUMBER) return undefined
  if (DECIMAL.test(cell)) return Number(cell)
  if (isNothing(cell)) return Number.NaN
  const text = pointed(cell.trim().replace('\u2212', '-'))
  return DECIMAL.test(text) ? Number(text) : undefined
}

/** With a decimal point: when there are commas and points, the last one is the decimal sign and the others separate thousands. */
function pointed(text: string): string {
  const [comma, point] = [text.lastIndexOf(','), text.lastIndexOf('.')]
  if (comma < 0) return text
  if (point < 0) return text.replace(',', '.')
  return comma > point ? text.replaceAll('.', '').replace(',', '.') : text.replaceAll(',', '')
}

export interface Heading {
  readonly name: string
  /** Unit after the name, in brackets or after a blank, `_` or `/`: `II (mV)`, `II [uV]`, `II_mV`, `time_ms`. */
  readonly unit: string | undefined
}

/**
 * Splits a heading into name and unit.
 * @param isUnit whether a word without brackets is a unit: `Lead V` has none
 */
export function headingOf(cell: string, isUnit: (word: string) => boolean): Heading {
  const text = cell.trim()
  const open = text.search(/[([]/)
  if (open >= 0) {
    const close = text.slice(open).search(/[)\]]/)
    const unit = text.slice(open + 1, close < 0 ? undefined : open + close).trim()
    return { name: text.slice(0, open).trim(), unit: unit || undefined }
  }
  const at = Math.max(...[' ', '_', '/'].map((gap) => text.lastIndexOf(gap)))
  const word = text.slice(at + 1)
  return at > 0 && isUnit(word) ? { name: text.slice(0, at).trim(), unit: word } : { name: text, unit: undefined }
}
