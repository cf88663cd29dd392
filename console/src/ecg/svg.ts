/**
 * ECG paper as an SVG in millimetres, for print, PDF and export. One user unit is one millimetre.
 * @module
 */
import { drawTrace } from './decimate.ts'
import { baselineMm, labelOf, PULSE_MM, rowMmOf, rowsOf, type Segment, segmentsOf, timeMm } from './layout.ts'
import { type Note, type View, viewSize } from './paper.ts'
import type { Recording } from './recording.ts'

export interface Sheet {
  readonly recording: Recording
  readonly view: View
  readonly noteOf: (segment: Segment) => Note | undefined
  /** Lines above the traces: time, ECG and heart rate. */
  readonly heading: readonly string[]
  /** Lines below the traces: speed, gain, filter and the notice. */
  readonly footing: readonly string[]
}

const HEADING_MM = 5
const INK = '#14171a'

const escaped = (text: string) =>
  text.replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`).replace(/[^\P{Cc}\t]/gu, ' ')

/** Size of the sheet, including heading and footing. */
export function sheetSize({ view, heading, footing }: Pick<Sheet, 'view' | 'heading' | 'footing'>) {
  const { widthMm, heightMm } = viewSize(view)
  return { widthMm, heightMm: heightMm + (heading.length + footing.length) * HEADING_MM + 4 }
}

/** Paper above the first and below the last row of a page, for labels and tall waves: less than half a row, so no neighbour's line is on it. */
const SPARE_MM = 5

/** Part of the paper on one printed page, mm. A row is on the page that its line of 0 mV is on. */
export interface Part {
  readonly x: number
  readonly y: number
  readonly widthMm: number
  readonly heightMm: number
}

/**
 * Splits a sheet into pages at its true scale: between whole seconds across, and between rows down.
 * @param page the printable area, mm
 */
export function partsOf(sheet: Sheet, page: { readonly widthMm: number; readonly heightMm: number }): readonly Part[] {
  const { layout, mmPerS, seconds } = sheet.view
  const paper = viewSize(sheet.view)
  const wordsMm = sheetSize(sheet).heightMm - paper.heightMm
  const afterSeconds = Array.from({ length: Math.floor(seconds) }, (_, i) => timeMm(i + 1, mmPerS))
  const belowRows = Array.from({ length: rowsOf(layout) }, (_, i) => baselineMm(layout, i) + rowMmOf(layout) / 2)
  const across = cuts(paper.widthMm, page.widthMm, afterSeconds)
  const most = page.heightMm - wordsMm
  const isWhole = paper.heightMm <= most
  const down = cuts(paper.heightMm, isWhole ? most : most - 2 * SPARE_MM, belowRows).map(
    ([top, bottom]) => [Math.max(0, top - SPARE_MM), Math.min(paper.heightMm, bottom + SPARE_MM)] as const,
  )
  return down.flatMap(([y, bottom]) => across.map(([x, right]) => ({ x, y, widthMm: right - x, heightMm: bottom - y })))
}

/** Splits a length into pieces of at most `most`, as equal as the allowed cuts permit. */
function cuts(length: number, most: number, places: readonly number[]): readonly (readonly [number, number])[] {
  if (length <= most) return [[0, length]]
  const even = length / Math.ceil(length / most)
  const pieces: (readonly [number, number])[] = []
  for (let from = 0; from < length; ) {
    const within = places.filter((place) => place > from && place - from <= most && place < length)
    const to =
      length - from <= most ? length : (within.find((place) => place - from >= even - 5) ?? within.at(-1) ?? length)
    pieces.push([from, to])
    from = to
  }
  return pieces
}

/**
 * Renders the sheet as SVG. All external text is escaped.
 * @param part the part of the paper to render, with the same heading and footing
 */
export function sheetSvg(sheet: Sheet, part?: Part): string {
  const { recording, view, noteOf, heading, footing } = sheet
  const whole = viewSize(view)
  const paper = part ?? { x: 0, y: 0, ...whole }
  const widthMm = part?.widthMm ?? whole.widthMm
  const heightMm = sheetSize(sheet).heightMm - whole.heightMm + paper.heightMm
  const top = heading.length * HEADING_MM + 2
  const texts = [
    ...heading.map((line, i) => text(1, (i + 0.8) * HEADING_MM, i === 0 ? 3.6 : 3, line, i === 0 ? 600 : 400)),
    ...footing.map((line, i) => text(1, top + paper.heightMm + (i + 0.9) * HEADING_MM, 2.8, line)),
  ]
  const segments = segmentsOf(view.layout, view.isCabrera, view.seconds).filter(({ row }) => {
    const base = baselineMm(view.layout, row)
    return base >= paper.y && base <= paper.y + paper.heightMm
  })
  const traces = segments.map((segment) => {
    const base = baselineMm(view.layout, segment.row)
    const left = timeMm(segment.from, view.mmPerS)
    const note = noteOf(segment)
    const label = note === undefined ? labelOf(segment) : `${labelOf(segment)}  ${note.text}`
    return text(left + 1, base - 8.2, 3.2, label, 600) + (note?.isDrawn === false ? '' : path(recording, segment, view))
  })
  const rows = [...new Set(segments.map(({ row }) => row))]
  const pulses = rows.map((row) => {
    const base = baselineMm(view.layout, row)
    const d = `M${PULSE_MM - 8.5} ${base}h1v${-view.gain}h5v${view.gain}h1`
    return `<path class="pulse" d="${d}" fill="none" stroke="${INK}" stroke-width="0.3"/>`
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${widthMm}mm" height="${heightMm}mm" viewBox="0 0 ${widthMm} ${heightMm}" font-family="Helvetica, Arial, sans-serif">`,
    `<rect width="${widthMm}" height="${heightMm}" fill="#ffffff"/>`,
    `<svg x="0" y="${top}" width="${paper.widthMm}" height="${paper.heightMm}" viewBox="${paper.x} ${paper.y} ${paper.widthMm} ${paper.heightMm}">`,
    `${grid(whole.widthMm, whole.heightMm)}${pulses.join('')}${traces.join('')}`,
    '</svg>',
    ...texts,
    '</svg>',
  ].join('\n')
}

