/**
 * CSV as written by spreadsheets, data tools and wearables: a header row with lead names in any order, then one row per sample; or a single
 * column of samples below lines that state its lead. Read with papaparse (RFC 4180), in any charset.
 *
 * - Delimited by comma, semicolon, tab, bar or blanks; a decimal comma is read where it cannot be a delimiter, or is quoted.
 * - Facts (`facts.ts`), comments and words may precede the data; a row of units may follow the header row (`layout.ts`).
 * - A time column of any kind gives the rate, and shows where samples are lost (`time.ts`).
 * - Blank cells, `NaN`, `NA`, `null` and similar are missing samples; columns that are not standard leads are left out.
 *
 * Neither unit nor rate is ever guessed. The caller's options take precedence over the file.
 * @module
 */
import {
  checkRecording,
  MAX_DURATION_S,
  MISSING_SAMPLE,
  RATE_RANGE_HZ,
  type RecordedLead,
  type Recording,
} from '../../../shared/domain/recording.ts'
import type { ResultWarning } from '../../../shared/domain/warnings.ts'
import { CodedError } from '../../../shared/errors.ts'
import { leadsAmong, said } from '../channels.ts'
import { decodeAnyText } from '../charset.ts'
import type { Format, ReadOptions, SourceFile } from '../format.ts'
import { startsJson } from '../json-text.ts'
import { quantise, toLead } from '../quantise.ts'
import { startOfText } from '../time.ts'
import { microvolts } from '../units.ts'
import { type DataColumn, dataColumns } from './columns.ts'
import { gainOfFacts, personOfFacts, rateOfFacts, startOfFacts } from './facts.ts'
import { findLayout, type Layout } from './layout.ts'
import { isMovesense, movesenseUnit, rateOfPackets } from './movesense.ts'
import { type Rows, readRows } from './rows.ts'
import { isTable } from './table.ts'
import { timeOf } from './timing.ts'

export const csv: Format = {
  name: 'csv',
  detects(bytes) {
    // An object in JSON may have a number per line.
    if (startsJson(bytes)) return false
    const isCut = bytes.length > SNIFFED_BYTES
    const decoded = decodeAnyText(bytes.subarray(0, SNIFFED_BYTES), isCut)
    if (decoded === undefined) return false
    const text = isCut ? decoded.slice(0, decoded.lastIndexOf('\n')) : decoded
    const layout = findLayout(text)
    return layout !== undefined && isTable(text, layout)
  },
  parse: (main, _others, options) => parse(main, options),
}

/** Enough for all lines before the data. */
const SNIFFED_BYTES = 256 * 1024

/** Rows of the longest recording. */
const MAX_ROWS = RATE_RANGE_HZ.max * MAX_DURATION_S

/** More channels than any recorder has. */
const MAX_COLUMNS = 64

/** Ten minutes of twelve leads at 500 Hz take 25 MB. */
const MAX_BYTES = 32 * 1024 * 1024

/**
 * @throws CodedError `payload-empty`, `lead-unknown`, `lead-duplicate`, `unit-unknown`, `gain-invalid`, `field-invalid` (rate, time),
 *   `sample-invalid` (line, column), `payload-malformed` (a row of another length), and those of `checkRecording`
 */
function parse({ name, bytes }: SourceFile, options: ReadOptions = {}): Recording {
  if (bytes.length > MAX_BYTES) throw new CodedError('payload-too-large', { field: 'file', maxBytes: MAX_BYTES })
  const text = decodeAnyText(bytes)
  if (text === undefined) throw new CodedError('payload-malformed', { field: 'text' })
  // Checked before any line becomes a string.
  if (lineEndsIn(text) > MAX_ROWS + MAX_OTHER_LINES)
    throw new CodedError('payload-too-large', { field: 'rows', maxRows: MAX_ROWS })
  const layout = findLayout(text)
  if (layout === undefined) throw new CodedError('payload-empty', { field: 'rows' })
  if (Math.max(layout.header.length, layout.first.length) > MAX_COLUMNS)
    throw new CodedError('payload-too-large', { field: 'columns', maxColumns: MAX_COLUMNS })

  const warnings: ResultWarning[] = []
  const columns = dataColumns(layout)
  const leads = leadsOf(columns.channels, options, warnings)
  const wanted = [...leads.map(({ channel }) => channel), ...columns.times].map(({ index }) => index)
  const rows = readRows(text, layout, [...new Set(wanted)], { maxRows: MAX_ROWS })
  if (rows.count === 0) throw new CodedError('payload-empty', { field: 'rows' })
  if (rows.isTailCut) warnings.push({ code: 'samples-left-out', field: `line ${rows.lineOf(rows.count)}` })

  const movesense = isMovesense(layout.header)
  const packetRate =
    movesense && options.rateHz === undefined ? rateOfPackets(rows.values.get(0)!, rows.lineOf) : undefined
  const time = timeOf(rows, movesense ? [] : columns.times, {
    stated: options.rateHz ?? packetRate ?? rateOfFacts(layout.facts),
    isCallers: options.rateHz !== undefined,
    warnings,
  })
  const unit = options.unit ?? (movesense ? movesenseUnit(name) : undefined)
  const [start] = columns.times
    .map(({ index }) => startOfText(layout.first[index]))
    .filter((text) => text !== undefined)
  return checkRecording({
    format: 'csv',
    rateHz: time.rateHz,
    leads: leads.map(({ name, channel }) => spread(readLead(name, channel, layout, rows, unit), time.places)),
    startedAt: startOfFacts(layout.facts) ?? start,
    person: personOfFacts(layout.facts),
    ...said(warnings),
  })
}

function leadsOf(channels: readonly DataColumn[], options: ReadOptions, warnings: ResultWarning[]) {
  const seen = new Set<string>()
  for (const { lead, index } of channels) {
    if (lead === undefined) continue
    if (seen.has(lead)) throw new CodedError('lead-duplicate', { column: index + 1, lead })
    seen.add(lead)
  }
  return leadsAmong(channels, (channel) => channel, options, 'header', warnings)
}

function readLead(
  name: RecordedLead['name'],
  { index, unit: own }: DataColumn,
  { facts }: Layout,
  rows: Rows,
  stated: string | undefined,
): RecordedLead {
  const values = rows.values.get(index)!
  const invalid = (row: number) => new CodedError('sample-invalid', { line: rows.lineOf(row), column: index + 1 })
  const gainUv = stated === undefined && own === undefined ? gainOfFacts(facts) : undefined
  if (gainUv !== undefined) {
    if (!(gainUv > 0 && gainUv < Number.POSITIVE_INFINITY)) throw new CodedError('gain-invalid', { field: 'gain' })
    return { name, gainUv, samples: quantise(values, 1, invalid) }
  }
  const unit = stated ?? own ?? facts.get('unit')
  if (unit === undefined) throw new CodedError('unit-unknown', { field: 'unit', column: index + 1 })
  return toLead(name, values, microvolts(unit, 'unit'), invalid)
}

/** Inserts missing samples where the times have gaps. */
function spread(lead: RecordedLead, places: Int32Array | undefined): RecordedLead {
  if (places === undefined) return lead
  const samples = new Int32Array(places.at(-1)! + 1).fill(MISSING_SAMPLE)
  for (let row = 0; row < places.length; row++) samples[places[row]!] = lead.samples[row]!
  return { ...lead, samples }
}

/** Facts, comments and blank lines. */
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
