/**
 * The layout of a CSV file: facts in separate lines, a header row, a row of units, and where the data begin.
 * @module
 */
import { findLead } from '../../../shared/domain/leads.ts'
import { findVoltageUnit } from '../units.ts'
import { headingOf, isNothing, numberOf, splitLine } from './cells.ts'
import { type FactName, factOf } from './facts.ts'
import { findTimeUnit, secondsOfClock } from './time.ts'

export interface Layout {
  readonly facts: ReadonlyMap<FactName, string>
  readonly delimiter: string
  readonly quote: string
  /** One name per column; empty without a header row. */
  readonly header: readonly string[]
  /** Units of the columns from the row below the header; empty without one. */
  readonly units: readonly string[]
  readonly columns: number
  /** Lines before the first row that are neither facts, comments nor the header row. */
  readonly wordsAbove: number
  /** The cells of the first row. */
  readonly first: readonly string[]
  /** Line number of the first row, from 1. */
  readonly firstLine: number
  /** Offset of that line in the text. */
  readonly at: number
}

/** In order of preference. Blanks are delimiters only when nothing else is. */
const DELIMITERS = [',', ';', '\t', '|', ' ']

/** Most lines before the first row of data. */
const MAX_PREAMBLE_LINES = 300

/** Longest line; more than sixty columns need. */
const MAX_LINE = 8192

interface Line {
  readonly text: string
  readonly at: number
}

/** The layout; `undefined` when no row of numbers is found. */
export function findLayout(text: string): Layout | undefined {
  const lines = firstLines(text)
  const quote = quoteOf(lines)
  const stated = /^sep=(.)$/i.exec(lines[0]?.text.trim() ?? '')?.[1]
  const delimiters = stated === undefined ? DELIMITERS : [stated]
  let best: { layout: Layout; score: readonly number[] } | undefined
  for (const delimiter of delimiters) {
    const layout = readLines(stated === undefined ? lines : lines.with(0, { text: '', at: 0 }), delimiter, quote)
    if (layout === undefined) continue
    const score = scoreOf(layout)
    if (best === undefined || isHigher(score, best.score)) best = { layout, score }
  }
  return best?.layout
}

function firstLines(text: string): Line[] {
  const lines: Line[] = []
  let at = text.charCodeAt(0) === 0xfeff ? 1 : 0
  while (at < text.length && lines.length < MAX_PREAMBLE_LINES) {
    let end = at
    while (end < text.length && text.charCodeAt(end) !== 0x0a && text.charCodeAt(end) !== 0x0d) end++
    if (end - at > MAX_LINE) break
    lines.push({ text: text.slice(at, end), at })
    at = end + (text.charCodeAt(end) === 0x0d && text.charCodeAt(end + 1) === 0x0a ? 2 : 1)
  }
  return lines
}

/** Apostrophes are quotes when a line begins and ends with one and there is no quotation mark (PhysioNet's ATM). */
function quoteOf(lines: readonly Line[]): '"' | "'" {
  if (lines.some(({ text }) => text.includes('"'))) return '"'
  return lines.some(({ text }) => text.startsWith("'") && text.trimEnd().endsWith("'")) ? "'" : '"'
}

