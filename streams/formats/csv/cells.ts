/**
 * What a cell of a CSV file says: a number, nothing, or what stands in a heading.
 * @module
 */
import Papa from 'papaparse'

/** The cells of one line, quoted as RFC 4180 has it or by apostrophes, without blanks around them. */
export function splitLine(line: string, delimiter: string, quote: string): string[] {
  const [cells = []] = Papa.parse<string[]>(line, { delimiter, quoteChar: quote, newline: '\n' }).data
  return cells.map((cell) => unquoted(cell.trim(), quote))
}

/** Blanks before a quotation mark hide it from the parser. */
function unquoted(cell: string, quote: string): string {
  return cell.length >= 2 && cell.startsWith(quote) && cell.endsWith(quote) ? cell.slice(1, -1).trim() : cell
}

/** How data tools write that there is no value. */
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

// What `Number` takes beyond it (hexadecimal, Infinity) is no measurement.
const DECIMAL = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i

/** No number needs more characters. */
const MAX_NUMBER = 40

/** A number with a decimal point or comma; NaN for a cell that says nothing, undefined for one that says something else. */
export function numberOf(cell: string): number | undefined {
  if (cell.length > MAX_NUMBER) return undefined
  if (DECIMAL.test(cell)) return Number(cell)
  if (isNothing(cell)) return Number.NaN
  const text = pointed(cell.trim().replace('\u2212', '-'))
  return DECIMAL.test(text) ? Number(text) : undefined
}

/** With a decimal point: of a comma and a point the later one is the decimal sign, the other parts thousands. */
function pointed(text: string): string {
  const [comma, point] = [text.lastIndexOf(','), text.lastIndexOf('.')]
  if (comma < 0) return text
  if (point < 0) return text.replace(',', '.')
  return comma > point ? text.replaceAll('.', '').replace(',', '.') : text.replaceAll(',', '')
}

export interface Heading {
  readonly name: string
  /** What stands behind the name in brackets, or behind a blank, `_` or `/`: `II (mV)`, `II [uV]`, `II_mV`, `time_ms`. */
  readonly unit: string | undefined
}

/** @param isUnit whether a word without brackets is a unit: `Lead V` has none */
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
