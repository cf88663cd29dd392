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
import { BLACK, type Colour, PdfPage } from './pdf.ts'
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

/** Position of the grid, and centre of each of its rows: three rows of four columns of 2.5 s, and lead II over the whole length. */
const GRID_BOTTOM = 78
const GRID_TOP = 190
const ROWS = [176, 148, 120, 92]
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
  const right = LEFT + STRIP_SECONDS * MM_A_SECOND
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

function drawLeads(page: PdfPage, { rateHz, leads }: Waveform): void {
  const find = (name: string) => leads.find((lead) => lead.name === name)
  for (const [column, names] of COLUMNS.entries()) {
    for (const [row, name] of names.entries()) {
      const from = column * COLUMN_SECONDS
      drawStrip(page, find(name), name, ROWS[row]!, rateHz, from, from + COLUMN_SECONDS)
    }
  }
  drawStrip(page, find('II') ?? find('I'), find('II') ? 'II' : 'I', ROWS[3]!, rateHz, 0, STRIP_SECONDS)
  // Calibration pulse: one millivolt, 0.2 s.
  for (const y of ROWS) {
    const [left, right] = [LEFT - 7, LEFT - 2]
    page.trace(
      [
        [left - 1, y],
        [left, y],
        [left, y + MM_A_MILLIVOLT],
        [right, y + MM_A_MILLIVOLT],
        [right, y],
        [right + 1, y],
      ],
      0.25,
      BLACK,
    )
  }
  page.text(LEFT, GRID_BOTTOM - 4, 7, '25 mm/s   10 mm/mV   print at 100%', { colour: GREY })
}

function drawStrip(
  page: PdfPage,
  lead: RecordedLead | undefined,
  name: string,
  y: number,
  rateHz: number,
  fromS: number,
  toS: number,
): void {
  page.text(LEFT + fromS * MM_A_SECOND + 1, y + 9, 8, name, { isBold: true })
  if (lead === undefined) return
  const first = Math.round(fromS * rateHz)
  const last = Math.min(lead.samples.length, Math.round(toS * rateHz))
  // The median of a strip is its zero line, so that it shows waves and not the electrode's offset.
  const middle = medianMv(lead)
  const points: ([number, number] | undefined)[] = []
  for (let i = first; i < last; i++) {
    const sample = lead.samples[i]!
    const mv = (sample * lead.gainUv) / 1000 - middle
    const isDrawn = sample !== MISSING_SAMPLE && Math.abs(mv) < 10
    points.push(isDrawn ? [LEFT + (i / rateHz) * MM_A_SECOND, y + mv * MM_A_MILLIVOLT] : undefined)
  }
  page.trace(points, 0.25, BLACK)
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
  for (const [index, line] of wrapped(left, 110).entries()) page.text(LEFT, 68 - 5 * index, 8, line)
  for (const [index, line] of wrapped(right, 72).entries()) page.text(186, 68 - 5 * index, 8, line)
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
