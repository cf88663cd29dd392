/**
 * Places the rows of an ECG and the names of its leads on paper, by how far the traces really reach: at a fixed scale a tall wave may need
 * more than an even share. Lengths are in millimetres.
 * @module
 */
import type { Point } from './pdf.ts'

/** Points of a line; `undefined` interrupts it. */
export type Line = readonly (Point | undefined)[]

/** One lead over a part of a row. */
export interface Strip {
  readonly row: number
  /** x from the left of the grid, y above 0 mV of the row. */
  readonly line: Line
}

export interface Size {
  readonly width: number
  readonly height: number
}

/** Columns in which the reach of a row is kept. */
const COLUMN = 0.5
/** Columns to each side in which two traces that pass each other would look like one. */
const NEAR = 2
/** Space between two traces. */
const SPACE = 1
/** Least distance of 0 mV of two rows. */
const LEAST = 15

/** How far a line reaches in each column, from its 0 mV; a column without a point has a `low` above its `high`. */
interface Reach {
  readonly low: Float64Array
  readonly high: Float64Array
}

/**
 * Places rows on a grid, as evenly as their traces allow.
 * @returns 0 mV of each row in whole millimetres below the top. Traces reach neither over the grid nor, if it is high enough, over each
 *   other; if it is not high enough for the former, rows are even.
 */
export function placeRows(strips: readonly Strip[], count: number, { width, height }: Size): readonly number[] {
  const rows = Array.from({ length: count }, (_, row) => {
    const reach = reachOf(
      strips.filter((strip) => strip.row === row).map(({ line }) => line),
      width,
    )
    return { up: Math.ceil(Math.max(0, ...reach.high)), down: Math.ceil(-Math.min(0, ...reach.low)), reach }
  })
  const even = rows.map((_, row) => Math.round(((row + 0.5) * height) / count))
  const wanted = rows.map((below, row) => rows.slice(0, row).map((above) => distance(above.reach, below.reach)))
  for (let tenths = 10; tenths >= 0; tenths--) {
    const least = wanted.map((all, row) =>
      all.map((each, above) => {
        const fixed = (row - above) * LEAST
        return fixed + Math.ceil((Math.max(0, each - fixed) * tenths) / 10)
      }),
    )
    const lowest = rows.map(({ down }) => height - down)
    for (let row = count - 1; row > 0; row--) {
      for (let above = 0; above < row; above++) {
        lowest[above] = Math.min(lowest[above]!, lowest[row]! - least[row]![above]!)
      }
    }
    const placed: number[] = []
    for (const [row, { up }] of rows.entries()) {
      const highest = Math.max(up, ...placed.map((at, above) => at + least[row]![above]!))
      placed.push(Math.max(highest, Math.min(even[row]!, lowest[row]!)))
    }
    if (placed.every((at, row) => at <= lowest[row]!)) return placed
  }
  return even
}

/** Least distance of two rows at which their traces keep apart. */
function distance(above: Reach, below: Reach): number {
  let most = 0
  for (const [at, high] of below.high.entries()) {
    for (let near = Math.max(0, at - NEAR); near <= at + NEAR && near < above.low.length; near++) {
      most = Math.max(most, high - above.low[near]! + SPACE)
    }
  }
  return most
}

function reachOf(lines: readonly Line[], width: number): Reach {
  const columns = Math.ceil(width / COLUMN) + 1
  const reach = {
    low: new Float64Array(columns).fill(Number.POSITIVE_INFINITY),
    high: new Float64Array(columns).fill(Number.NEGATIVE_INFINITY),
  }
  for (const line of lines) {
    for (const [i, point] of line.entries()) {
      if (point === undefined) continue
      const [x, y] = point
      const [from, before] = line[i - 1] ?? point
      for (let column = Math.floor(from / COLUMN); column <= Math.floor(x / COLUMN); column++) {
        reach.low[column] = Math.min(reach.low[column]!, y, before)
        reach.high[column] = Math.max(reach.high[column]!, y, before)
      }
    }
  }
  return reach
}

/**
 * Cuts a line at two heights.
 * @returns the line between them, and whether anything was cut off
 */
export function cutOff(line: Line, low: number, high: number): { readonly line: Line; readonly isCut: boolean } {
  const isWithin = (y: number) => y >= low && y <= high
  const points: (Point | undefined)[] = []
  let isCut = false
  for (const [i, point] of line.entries()) {
    const before = line[i - 1]
    if (point === undefined) {
      points.push(undefined)
      continue
    }
    const wasWithin = before !== undefined && isWithin(before[1])
    if (before !== undefined && wasWithin !== isWithin(point[1])) {
      const [outer, inner] = wasWithin ? [point, before] : [before, point]
      const edge: Point = crossing(inner, outer, outer[1] > high ? high : low)
      points.push(...(wasWithin ? [edge, undefined] : [edge]))
    }
    if (isWithin(point[1])) points.push(point)
    else isCut = true
  }
  return { line: points, isCut }
}

function crossing([x0, y0]: Point, [x1, y1]: Point, y: number): Point {
  return [x0 + ((x1 - x0) * (y - y0)) / (y1 - y0), y]
}

/** Margin around a name. */
const MARGIN = 0.6
/** Where a name is best: this far above 0 mV, at the start of its strip. */
const BEST = 9
/** Ways from there, nearest first. A name that is below its own trace could be the next row's, so that is the last choice. */
const WAYS = Array.from({ length: 41 }, (_, right) =>
  Array.from({ length: 61 }, (_, i) => 6 - i / 2).map((up) => ({
    right,
    up,
    cost: Math.abs(up) + right + (BEST + up < 0 ? 20 : 0),
  })),
)
  .flat()
  .toSorted((a, b) => a.cost - b.cost)

/** Places names where no trace goes. */
export class NamePlaces {
  readonly #size: Size
  readonly #lines: readonly Reach[]
  readonly #taken: { readonly x: number; readonly y: number; readonly size: Size }[] = []

  /** @param lines all traces, y above the bottom of the grid */
  constructor(lines: readonly Line[], size: Size) {
    this.#size = size
    this.#lines = lines.map((line) => reachOf([line], size.width))
  }

  /**
   * Finds a place for a name, nearest to where it is expected: above the start of its strip.
   * @param x start of the strip
   * @param zero 0 mV of its row, above the bottom of the grid
   * @returns its lower left corner; where it is expected, if no place is free
   */
  place(x: number, zero: number, size: Size): Point {
    const { right, up } = WAYS.find((way) => this.#isFree(x + way.right, zero + BEST + way.up, size)) ?? WAYS[0]!
    const [left, bottom] = [x + right, zero + BEST + up]
    this.#taken.push({ x: left, y: bottom, size })
    return [left, bottom]
  }

  #isFree(x: number, y: number, { width, height }: Size): boolean {
    const [left, right, low, high] = [x - MARGIN, x + width + MARGIN, y - MARGIN, y + height + MARGIN]
    if (left < 0 || right > this.#size.width || low < 0 || high > this.#size.height) return false
    for (const { x: atX, y: atY, size } of this.#taken) {
      if (left < atX + size.width && right > atX && low < atY + size.height && high > atY) return false
    }
    const [first, last] = [Math.floor(left / COLUMN), Math.floor(right / COLUMN)]
    return this.#lines.every((reach) => {
      for (let column = first; column <= last; column++) {
        if (reach.low[column]! < high && reach.high[column]! > low) return false
      }
      return true
    })
  }
}
