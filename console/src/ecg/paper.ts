/**
 * ECG paper on a canvas. Lengths are millimetres times `scale`, in device pixels per millimetre. Both axes use the same scale, so the grid
 * is square.
 * @module
 */
import { drawTrace } from './decimate.ts'
import type { Shades } from './explain.ts'
import {
  baselineMm,
  type Gain,
  type LayoutName,
  labelOf,
  PULSE_MM,
  paperSize,
  rowMmOf,
  type Segment,
  segmentsOf,
  timeMm,
} from './layout.ts'
import type { Recording } from './recording.ts'

export interface View {
  readonly layout: LayoutName
  readonly isCabrera: boolean
  /** Paper speed, mm/s; below 25 in an overview of a long recording. */
  readonly mmPerS: number
  readonly gain: Gain
  /** Start of the page, seconds into the recording, and its length. */
  readonly from: number
  readonly seconds: number
  /** Shows the input of the network: time is to scale, amplitude is not. */
  readonly isModel?: boolean
}

export interface Colours {
  readonly paper: string
  readonly minor: string
  readonly major: string
  readonly trace: string
  readonly faint: string
  readonly accent: string
  readonly raised: string
  readonly lowered: string
}

/** Paper colours of the theme, from the style sheet. */
export function coloursOf(element: Element): Colours {
  const style = getComputedStyle(element)
  const read = (name: string) => style.getPropertyValue(`--ecg-${name}`).trim()
  return {
    paper: read('paper'),
    minor: read('minor'),
    major: read('major'),
    trace: read('trace'),
    faint: read('faint'),
    accent: read('accent'),
    raised: read('raised'),
    lowered: read('lowered'),
  }
}

export const viewSize = ({ layout, mmPerS, seconds }: View) => paperSize(layout, mmPerS, seconds)

/**
 * Draws the grid: a line per millimetre, and a stronger one every 5 mm. Lines are aligned to whole device pixels, each from its own exact
 * position.
 * @param isTimeOnly draws time lines only, for views whose amplitude is not to scale
 */
export function drawGrid(
  canvas: HTMLCanvasElement | OffscreenCanvas,
  scale: number,
  colours: Colours,
  isTimeOnly = false,
): void {
  const context = canvas.getContext('2d', { alpha: false }) as CanvasRenderingContext2D
  const { width, height } = canvas
  context.fillStyle = colours.paper
  context.fillRect(0, 0, width, height)
  for (const [step, colour] of [
    [1, colours.minor],
    [5, colours.major],
  ] as const) {
    context.fillStyle = colour
    for (let mm = 0; mm * scale < width; mm += step) context.fillRect(Math.round(mm * scale), 0, 1, height)
    if (isTimeOnly) continue
    for (let mm = 0; mm * scale < height; mm += step) context.fillRect(0, Math.round(mm * scale), width, 1)
  }
}

export interface Note {
  /** Note about a lead: `missing`, or why it was refused. */
  readonly text: string
  readonly isDrawn: boolean
}

export interface Drawn {
  readonly recording: Recording
  readonly view: View
  /** Note for a lead that is not drawn, or drawn with a remark. */
  readonly noteOf: (segment: Segment) => Note | undefined
  /** An earlier ECG, drawn faintly behind this one and aligned at the start of the page. */
  readonly under?: Recording | undefined
  /** Attribution of a score, drawn behind the traces. */
  readonly shades?: Shades | undefined
}

/**
 * Width of a trace, device pixels. Widths near one pixel become exactly one: without a GPU, Chromium draws such lines a hundred times
 * faster than slightly wider ones.
 */
const lineOf = (scale: number) => (0.3 * scale < 1.5 ? 1 : 0.3 * scale)

/** Draws the traces, their labels and the 1 mV pulses on a canvas above the grid. */
export function drawTraces(
  canvas: HTMLCanvasElement | OffscreenCanvas,
  scale: number,
  colours: Colours,
  { recording, view, noteOf, under, shades }: Drawn,
): void {
  const context = canvas.getContext('2d') as CanvasRenderingContext2D
  context.clearRect(0, 0, canvas.width, canvas.height)
  context.lineJoin = 'round'
  context.lineCap = 'round'
  const line = lineOf(scale)
  const segments = segmentsOf(view.layout, view.isCabrera, view.seconds)
  const font = (mm: number) => `${Math.round(mm * scale)}px system-ui, sans-serif`
  if (view.isModel !== true) drawPulses(context, scale, colours, view, line)
  for (const segment of segments) {
    const base = baselineMm(view.layout, segment.row) * scale
    const left = timeMm(segment.from, view.mmPerS) * scale
    const note = noteOf(segment)
    if (shades !== undefined) drawShades(context, scale, colours, shades, segment, view)
    if (under !== undefined) drawSegment(context, under, segment, view, scale, colours.faint, line)
    if (note?.isDrawn !== false) drawSegment(context, recording, segment, view, scale, colours.trace, line)
    // Labels have an outline in the paper's colour, so that neither grid nor trace runs through them.
    const label = labelOf(segment)
    context.font = `600 ${font(3.2)}`
    const top = base - 8.2 * scale
    const width = context.measureText(label).width
    context.strokeStyle = colours.paper
    context.lineWidth = scale
    context.strokeText(label, left + scale, top)
    context.fillStyle = colours.trace
    context.fillText(label, left + scale, top)
    if (segment.from > 0) {
      context.fillRect(Math.round(left), Math.round(base - 3 * scale), Math.max(1, Math.round(0.25 * scale)), 6 * scale)
    }
    if (note === undefined) continue
    context.font = `italic ${font(2.7)}`
    context.fillText(note.text, left + width + 2.5 * scale, top)
  }
}

