/**
 * The page of a result: the ECG at true scale (25 mm/s, 10 mm/mV; A4 landscape, 10 s take 250 mm), the findings and the main indices. About
 * the patient it has only the order's numbers.
 * @module
 */
import { CONDITION_NAMES } from '../../shared/domain/conditions.ts'
import { LEADS } from '../../shared/domain/leads.ts'
import { MISSING_SAMPLE, type RecordedLead } from '../../shared/domain/recording.ts'
import type { Evidence, Result } from '../../shared/domain/result.ts'
import { warningText } from '../../shared/domain/warnings.ts'
import type { Waveform } from '../../shared/domain/waveform.ts'
import { correctionText, findingText, SENT_INDICES } from './oru-out.ts'
import { BLACK, boldWidth, type Colour, PdfPage, WHITE } from './pdf.ts'
import { cutOff, type Line, NamePlaces, placeRows, type Strip } from './report-rows.ts'
import type { OrderNumbers } from './visit.ts'

const WIDTH = 297
const HEIGHT = 210
const LEFT = 20
const MM_A_SECOND = 25
const MM_A_MILLIVOLT = 10
const STRIP_SECONDS = 10
const RED: Colour = { red: 0.72, green: 0.1, blue: 0.1 }
const GRID: Colour = { red: 0.96, green: 0.78, blue: 0.78 }
const GRID_FINE: Colour = { red: 0.985, green: 0.91, blue: 0.91 }
const GREY: Colour = { red: 0.35, green: 0.35, blue: 0.35 }

/** Position of the grid, with three rows of four columns of 2.5 s, and lead II over the whole length. */
const GRID_BOTTOM = 70
const GRID_TOP = 190
const GRID_SIZE = { width: STRIP_SECONDS * MM_A_SECOND, height: GRID_TOP - GRID_BOTTOM }
const ROWS = 4
/** Names of leads: their size in points, and the height of a capital letter in mm. */
const NAME_SIZE = 8
const NAME_HEIGHT = 2.1
/** First line below the grid, and distance of lines. */
const TEXT_TOP = 61
const LINE = 4.3
const COLUMNS = [
  ['I', 'II', 'III'],
  ['aVR', 'aVL', 'aVF'],
  ['V1', 'V2', 'V3'],
  ['V4', 'V5', 'V6'],
] as const
const COLUMN_SECONDS = STRIP_SECONDS / COLUMNS.length

export interface ReportPage {
  readonly result: Result
  /** The window that was screened. */
  readonly waveform: Waveform
  readonly order: OrderNumbers
  readonly allowsVirtual: boolean
}

/** Draws the page as PDF. */
export function drawReport({ result, waveform, order, allowsVirtual }: ReportPage): Buffer {
  const page = new PdfPage(WIDTH, HEIGHT)
  drawHead(page, { result, order, allowsVirtual })
  drawGrid(page)
  drawLeads(page, waveform)
  drawFindings(page, result, allowsVirtual)
  return page.toBytes('ECG screening report')
}

function drawHead(page: PdfPage, { result, order, allowsVirtual }: Omit<ReportPage, 'waveform'>): void {
  const { ecgId, span, supersedes } = result
  page.text(LEFT, 202, 13, 'ECG screening', { isBold: true })
  page.text(LEFT + 40, 202, 9, 'Investigational. Not a medical device; not for diagnosis or treatment.', {
    colour: RED,
  })
  const numbers = [
    order.placer === undefined ? '' : `order ${order.placer}`,
    order.filler === undefined ? '' : `filler ${order.filler}`,
    `recorded ${span.startedAt ?? 'at an unknown time'}`,
    `ECG ${ecgId}`,
  ]
  page.text(LEFT, 196, 8, numbers.filter((each) => each !== '').join('   '), { colour: GREY })
  if (supersedes !== undefined)
    page.text(LEFT, 191.5, 8, `CORRECTION. ${correctionText(result, allowsVirtual)}`, { colour: RED })
}

