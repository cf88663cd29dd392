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

/** Some writers terminate a text with zeros, as in C. */
function withoutTail(bytes: Uint8Array): Uint8Array {
  let end = bytes.length
  while (end > 0 && bytes[end - 1] === 0) end--
  return bytes.subarray(0, end)
}

const [QUOTE, BRACKET, BRACE] = [0x22, 0x5b, 0x7b]

function markupIn(bytes: Uint8Array): number {
  let count = 0
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]
    if (byte === QUOTE || byte === BRACKET || byte === BRACE) count++
  }
  return count
}