/** Height of the bar of the strongest stretch. */
const BAR_MM = 4

/**
 * Draws a shade behind each stretch, and a bar below it: filled if the stretch raised the score, hollow if it lowered it. The direction is
 * therefore readable without colour.
 */
function drawShades(
  context: CanvasRenderingContext2D,
  scale: number,
  colours: Colours,
  { fromS, stretchS, leads, largest }: Shades,
  { lead, from, to, row }: Segment,
  view: View,
): void {
  const changes = leads.get(lead)
  if (changes === undefined) return
  const height = rowMmOf(view.layout)
  const bottom = baselineMm(view.layout, row) + height / 2 - 0.5
  const bar = Math.min(BAR_MM, height / 5)
  for (const [i, change] of changes.entries()) {
    const begin = Math.max(from, fromS + i * stretchS - view.from)
    const end = Math.min(to, fromS + (i + 1) * stretchS - view.from)
    if (end <= begin) continue
    const part = Math.abs(change) / largest
    const [x, width] = [timeMm(begin, view.mmPerS) * scale, (end - begin) * view.mmPerS * scale]
    context.fillStyle = change > 0 ? colours.raised : colours.lowered
    context.strokeStyle = context.fillStyle
    context.globalAlpha = 0.42 * part
    context.fillRect(x, (bottom - height + 1) * scale, width, (height - 1) * scale)
    context.globalAlpha = 1
    const tall = Math.round(bar * part * scale)
    if (tall < 2) continue
    context.lineWidth = 1
    const box = [Math.round(x) + 0.5, Math.round(bottom * scale) - tall + 0.5, Math.round(width) - 2, tall] as const
    if (change > 0) context.fillRect(...box)
    else context.strokeRect(...box)
  }
}

function drawPulses(
  context: CanvasRenderingContext2D,
  scale: number,
  { trace }: Colours,
  { layout, isCabrera, seconds, gain }: View,
  line: number,
): void {
  const rows = new Set(segmentsOf(layout, isCabrera, seconds).map(({ row }) => row))
  context.strokeStyle = trace
  context.lineWidth = line
  context.beginPath()
  for (const row of rows) {
    const base = baselineMm(layout, row) * scale
    // Calibration pulse: 1 mV, 5 mm wide.
    const points = [
      [PULSE_MM - 8.5, 0],
      [PULSE_MM - 7.5, 0],
      [PULSE_MM - 7.5, gain],
      [PULSE_MM - 2.5, gain],
      [PULSE_MM - 2.5, 0],
      [PULSE_MM - 1.5, 0],
    ] as const
    for (const [i, [x, up]] of points.entries()) {
      context[i === 0 ? 'moveTo' : 'lineTo'](x * scale, base - up * scale)
    }
  }
  context.stroke()
}

function drawSegment(
  context: CanvasRenderingContext2D,
  recording: Recording,
  segment: Segment,
  { layout, mmPerS, gain, from }: View,
  scale: number,
  colour: string,
  line: number,
): void {
  const trace = recording.traces.get(segment.lead)
  if (trace === undefined) return
  const { rateHz, length } = recording
  const begin = Math.max(0, Math.ceil((from + segment.from) * rateHz - 1e-6))
  const end = Math.min(length, Math.ceil((from + segment.to) * rateHz - 1e-6))
  context.strokeStyle = colour
  context.lineWidth = line
  context.beginPath()
  drawTrace(context, {
    samples: trace.samples,
    pyramid: trace.pyramid,
    begin,
    end,
    x: timeMm(begin / rateHz - from, mmPerS) * scale,
    pxPerSample: (mmPerS * scale) / rateHz,
    y: baselineMm(layout, segment.row) * scale,
    pxPerMv: (segment.isInverted ? -gain : gain) * scale,
  })
  context.stroke()
}
