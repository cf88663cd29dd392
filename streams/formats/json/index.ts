/**
 * JSON in one of two forms: our own, which is that of a window on MQTT (`streams/mqtt/ecg.proto`) of any length with the person added; and
 * the JSON edition of the ZZU pECG data set.
 * @module
 */

import type { Recording } from '../../../shared/domain/recording.ts'
import type { Format, ReadOptions } from '../format.ts'
import { fieldNames, parseJson, startsJson } from '../json-text.ts'
import { parseWindow, WINDOW_FIELDS } from './window.ts'
import { parseZzu } from './zzu.ts'

export const json: Format = {
  name: 'json',
  // One field of an ECG is enough: what else is missing or wrong is an error that names it.
  detects: (bytes) => startsJson(bytes) && fieldNames(bytes).some((name) => ECG_FIELDS.has(name)),
  parse: (main, _others, options) => parse(main.bytes, options),
}

const ECG_FIELDS: ReadonlySet<string> = new Set([...WINDOW_FIELDS, 'signal'])

/** @throws CodedError those of `parseJson` and of the form */
function parse(bytes: Uint8Array, options: ReadOptions = {}): Recording {
  const document = parseJson(bytes)
  return typeof document === 'object' && document !== null && 'signal' in document
    ? parseZzu(document, options)
    : parseWindow(document, options)
}
