/**
 * Decodes text of an unknown charset, as spreadsheets write it.
 * @module
 */
import { analyse } from 'chardet'

/** Bytes that are examined: the letters of such a text are in its headings, and only numbers follow. */
const JUDGED_BYTES = 16 * 1024

/** The detector takes 15 ms per kilobyte of letters, and needs no more. */
const DETECTED_BYTES = 4 * 1024

/** Share of a text's bytes that must be zero at even or odd positions for UTF-16 without a byte order mark. */
const MIN_ZEROS = 0.8

/** The character beyond ASCII that ECG texts contain most; `æV` is µV in the DOS charset. */
const MICRO = /[\u00b5\u03bc]|\u00e6V/

/**
 * Decodes text in UTF-8, UTF-16, or another possible charset: one in which the text has a micro sign, otherwise the likeliest.
 * @param isCut whether the last character may be incomplete
 * @returns `undefined` for bytes that are not text
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

/** Charsets of Western Europe, China, Japan and Korea. */
const USUAL = ['windows-1252', 'gb18030', 'shift_jis', 'euc-kr']

function charsetOf(head: Uint8Array): string {
  const usual = USUAL.find((charset) => MICRO.test(new TextDecoder(charset).decode(head)))
  return usual ?? analyse(letters(head)).find(({ name }) => isKnown(name))?.name ?? USUAL[0]!
}

/** Lines with characters beyond ASCII, because digits tell nothing about a charset. */
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
