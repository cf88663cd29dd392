/**
 * Puts the word SYNTHETIC into the pixels of every frame that leaves this program. It is in a strip below the image, so that it covers
 * nothing and cannot be switched off.
 * @module
 */

const WORD = 'SYNTHETIC'

/** A letter is five dots wide and seven high; the five bits of a number are one row of dots. */
const LETTERS: Readonly<Record<string, readonly number[]>> = {
  C: [0b01110, 0b10001, 0b10000, 0b10000, 0b10000, 0b10001, 0b01110],
  E: [0b11111, 0b10000, 0b10000, 0b11110, 0b10000, 0b10000, 0b11111],
  H: [0b10001, 0b10001, 0b10001, 0b11111, 0b10001, 0b10001, 0b10001],
  I: [0b01110, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110],
  N: [0b10001, 0b11001, 0b10101, 0b10011, 0b10001, 0b10001, 0b10001],
  S: [0b01111, 0b10000, 0b10000, 0b01110, 0b00001, 0b00001, 0b11110],
  T: [0b11111, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100],
  Y: [0b10001, 0b10001, 0b01010, 0b00100, 0b00100, 0b00100, 0b00100],
}
const [LETTER_WIDTH, LETTER_HEIGHT, GAP, MARGIN] = [5, 7, 1, 2]
const WORD_WIDTH = WORD.length * (LETTER_WIDTH + GAP) - GAP

/** Rows that the mark adds below an image, at one pixel per dot. */
export const MARK_ROWS = LETTER_HEIGHT + 2 * MARGIN

/**
 * Adds the mark below each frame.
 * @param frames [count][height][width], grey levels
 * @param scale pixels per dot; `width` must be at least 54 dots
 * @returns [count][height + MARK_ROWS·scale][width]
 */
export function withMark(frames: Uint8Array, count: number, height: number, width: number, scale = 1): Uint8Array {
  const strip = markStrip(width, scale)
  const pixels = height * width
  const marked = new Uint8Array(count * (pixels + strip.length))
  for (let frame = 0; frame < count; frame++) {
    const at = frame * (pixels + strip.length)
    marked.set(frames.subarray(frame * pixels, (frame + 1) * pixels), at)
    marked.set(strip, at + pixels)
  }
  return marked
}

/** White on black, [MARK_ROWS·scale][width]. */
function markStrip(width: number, scale: number): Uint8Array {
  const strip = new Uint8Array(MARK_ROWS * scale * width)
  const left = Math.floor((width - WORD_WIDTH * scale) / 2)
  for (let y = 0; y < LETTER_HEIGHT * scale; y++) {
    for (let x = 0; x < WORD_WIDTH * scale; x++) {
      const [row, column] = [Math.floor(y / scale), Math.floor(x / scale)]
      const letter = WORD[Math.floor(column / (LETTER_WIDTH + GAP))]!
      const bit = LETTER_WIDTH - 1 - (column % (LETTER_WIDTH + GAP))
      if (bit >= 0 && ((LETTERS[letter]![row]! >> bit) & 1) === 1) strip[(MARGIN * scale + y) * width + left + x] = 255
    }
  }
  return strip
}
