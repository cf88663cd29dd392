/**
 * Standard arrangements of the leads on the paper, in millimetres.
 * @module
 */
import type { LeadName } from '../../../shared/domain/leads.ts'

export const LAYOUTS = ['3x4+1', '3x4', '6x2', '12x1'] as const
export type LayoutName = (typeof LAYOUTS)[number]

export const SPEEDS = [25, 50] as const
export type Speed = (typeof SPEEDS)[number]

export const GAINS = [5, 10, 20] as const
export type Gain = (typeof GAINS)[number]

/** Length of a page, seconds. */
export const PAGE_S = 10

/** One lead over a part of the page. */
export interface Segment {
  readonly lead: LeadName
  /** Drawn upside down: −aVR in Cabrera order. */
  readonly isInverted: boolean
  /** Seconds into the page. */
  readonly from: number
  readonly to: number
  readonly row: number
}

type Ordered = LeadName | '-aVR'

const STANDARD: readonly Ordered[] = ['I', 'II', 'III', 'aVR', 'aVL', 'aVF', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6']
/** Limb leads in the order of their axes (Cabrera 1944; AHA/ACCF/HRS 2007). */
const CABRERA: readonly Ordered[] = ['aVL', 'I', '-aVR', 'II', 'aVF', 'III', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6']

const ROWS: Readonly<Record<LayoutName, number>> = { '3x4+1': 3, '3x4': 3, '6x2': 6, '12x1': 12 }

/** Number of rows of a layout, including the rhythm strip. */
export const rowsOf = (layout: LayoutName) => ROWS[layout] + (layout === '3x4+1' ? 1 : 0)

/** @param seconds the length of the page */
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

/** Label of a segment. */
export const labelOf = ({ lead, isInverted }: Segment) => (isInverted ? `−${lead}` : lead)

/** Space for the calibration pulse to the left of the traces. */
export const PULSE_MM = 10
/** Margin above the first row and below the last one. It puts 0 mV of every row on a grid line. */
const edgeMm = (layout: LayoutName) => (layout === '12x1' ? 7.5 : 5)

/** Height of a row: 3 mV at the default gain, less in layouts with many rows. */
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

/** Position of 0 mV of a row, from the top of the paper. */
export const baselineMm = (layout: LayoutName, row: number) => edgeMm(layout) + (row + 0.5) * rowMmOf(layout)

/** Position of a time of the page, from the left of the paper. */
export const timeMm = (seconds: number, mmPerS: number) => PULSE_MM + seconds * mmPerS
