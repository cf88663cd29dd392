/**
 * Which lead stands where on the paper, in millimetres: the arrangements that cardiologists are used to.
 * @module
 */
import type { LeadName } from '../../../shared/domain/leads.ts'

export const LAYOUTS = ['3x4+1', '3x4', '6x2', '12x1'] as const
export type LayoutName = (typeof LAYOUTS)[number]

export const SPEEDS = [25, 50] as const
export type Speed = (typeof SPEEDS)[number]

export const GAINS = [5, 10, 20] as const
export type Gain = (typeof GAINS)[number]

/** What a page shows, seconds. */
export const PAGE_S = 10

/** One lead over a stretch of the page. */
export interface Segment {
  readonly lead: LeadName
  /** Drawn upside down: −aVR of the Cabrera order. */
  readonly isInverted: boolean
  /** Seconds into the page. */
  readonly from: number
  readonly to: number
  readonly row: number
}

type Ordered = LeadName | '-aVR'

const STANDARD: readonly Ordered[] = ['I', 'II', 'III', 'aVR', 'aVL', 'aVF', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6']
/** The limb leads in the order of their directions (Cabrera 1944; AHA/ACCF/HRS 2007). */
const CABRERA: readonly Ordered[] = ['aVL', 'I', '-aVR', 'II', 'aVF', 'III', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6']

const ROWS: Readonly<Record<LayoutName, number>> = { '3x4+1': 3, '3x4': 3, '6x2': 6, '12x1': 12 }

/** Rows of the layout, the rhythm strip among them. */
export const rowsOf = (layout: LayoutName) => ROWS[layout] + (layout === '3x4+1' ? 1 : 0)

/** @param seconds that the page shows */
export function segmentsOf(layout: LayoutName, isCabrera: boolean, seconds: number = PAGE_S): readonly Segment[] {
  const order = isCabrera ? CABRERA : STANDARD
  const rows = ROWS[layout]
  const width = seconds / (order.length / rows)
  const segments = order.map((name, i): Segment => {
    const column = Math.floor(i / rows)
    return {
      lead: name === '-aVR' ? 'aVR' : name,
      isInverted: name === '-aVR',
      from: column * width,
      to: (column + 1) * width,
      row: i % rows,
    }
  })
  if (layout !== '3x4+1') return segments
  return [...segments, { lead: 'II', isInverted: false, from: 0, to: seconds, row: rows }]
}

/** What stands beside a segment. */
export const labelOf = ({ lead, isInverted }: Segment) => (isInverted ? `−${lead}` : lead)

/** Left of the traces: the calibration pulse. */
export const PULSE_MM = 10
/** Above the first row and below the last: with it every row's 0 mV lies on a line of the grid. */
const edgeMm = (layout: LayoutName) => (layout === '12x1' ? 7.5 : 5)

/** Of one row: three millivolts at the usual gain, less where there are many rows. */
export const rowMmOf = (layout: LayoutName) => (layout === '12x1' ? 15 : layout === '6x2' ? 20 : 30)

export interface PaperSize {
  readonly widthMm: number
  readonly heightMm: number
}

export function paperSize(layout: LayoutName, mmPerS: number, seconds: number = PAGE_S): PaperSize {
  return {
    widthMm: PULSE_MM + seconds * mmPerS + 5,
    heightMm: 2 * edgeMm(layout) + rowsOf(layout) * rowMmOf(layout),
  }
}

/** Where 0 mV of a row lies, from the paper's top. */
export const baselineMm = (layout: LayoutName, row: number) => edgeMm(layout) + (row + 0.5) * rowMmOf(layout)

/** Where a time of the page lies, from the paper's left. */
export const timeMm = (seconds: number, mmPerS: number) => PULSE_MM + seconds * mmPerS
