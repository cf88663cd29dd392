/**
 * JSON, in one of two shapes: our own, which is that of a window on MQTT (`streams/mqtt/ecg.proto`) of any length, with the person beside it; and
 * that of the JSON edition of the ZZU pECG data set.
 * @module
 */

import type { Recording } from '../../../shared/domain/recording.ts'
import { CodedError } from '../../../shared/errors.ts'
import { decodeText, type Format, type ParseOptions, sniffText } from '../format.ts'
import { parseWindow } from './window.ts'
import { parseZzu } from './zzu.ts'

export const json: Format = {
  name: 'json',
  detects: (bytes) => /^\uFEFF?\s*\{/.test(sniffText(bytes) ?? ''),
  parse: (main, _others, options) => parse(main.bytes, options),
}

/** Ten minutes of twelve leads at 500 Hz as decimal fractions. */
const MAX_BYTES = 64 * 1024 * 1024

/** @throws CodedError `payload-too-large`, `payload-malformed`, and those of the shape */
export function parse(bytes: Uint8Array, options: ParseOptions = {}): Recording {
  if (bytes.length > MAX_BYTES) throw new CodedError('payload-too-large', { field: 'file', maxBytes: MAX_BYTES })
  let document: unknown
  try {
    document = JSON.parse(decodeText(bytes))
  } catch {
    // The cause is dropped: a parser quotes its input.
    throw new CodedError('payload-malformed', { field: 'file' })
  }
  return typeof document === 'object' && document !== null && 'signal' in document
    ? parseZzu(document, options)
    : parseWindow(document)
}