function drawGrid(page: PdfPage): void {
  const right = LEFT + GRID_SIZE.width
  const across = (step: number) =>
    steps(GRID_BOTTOM, GRID_TOP, step).map(
      (y) =>
        [
          [LEFT, y],
          [right, y],
        ] as const,
    )
  const down = (step: number) =>
    steps(LEFT, right, step).map(
      (x) =>
        [
          [x, GRID_BOTTOM],
          [x, GRID_TOP],
        ] as const,
    )
  page.lines([...across(1), ...down(1)], 0.08, GRID_FINE)
  page.lines([...across(5), ...down(5)], 0.15, GRID)
}

const steps = (from: number, to: number, step: number): number[] =>
  Array.from({ length: Math.floor((to - from) / step + 1e-9) + 1 }, (_, index) => from + index * step)

/** One lead over a part of a row. */
interface LeadStrip extends Strip {
  readonly name: string
  /** Start of the strip from the left of the grid, mm. */
  readonly from: number
}

function drawLeads(page: PdfPage, { rateHz, leads }: Waveform): void {
  const find = (name: string) => leads.find((lead) => lead.name === name)
  const strip = (name: string, row: number, fromS: number, toS: number): LeadStrip => {
    const lead = find(name)
    const line = lead === undefined ? [] : lineOf(lead, rateHz, fromS, toS)
    return { name, row, from: fromS * MM_A_SECOND, line }
  }
  const columns = COLUMNS.flatMap((names, column) =>
    names.map((name, row) => strip(name, row, column * COLUMN_SECONDS, (column + 1) * COLUMN_SECONDS)),
  )
  const strips = [...columns, strip(find('II') ? 'II' : 'I', ROWS - 1, 0, STRIP_SECONDS)]
  const zeros = placeRows(strips, ROWS, GRID_SIZE).map((below) => GRID_SIZE.height - below)
  const cut = drawTraces(page, strips, zeros)
  for (const zero of zeros) drawPulse(page, GRID_BOTTOM + zero)
  page.text(LEFT, GRID_BOTTOM - 4, 7, '25 mm/s   10 mm/mV   print at 100%', { colour: GREY })
  if (cut.length > 0) {
    page.text(LEFT + 50, GRID_BOTTOM - 4, 7, `Cut off at the edge of the paper: ${cut.join(', ')}`, { colour: RED })
  }
}

/**
 * @param zeros 0 mV of each row, above the bottom of the grid
 * @returns names of leads that no row has room for, and that are cut off
 */
function drawTraces(page: PdfPage, strips: readonly LeadStrip[], zeros: readonly number[]): readonly string[] {
  const drawn = strips.map(({ name, row, from, line }) => {
    const zero = zeros[row]!
    const { line: within, isCut } = cutOff(line, -zero, GRID_SIZE.height - zero)
    const placed = within.map((point) => point && ([point[0], point[1] + zero] as const))
    return { name, zero, from, line: placed, isCut }
  })
  const places = new NamePlaces(
    drawn.map(({ line }) => line),
    GRID_SIZE,
  )
  for (const { name, zero, from } of drawn) {
    const size = { width: boldWidth(NAME_SIZE, name), height: NAME_HEIGHT }
    const [x, y] = places.place(from + 1, zero, size)
    page.rectangle(LEFT + x - 0.4, GRID_BOTTOM + y - 0.4, size.width + 0.8, size.height + 0.8, WHITE)
    page.text(LEFT + x, GRID_BOTTOM + y, NAME_SIZE, name, { isBold: true })
  }
  for (const { line } of drawn) {
    const placed = line.map((point) => point && ([LEFT + point[0], GRID_BOTTOM + point[1]] as const))
    page.trace(placed, 0.25, BLACK)
  }
  return [...new Set(drawn.filter(({ isCut }) => isCut).map(({ name }) => name))]
}

