/**
 * Text whose charset nobody states, as spreadsheets write it.
 * @module
 */
import { analyse } from 'chardet'

/** What a charset is judged by: text has its letters in the headings, and numbers behind them. */
const JUDGED_BYTES = 16 * 1024

/** The detector takes 15 ms a kilobyte of letters, and needs no more. */
const DETECTED_BYTES = 4 * 1024

/** Share of a text's bytes that must be zero in one of the two places for UTF-16 without a mark. */
const MIN_ZEROS = 0.8

/** What an ECG's text has where it has anything beyond ASCII; `æV` is µV in the charset of DOS. */
const MICRO = /[\u00b5\u03bc]|\u00e6V/

/**
 * Text in UTF-8, UTF-16, or else in what charset it can be: where several can, in the one in which there is a micro sign, else in the likeliest.
 * @param isCut whether the last character may lack bytes
 * @returns undefined for bytes that are no text
 */
export function decodeAnyText(bytes: Uint8Array, isCut = false): string | undefined {
  const head = bytes.subarray(0, JUDGED_BYTES)
  const utf16 = utf16In(head)
  if (utf16 !== undefined) return new TextDecoder(utf16).decode(bytes)
  if (head.includes(0)) return undefined
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: isCut })
  } catch {
    return new TextDecoder(charsetOf(head)).decode(bytes)
  }
}

function utf16In(head: Uint8Array): 'utf-16le' | 'utf-16be' | undefined {
  if (head[0] === 0xff && head[1] === 0xfe) return 'utf-16le'
  if (head[0] === 0xfe && head[1] === 0xff) return 'utf-16be'
  const pairs = head.length >> 1
  let [even, odd] = [0, 0]
  for (let i = 0; i < pairs; i++) {
    if (head[2 * i] === 0) even++
    if (head[2 * i + 1] === 0) odd++
  }
  if (even === 0 && odd > MIN_ZEROS * pairs) return 'utf-16le'
  return odd === 0 && even > MIN_ZEROS * pairs ? 'utf-16be' : undefined
}

/** Of Western Europe, China, Japan and Korea. */
const USUAL = ['windows-1252', 'gb18030', 'shift_jis', 'euc-kr']

function charsetOf(head: Uint8Array): string {
  const usual = USUAL.find((charset) => MICRO.test(new TextDecoder(charset).decode(head)))
  return usual ?? analyse(letters(head)).find(({ name }) => isKnown(name))?.name ?? USUAL[0]!
}

/** Lines with something beyond ASCII: digits say nothing of a charset. */
function letters(head: Uint8Array): Uint8Array {
  const lines = Buffer.from(head).toString('latin1').split('\n')
  const strange = lines.filter((line) => /[\u0080-\u00ff]/.test(line)).join('\n')
  return Buffer.from(strange, 'latin1').subarray(0, DETECTED_BYTES)
}

function isKnown(charset: string): boolean {
  try {
    new TextDecoder(charset)
    return true
  } catch {
    return false
  }
}
