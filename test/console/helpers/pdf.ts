/**
 * Lines of a PDF in millimetres: just enough of the format (content streams, transforms, paths) to measure what a page prints.
 * @module
 */
import { inflateSync } from 'node:zlib'

type Matrix = readonly [number, number, number, number, number, number]
export type Line = readonly (readonly [x: number, y: number])[]

const MM_PER_POINT = 25.4 / 72

/** Every stroke that is drawn, as its points; y grows upwards. */
export function pdfLines(pdf: Buffer): Line[] {
  const lines: Line[] = []
  for (let at = pdf.indexOf('stream\n'); at >= 0; at = pdf.indexOf('stream\n', at + 7)) {
    const end = pdf.indexOf('endstream', at)
    try {
      lines.push(...strokes(inflateSync(pdf.subarray(at + 7, end)).toString('latin1')))
    } catch {
      // Not a compressed stream: a font, or the end of one.
    }
  }
  return lines
}

function strokes(content: string): Line[] {
  const lines: Line[] = []
  const stack: Matrix[] = []
  let matrix: Matrix = [1, 0, 0, 1, 0, 0]
  let operands: number[] = []
  let path: [number, number][][] = []
  const place = (x: number, y: number): [number, number] => {
    const [a, b, c, d, e, f] = matrix
    return [(a * x + c * y + e) * MM_PER_POINT, (b * x + d * y + f) * MM_PER_POINT]
  }
  for (const token of content.split(/\s+/)) {
    const number = Number(token)
    if (token !== '' && !Number.isNaN(number)) {
      operands.push(number)
      continue
    }
    if (token === 'q') stack.push(matrix)
    else if (token === 'Q') matrix = stack.pop() ?? matrix
    else if (token === 'cm') matrix = times(operands as unknown as Matrix, matrix)
    else if (token === 'm') path.push([place(operands[0]!, operands[1]!)])
    else if (token === 'l') path.at(-1)?.push(place(operands[0]!, operands[1]!))
    else if (token === 'S') lines.push(...path)
    if (['S', 'f', 'n', 'f*', 'B', 's', 'b'].includes(token)) path = []
    operands = []
  }
  return lines
}

function times([a, b, c, d, e, f]: Matrix, [A, B, C, D, E, F]: Matrix): Matrix {
  return [a * A + b * C, a * B + b * D, c * A + d * C, c * B + d * D, e * A + f * C + E, e * B + f * D + F]
}