/** Calibration pulse: one millivolt, 0.2 s. */
function drawPulse(page: PdfPage, zero: number): void {
  const [left, right, top] = [LEFT - 7, LEFT - 2, zero + MM_A_MILLIVOLT]
  const line: Line = [
    [left - 1, zero],
    [left, zero],
    [left, top],
    [right, top],
    [right, zero],
    [right + 1, zero],
  ]
  page.trace(line, 0.25, BLACK)
}

/** A part of a lead: mm from the left of the grid, and mm above its median, so that it shows waves and not the electrode's offset. */
function lineOf(lead: RecordedLead, rateHz: number, fromS: number, toS: number): Line {
  const first = Math.round(fromS * rateHz)
  const last = Math.min(lead.samples.length, Math.round(toS * rateHz))
  const middle = medianMv(lead)
  return Array.from(lead.samples.subarray(first, last), (sample, i) => {
    if (sample === MISSING_SAMPLE) return undefined
    const mv = (sample * lead.gainUv) / 1000 - middle
    return [((first + i) / rateHz) * MM_A_SECOND, mv * MM_A_MILLIVOLT] as const
  })
}

function medianMv({ samples, gainUv }: RecordedLead): number {
  const present = samples.filter((sample) => sample !== MISSING_SAMPLE).sort()
  return ((present[Math.floor(present.length / 2)] ?? 0) * gainUv) / 1000
}

function drawFindings(page: PdfPage, result: Result, allowsVirtual: boolean): void {
  const isShown = ({ evidence }: { readonly evidence: Evidence }) => allowsVirtual || evidence !== 'virtual'
  const { quality, warnings, findings, indices, ood, provenance } = result
  const left: string[] = []
  if (result.status === 'refused')
    left.push(`Refused by the quality gate: ${quality.reasons.join(', ')}. Not screened.`)
  if (ood?.flagged) left.push('UNLIKE THE ECGS THAT THE MODEL KNOWS: do not rely on the numbers below.')
  for (const finding of findings.filter(isShown)) {
    left.push(`${CONDITION_NAMES.get(finding.condition) ?? finding.condition}: ${findingText(finding)}`)
  }
  for (const warning of warnings) left.push(`Warning: ${warningText(warning)}`)
  const poor = LEADS.filter((lead) => quality.leads[lead] !== 'acceptable')
  if (poor.length > 0) left.push(`Leads not used: ${poor.map((lead) => `${lead} (${quality.leads[lead]})`).join(', ')}`)
  if (quality.heartRateBpm !== null) left.push(`Heart rate ${Math.round(quality.heartRateBpm)} /min`)
  const right = indices
    .filter((index) => isShown(index) && SENT_INDICES.includes(index.id))
    .map(
      ({ name, value, unit, low, high }) => `${name}: ${short(value)} ${unit}  (90%: ${short(low)} to ${short(high)})`,
    )
  if (right.length > 0) right.unshift('Estimated from the ECG by a model; not measured by imaging:')
  for (const [index, line] of wrapped(left, 110).entries()) page.text(LEFT, TEXT_TOP - LINE * index, 8, line)
  for (const [index, line] of wrapped(right, 72).entries()) page.text(186, TEXT_TOP - LINE * index, 8, line)
  page.text(LEFT, 6, 7, `${provenance.modelBundle}, ${provenance.profile}. ${result.notice}`, { colour: GREY })
}

/** Lines at the foot of the page. */
const MAX_LINES = 12

/** Breaks lines between words; the last one that fits says that more follow. */
function wrapped(lines: readonly string[], width: number): readonly string[] {
  const all = lines.flatMap((line) => {
    const rows: string[] = []
    for (const word of line.split(' ')) {
      const last = rows.at(-1)
      if (last !== undefined && last.length + 1 + word.length <= width) rows[rows.length - 1] = `${last} ${word}`
      else rows.push(last === undefined ? word : `    ${word}`)
    }
    return rows
  })
  if (all.length <= MAX_LINES) return all
  return [...all.slice(0, MAX_LINES - 1), `and ${all.length - MAX_LINES + 1} more lines: see the result`]
}

const short = (value: number) => value.toFixed(Math.abs(value) < 10 ? 2 : 1)
