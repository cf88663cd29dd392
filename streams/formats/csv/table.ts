/**
 * Tells a table of samples from other text. Prose and source code contain lead names ("I") and numbers too, but not row after row.
 * @module
 */
import Papa from 'papaparse'
import { findVoltageUnit } from '../units.ts'
import { isNothing, numberOf } from './cells.ts'
import { type DataColumn, dataColumns } from './columns.ts'
import type { Layout } from './layout.ts'
import { singleBlanks } from './rows.ts'
import { secondsOfClock } from './time.ts'

/** Rows that are looked at: any text that is not a table ends sooner. */
const MAX_ROWS = 500

/**
 * Whether what follows the header is mostly rows of samples: as many cells as there are columns, and a sample or a time where they belong.
 * A damaged table, whose rows are half readable, still is one: its error then names the line.
 */
export function isTable(text: string, layout: Layout): boolean {
  if (JSON_LIST.test(text)) return false
  const { channels, times } = dataColumns(layout)
  const leads = channels.filter(({ lead }) => lead !== undefined)
  if (times.length === 0 && !channels.some(isEcg) && hasWords(layout)) return false
  const wanted = [...(leads.length > 0 ? leads : channels), ...times].map(({ index }) => index)
  const last = Math.max(...wanted)
  const isRow = (cells: readonly string[]) =>
    cells.length > last &&
    cells.slice(layout.columns).every((cell) => cell.trim() === '') &&
    wanted.some((index) => isMeasured(cells[index]!))

  const { length, blank, rows } = countRows(text, layout, isRow)
  const other = length - blank - rows
  // Words above a table without lead names count like words below it.
  const above = leads.length > 0 ? 0 : layout.wordsAbove
  return other + above <= rows || (leads.length > 0 && other === 0)
}

/** Whether a column says that it is an ECG: by a lead, a unit of voltage, or its name. */
const isEcg = ({ lead, unit, label }: DataColumn) =>
  lead !== undefined || (unit !== undefined && findVoltageUnit(unit) !== undefined) || /\be[ck]g\b/i.test(label)

/** Whether a named column contains words: a list of people or files, as data sets have beside their ECGs. */
const hasWords = ({ header, first }: Layout) =>
  first.some((cell, index) => header[index] && !isNothing(cell) && !isMeasured(cell))

/** A list in JSON may have a number per line. `[` alone also begins a clock time of PhysioNet's. */
const JSON_LIST = /^\s{0,99}\[\s/

function countRows(text: string, { at, delimiter, quote }: Layout, isRow: (cells: readonly string[]) => boolean) {
  const body = delimiter === ' ' ? singleBlanks(text.slice(at)) : text.slice(at)
  const { data } = Papa.parse<string[]>(body, { delimiter, quoteChar: quote, skipEmptyLines: true, preview: MAX_ROWS })
  const blank = data.filter((cells) => cells.every((cell) => cell.trim() === '')).length
  return { length: data.length, blank, rows: data.filter(isRow).length }
}

/** A number, a time, or a word for a missing value. */
const isMeasured = (cell: string) =>
  (/[0-9a-z]/i.test(cell) && numberOf(cell) !== undefined) || secondsOfClock(cell) !== undefined