function readLines(lines: readonly Line[], delimiter: string, quote: string): Layout | undefined {
  const split = (text: string) =>
    splitLine(delimiter === ' ' ? text.trim().replace(/ +/g, ' ') : text, delimiter, quote)
  const facts = new Map<FactName, string>()
  let before: readonly string[] = []
  let wordsAbove = 0
  for (const [index, { text }] of lines.entries()) {
    const isComment = /^\s*[#%]/.test(text)
    const content = isComment ? text.trimStart().slice(1) : text
    if (content.trim() === '') continue
    const fact = factOf(content, delimiter, quote)
    if (fact !== undefined) {
      facts.set(fact.name, fact.value)
      continue
    }
    const cells = split(content)
    const names = !isComment && cells.some((cell) => leadOfHeading(cell) !== undefined) ? cells : undefined
    const known = { facts, delimiter, quote, wordsAbove }
    if (names !== undefined) return below(lines, index + 1, { ...known, header: names, split })
    if (!isComment && startsData(lines, index, before, split)) {
      // Apple's lines before the data are not headers, although a spreadsheet gives each line the same number of cells.
      const isHeader = !facts.has('lead') && (before.length === cells.length || isPadded(before, cells))
      if (isHeader && before.length > 0)
        return atLine(lines, index, { ...known, wordsAbove: wordsAbove - 1, header: before, units: [], first: cells })
      return atLine(lines, index, { ...known, header: [], units: [], first: cells })
    }
    if (cells.some((cell) => cell !== '')) {
      before = cells
      if (!isComment) wordsAbove++
    }
  }
  return undefined
}

/** One more name than cells, or one less, where the last one is empty. */
const isPadded = (header: readonly string[], cells: readonly string[]) =>
  header.length > 1 && Math.abs(header.length - cells.length) === 1 && (header.at(-1) === '' || cells.at(-1) === '')

interface Known extends Pick<Layout, 'facts' | 'delimiter' | 'quote' | 'header' | 'wordsAbove'> {
  readonly split: (line: string) => readonly string[]
}

/** The units and the first row, below a header row. */
function below(lines: readonly Line[], from: number, { split, ...known }: Known): Layout | undefined {
  let units: readonly string[] = []
  for (let index = from; index < lines.length; index++) {
    const { text } = lines[index]!
    if (text.trim() === '' || /^\s*[#%]/.test(text)) continue
    const cells = split(text)
    const isData = cells.some((cell) => numberOf(cell) !== undefined)
    if (isData && !(cells.some(isUnit) && cells.every((cell) => cell === '' || isUnit(cell)))) {
      return atLine(lines, index, { ...known, units, first: cells })
    }
    if (cells.some((cell) => findVoltageUnit(cell) !== undefined)) units = cells
    else if (index > from + MAX_ROWS_BELOW) return undefined
  }
  return undefined
}

/** Units, a ruler or a remark may be between the header row and the first row. */
const MAX_ROWS_BELOW = 4

const isUnit = (cell: string) => findVoltageUnit(cell) !== undefined || findTimeUnit(cell) !== undefined

function atLine(lines: readonly Line[], index: number, layout: Omit<Layout, 'firstLine' | 'at' | 'columns'>): Layout {
  return { ...layout, columns: layout.header.length || layout.first.length, firstLine: index + 1, at: lines[index]!.at }
}

/**
 * Whether the data of a file without lead names begin at a line: it contains only numbers, missing values and times; or it is below a row
 * of words and the next two lines have a number at the same position.
 */
function startsData(
  lines: readonly Line[],
  index: number,
  before: readonly string[],
  split: (line: string) => readonly string[],
): boolean {
  const cells = split(lines[index]!.text)
  const isMeasured = (cell: string) => numberOf(cell) !== undefined || secondsOfClock(cell) !== undefined
  if (cells.every(isMeasured))
    return cells.some((cell) => cell !== '' && (numberOf(cell) !== undefined || isNothing(cell)))
  if (cells.length < 2 || before.length !== cells.length || before.some((cell) => isValue(cell))) return false
  const next = lines.slice(index + 1, index + 3).map(({ text }) => split(text))
  return cells.some(
    (cell, place) => isValue(cell) && next.length === 2 && next.every((row) => isValue(row[place] ?? '')),
  )
}

const isValue = (cell: string) => !isNothing(cell) && numberOf(cell) !== undefined

const leadOfHeading = (cell: string) => findLead(headingOf(cell, isShortUnit).name)

/** A unit that may follow a name without brackets; a single V is part of a name. */
export const isShortUnit = (word: string) => isUnit(word) && word.toLowerCase() !== 'v'

/** Score of a layout: whether the header fits the first row, number of named leads, number of columns. */
function scoreOf({ header, facts, columns, first }: Layout): readonly number[] {
  const leads = header.filter((cell) => leadOfHeading(cell) !== undefined).length
  const isOnlyLead = facts.has('lead') && first.filter((cell) => cell !== '').length === 1
  const isFitting = header.length === 0 || header.length === first.length || isPadded(header, first)
  return [isFitting ? 1 : 0, Math.max(leads, isOnlyLead ? 1 : 0), columns]
}

function isHigher(score: readonly number[], than: readonly number[]): boolean {
  const at = score.findIndex((value, i) => value !== than[i])
  return at >= 0 && score[at]! > than[at]!
}
