/**
 * Character sets by MSH-18 (HL7 table 0211). Without one: UTF-8 when the bytes are valid, else Windows-1252, which most older senders use.
 * @module
 */
import { CodedError, type ErrorCode } from '../../shared/errors.ts'

/** The part of MSH that is needed. */
interface Header {
  text(field: number): string
  error(code: ErrorCode, field: number): CodedError
}

const LABELS: ReadonlyMap<string, string> = new Map([
  ['ASCII', 'windows-1252'],
  ['UNICODE UTF-8', 'utf-8'],
  ['UTF-8', 'utf-8'],
  ['UTF8', 'utf-8'],
  ['UNICODE UTF-16', 'utf-16be'],
  ['ISO IR14', 'shift_jis'],
  ['ISO IR87', 'iso-2022-jp'],
  ['ISO IR159', 'iso-2022-jp'],
  ['GB 18030-2000', 'gb18030'],
  ['KS X 1001', 'euc-kr'],
  ['BIG-5', 'big5'],
  ['CNS 11643-1992', 'big5'],
  ...Array.from({ length: 16 }, (_, part) => [`8859/${part + 1}`, `iso-8859-${part + 1}`] as const),
  ...Array.from({ length: 16 }, (_, part) => [`ISO-8859-${part + 1}`, `iso-8859-${part + 1}`] as const),
])

/**
 * Decodes a message's text.
 * @throws CodedError `format-unsupported` for an unknown character set, `payload-malformed` for bytes that are invalid in it
 */
export function decodeCharset(bytes: Uint8Array, header: Header): string {
  const stated = header.text(18).trim().toUpperCase()
  if (stated === '') return decodeUtf8(bytes) ?? new TextDecoder('windows-1252').decode(bytes)
  const label = LABELS.get(stated)
  if (label === undefined) throw header.error('format-unsupported', 18)
  try {
    return new TextDecoder(label, { fatal: true }).decode(bytes)
  } catch {
    throw new CodedError('payload-malformed', { field: 'MSH[0].18' })
  }
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}
