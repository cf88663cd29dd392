/**
 * Parses JSON documents from outside. `JSON.parse` makes an object of every `{}`, and a schema an error for each unwanted one: 32 MB of
 * these took minutes and gigabytes. Therefore everything that becomes an object is counted first; numbers, which ECGs consist of, are not
 * counted.
 * @module
 */
import { CodedError } from '../../shared/errors.ts'
import { decodeText } from './format.ts'

/** Ten minutes of twelve leads at 500 Hz take 10 MB in base64, and 32 MB as short numbers. */
const MAX_BYTES = 32 * 1024 * 1024

/** Most objects, arrays and quotation marks; a Bundle of a hundred ECGs has about 20,000. */
const MAX_MARKUP = 200_000

/**
 * Parses a document.
 * @throws CodedError `payload-too-large`, `payload-malformed`, naming the field `json`
 */
export function parseJson(bytes: Uint8Array): unknown {
  if (bytes.length > MAX_BYTES) throw new CodedError('payload-too-large', { field: 'json', maxBytes: MAX_BYTES })
  if (markupIn(bytes) > MAX_MARKUP) throw new CodedError('payload-too-large', { field: 'json', maxMarkup: MAX_MARKUP })
  try {
    return JSON.parse(decodeText(withoutTail(bytes)))
  } catch {
    // Without a cause, because a parser's message quotes its input.
    throw new CodedError('payload-malformed', { field: 'json' })
  }
}

/** Whether bytes start like a JSON object, after a byte order mark and blanks. */
export const startsJson = (bytes: Uint8Array): boolean =>
  /^[\s\uFEFF]*\{/.test(decodeText(bytes.subarray(0, SNIFFED_BYTES)))

const SNIFFED_BYTES = 256

/**
 * Names of the fields of a JSON object, one after the other, without parsing it. Of a truncated one, those before its end; of an
 * oversized one, those within the limit.
 */
export function* fieldNames(bytes: Uint8Array): Generator<string> {
  const end = Math.min(bytes.length, MAX_BYTES)
  let depth = 0
  for (let at = 0; at < end; at++) {
    const byte = bytes[at]
    if (byte === BRACE || byte === BRACKET) depth++
    else if (byte === BRACE_END || byte === BRACKET_END) depth--
    if (byte !== QUOTE) continue
    const begin = at + 1
    at = endOfText(bytes, begin)
    if (depth === 1 && isColonNext(bytes, at + 1)) yield decodeText(bytes.subarray(begin, at))
  }
}

/** Offset of the quotation mark that ends a text; the file's end, if none does. */
function endOfText(bytes: Uint8Array, begin: number): number {
  for (let from = begin; ; ) {
    const at = bytes.indexOf(QUOTE, from)
    if (at < 0) return bytes.length
    let escapes = 0
    while (at - escapes > begin && bytes[at - escapes - 1] === BACKSLASH) escapes++
    if (escapes % 2 === 0) return at
    from = at + 1
  }
}

function isColonNext(bytes: Uint8Array, from: number): boolean {
  let at = from
  while (BLANKS.includes(bytes[at]!)) at++
  return bytes[at] === COLON
}

/** Some writers terminate a text with zeros, as in C. */
function withoutTail(bytes: Uint8Array): Uint8Array {
  let end = bytes.length
  while (end > 0 && bytes[end - 1] === 0) end--
  return bytes.subarray(0, end)
}

const [QUOTE, COLON, BACKSLASH] = [0x22, 0x3a, 0x5c]
const [BRACKET, BRACKET_END, BRACE, BRACE_END] = [0x5b, 0x5d, 0x7b, 0x7d]

/** Tab, line feed, carriage return, space. */
const BLANKS: readonly number[] = [0x09, 0x0a, 0x0d, 0x20]

function markupIn(bytes: Uint8Array): number {
  let count = 0
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]
    if (byte === QUOTE || byte === BRACKET || byte === BRACE) count++
  }
  return count
}
