/**
 * A PDF page (ISO 32000-1) with text and lines, as an ECG report needs. Our own implementation, because the standard fonts suffice, and the
 * libraries that were considered (pdf-lib: 24 MB, no release since 2021; pdfkit: an unneeded font engine) are larger than the gateway.
 * @module
 */
import { deflateSync } from 'node:zlib'

/** Points per millimetre. */
const MM = 72 / 25.4

export interface Colour {
  readonly red: number
  readonly green: number
  readonly blue: number
}

export const BLACK: Colour = { red: 0, green: 0, blue: 0 }
export const WHITE: Colour = { red: 1, green: 1, blue: 1 }

/** Letters of leads' names in Helvetica-Bold by their width in thousandths of its size (Adobe Font Metrics). */
const BOLD_WIDTHS = { 278: 'I', 556: 'a0123456789', 611: 'LF', 667: 'V' } as const
/** R, and any letter that is not listed. */
const OTHER_WIDTH = 722

/**
 * Width of a bold text, or a little more.
 * @param size in points
 * @returns millimetres
 */
export function boldWidth(size: number, text: string): number {
  const known = Object.entries(BOLD_WIDTHS)
  const widths = Array.from(text, (letter) =>
    Number(known.find(([, letters]) => letters.includes(letter))?.[0] ?? OTHER_WIDTH),
  )
  return (widths.reduce((sum, width) => sum + width, 0) * size) / 1000 / MM
}

export type Point = readonly [x: number, y: number]

/** A page. Coordinates are in millimetres from the lower left corner. */
export class PdfPage {
  readonly #width: number
  readonly #height: number
  readonly #operators: string[] = []

  constructor(widthMm: number, heightMm: number) {
    this.#width = widthMm
    this.#height = heightMm
  }

  /** @param size in points */
  text(x: number, y: number, size: number, text: string, { isBold = false, colour = BLACK } = {}): void {
    const font = isBold ? '/F2' : '/F1'
    this.#operators.push(
      `BT ${rgb(colour)} rg ${font} ${n(size)} Tf ${n(x * MM)} ${n(y * MM)} Td (${winAnsi(text)}) Tj ET`,
    )
  }

  /** Fills a rectangle, of which x and y are the lower left corner. */
  rectangle(x: number, y: number, width: number, height: number, colour: Colour): void {
    this.#operators.push(`${rgb(colour)} rg ${at([x, y])} ${n(width * MM)} ${n(height * MM)} re f`)
  }

  /**
   * Draws unconnected lines in one style.
   * @param width in millimetres
   */
  lines(segments: readonly (readonly [Point, Point])[], width: number, colour: Colour): void {
    const paths = segments.map(([from, to]) => `${at(from)} m ${at(to)} l`)
    this.#operators.push(`${n(width * MM)} w ${rgb(colour)} RG ${paths.join(' ')} S`)
  }

  /** Draws a connected line; `undefined` interrupts it. */
  trace(points: readonly (Point | undefined)[], width: number, colour: Colour): void {
    const path: string[] = []
    let isDown = false
    for (const point of points) {
      if (point !== undefined) path.push(`${at(point)} ${isDown ? 'l' : 'm'}`)
      isDown = point !== undefined
    }
    if (path.length > 0) this.#operators.push(`1 j ${n(width * MM)} w ${rgb(colour)} RG ${path.join(' ')} S`)
  }

  /** The document. The same page always gives the same bytes. */
  toBytes(title: string): Buffer {
    const content = deflateSync(Buffer.from(this.#operators.join('\n'), 'latin1'))
    const font = (name: string) => `<< /Type /Font /Subtype /Type1 /BaseFont /${name} /Encoding /WinAnsiEncoding >>`
    const box = `[0 0 ${n(this.#width * MM)} ${n(this.#height * MM)}]`
    const objects: (string | Buffer)[] = [
      '<< /Type /Catalog /Pages 2 0 R >>',
      '<< /Type /Pages /Kids [3 0 R] /Count 1 >>',
      `<< /Type /Page /Parent 2 0 R /MediaBox ${box} /Resources << /Font << /F1 4 0 R /F2 5 0 R >> >> /Contents 6 0 R >>`,
      font('Helvetica'),
      font('Helvetica-Bold'),
      Buffer.concat([
        Buffer.from(`<< /Length ${content.length} /Filter /FlateDecode >>\nstream\n`),
        content,
        Buffer.from('\nendstream'),
      ]),
      `<< /Title (${winAnsi(title)}) /Producer (CardiacNets Edge) >>`,
    ]
    return assemble(objects)
  }
}

function assemble(objects: readonly (string | Buffer)[]): Buffer {
  const parts: Buffer[] = [Buffer.from('%PDF-1.4\n%\xe2\xe3\xcf\xd3\n', 'latin1')]
  let length = parts[0]!.length
  const offsets: number[] = []
  for (const [index, object] of objects.entries()) {
    const body = Buffer.concat([
      Buffer.from(`${index + 1} 0 obj\n`),
      typeof object === 'string' ? Buffer.from(object, 'latin1') : object,
      Buffer.from('\nendobj\n'),
    ])
    offsets.push(length)
    length += body.length
    parts.push(body)
  }
  const entries = offsets.map((offset) => `${String(offset).padStart(10, '0')} 00000 n \n`)
  const table = `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${entries.join('')}`
  const trailer = `trailer\n<< /Size ${objects.length + 1} /Root 1 0 R /Info ${objects.length} 0 R >>\nstartxref\n${length}\n%%EOF\n`
  return Buffer.concat([...parts, Buffer.from(table + trailer)])
}

/** Helvetica supports Windows-1252; other characters become question marks. */
function winAnsi(text: string): string {
  return text
    .replace(/[–—]/g, '-')
    .replace(/[^\x20-\x7e\xa0-\xff]/g, '?')
    .replace(/[\\()]/g, (each) => `\\${each}`)
}

const n = (value: number) => String(Math.round(value * 1000) / 1000)
const at = ([x, y]: Point) => `${n(x * MM)} ${n(y * MM)}`
const rgb = ({ red, green, blue }: Colour) => `${n(red)} ${n(green)} ${n(blue)}`
