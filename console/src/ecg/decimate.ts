/**
 * Peak-preserving decimation: a column of pixels shows the minimum and the maximum of its samples, in their order.
 * @module
 */

/** Samples per block of the first level. A block of each further level covers as many blocks of the level below. */
const BLOCK = 16

interface Level {
  readonly blockSize: number
  readonly low: Float32Array
  readonly high: Float32Array
}

/** Minima and maxima of blocks of samples, at several levels. An empty block holds NaN. */
export class Pyramid {
  readonly #samples: Float32Array
  readonly levels: readonly Level[]

  constructor(samples: Float32Array) {
    this.#samples = samples
    const levels: Level[] = []
    for (let blockSize = BLOCK; blockSize * 4 < samples.length; blockSize *= BLOCK) {
      const blocks = Math.ceil(samples.length / blockSize)
      const empty = () => new Float32Array(blocks).fill(Number.NaN)
      levels.push({ blockSize, low: empty(), high: empty() })
    }
    this.levels = levels
  }

  /** Updates the blocks after samples from `begin` up to `end` changed. */
  update(begin: number, end: number): void {
    let [lowBelow, highBelow, below] = [this.#samples, this.#samples, 1]
    for (const { blockSize, low, high } of this.levels) {
      const ratio = blockSize / below
      for (let block = Math.floor(begin / blockSize); block < Math.ceil(end / blockSize); block++) {
        let [least, greatest] = [Number.NaN, Number.NaN]
        for (let i = block * ratio; i < Math.min((block + 1) * ratio, lowBelow.length); i++) {
          if (!(lowBelow[i]! >= least)) least = Number.isNaN(lowBelow[i]!) ? least : lowBelow[i]!
          if (!(highBelow[i]! <= greatest)) greatest = Number.isNaN(highBelow[i]!) ? greatest : highBelow[i]!
        }
        low[block] = least
        high[block] = greatest
      }
      ;[lowBelow, highBelow, below] = [low, high, blockSize]
    }
  }
}

/** Target of the drawing, such as a canvas context. */
export interface Sink {
  moveTo(x: number, y: number): void
  lineTo(x: number, y: number): void
}

export interface Placed {
  readonly samples: Float32Array
  readonly pyramid?: Pyramid
  /** First sample, and the end (exclusive). */
  readonly begin: number
  readonly end: number
  /** Position of `begin`. */
  readonly x: number
  readonly pxPerSample: number
  /** Position of 0 mV. */
  readonly y: number
  readonly pxPerMv: number
}

/** Draws samples as a line that breaks at gaps. If several samples fall into one pixel, their extremes are drawn. */
export function drawTrace(sink: Sink, placed: Placed): void {
  if (placed.pxPerSample >= 0.75) drawEach(sink, placed)
  else drawColumns(sink, placed)
}

function drawEach(sink: Sink, { samples, begin, end, x, pxPerSample, y, pxPerMv }: Placed): void {
  let isDown = false
  for (let i = begin; i < end; i++) {
    const value = samples[i]!
    if (Number.isNaN(value)) {
      isDown = false
      continue
    }
    const [px, py] = [x + (i - begin) * pxPerSample, y - value * pxPerMv]
    if (isDown) sink.lineTo(px, py)
    else sink.moveTo(px, py)
    isDown = true
  }
}

function drawColumns(sink: Sink, placed: Placed): void {
  const { samples, pyramid, begin, end, x, pxPerSample, y, pxPerMv } = placed
  const perColumn = 1 / pxPerSample
  // With blocks this small, a block that straddles two columns moves a peak by less than a pixel.
  const level = pyramid?.levels.findLast(({ blockSize }) => blockSize * 2 <= perColumn)
  const size = level?.blockSize ?? 1
  const low = level?.low ?? samples
  const high = level?.high ?? samples
  const columns = Math.ceil((end - begin) * pxPerSample)
  let isDown = false
  for (let column = 0; column < columns; column++) {
    const from = Math.floor((begin + column * perColumn) / size)
    const to = Math.max(from + 1, Math.floor(Math.min(end, begin + (column + 1) * perColumn) / size))
    let [least, greatest, leastAt, greatestAt] = [Number.NaN, Number.NaN, from, from]
    for (let i = from; i < to; i++) {
      const [a, b] = [low[i]!, high[i]!]
      if (!Number.isNaN(a) && !(a >= least)) [least, leastAt] = [a, i]
      if (!Number.isNaN(b) && !(b <= greatest)) [greatest, greatestAt] = [b, i]
    }
    if (Number.isNaN(least)) {
      isDown = false
      continue
    }
    const px = x + column + 0.5
    const [first, second] = leastAt <= greatestAt ? [least, greatest] : [greatest, least]
    if (isDown) sink.lineTo(px, y - first * pxPerMv)
    else sink.moveTo(px, y - first * pxPerMv)
    // A single sample is drawn as a dot.
    sink.lineTo(px, first === second && !isDown ? y - second * pxPerMv + 0.01 : y - second * pxPerMv)
    isDown = true
  }
}