function grid(widthMm: number, heightMm: number): string {
  const lines = (step: number) => {
    const across = Array.from({ length: Math.floor(widthMm / step) + 1 }, (_, i) => `M${i * step} 0v${heightMm}`)
    const down = Array.from({ length: Math.floor(heightMm / step) + 1 }, (_, i) => `M0 ${i * step}h${widthMm}`)
    return [...across, ...down].join('')
  }
  return [
    `<path d="${lines(1)}" stroke="#f0c9c2" stroke-width="0.08" fill="none"/>`,
    `<path d="${lines(5)}" stroke="#dd9c91" stroke-width="0.16" fill="none"/>`,
  ].join('')
}

function text(x: number, y: number, size: number, words: string, weight = 400): string {
  return `<text x="${x}" y="${y}" font-size="${size}" font-weight="${weight}" fill="${INK}">${escaped(words)}</text>`
}

function path(recording: Recording, segment: Segment, { layout, mmPerS, gain, from }: View): string {
  const trace = recording.traces.get(segment.lead)
  if (trace === undefined) return ''
  const { rateHz, length } = recording
  const begin = Math.max(0, Math.ceil((from + segment.from) * rateHz - 1e-6))
  const end = Math.min(length, Math.ceil((from + segment.to) * rateHz - 1e-6))
  const parts: string[] = []
  const point = (command: string, x: number, y: number) => parts.push(`${command}${x.toFixed(3)} ${y.toFixed(3)}`)
  // Print has no pixel grid, so every sample is drawn.
  const unit = 1000
  drawTrace(
    { moveTo: (x, y) => point('M', x / unit, y / unit), lineTo: (x, y) => point('L', x / unit, y / unit) },
    {
      samples: trace.samples,
      begin,
      end,
      x: timeMm(begin / rateHz - from, mmPerS) * unit,
      pxPerSample: (mmPerS / rateHz) * unit,
      y: baselineMm(layout, segment.row) * unit,
      pxPerMv: (segment.isInverted ? -gain : gain) * unit,
    },
  )
  return `<path d="${parts.join('')}" fill="none" stroke="${INK}" stroke-width="0.25" stroke-linejoin="round"/>`
}
