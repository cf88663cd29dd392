/**
 * Character sets by MSH-18 (HL7 table 0211). Without one: UTF-8 when the bytes are valid, else Windows-1252, which most older senders use.
 * @module
 */
import { CodedError, type ErrorCode } from '../../shared/errors.ts'

/** The part of MSH that is needed. */
interface Header {
  repetitions(field: number): readonly string[]
  error(code: ErrorCode, field: number): CodedError
}

/** Two bytes a character, between escape sequences; the bytes include those of HL7's separators. */
const JAPANESE = 'iso-2022-jp'

const ASCII: readonly string[] = ['ASCII', 'ISO IR6']

/** WHATWG labels of HL7's names that are not labels themselves. */
const LABELS: ReadonlyMap<string, string> = new Map([
  ...ASCII.map((name) => [name, 'windows-1252'] as const),
  ['UNICODE', 'utf-8'],
  ['UNICODE UTF-8', 'utf-8'],
  ['ISO IR192', 'utf-8'],
  ['ISO IR13', 'shift_jis'],
  ['ISO IR14', 'shift_jis'],
  ['ISO IR87', JAPANESE],
  ['ISO IR159', JAPANESE],
  ['GB 18030-2000', 'gb18030'],
  ['KS X 1001', 'euc-kr'],
  ['BIG-5', 'big5'],
  ['CNS 11643-1992', 'big5'],
])

/** `8859/1`, as HL7 writes it, and `ISO 8859-1`, `ISO8859-1`. */
const ISO_8859 = /^(?:ISO[ _-]?)?8859[/ _-](\d{1,2})$/

/** `ISO IR100`, and `ISO_IR 100` and `ISO 2022 IR 100`, as DICOM writes it. */
const ISO_IR = /^ISO[ _-]?(?:2022 )?IR[ _-]?(\d{1,3})$/

/**
 * Decodes a message's text. Of several character sets, the first is that of the message, and the others may follow escape sequences; ASCII
 * is a part of them all. Japanese senders leave the first empty: `~ISO IR87`.
 * @throws CodedError `format-unsupported` for an unknown character set, `payload-malformed` for bytes that are invalid in it
 */
export function decodeCharset(bytes: Uint8Array, header: Header): string {
  const names = header
    .repetitions(18)
    .map((each) => each.trim().toUpperCase())
    .filter((each) => each !== '')
  if (names.length === 0) return decodeUtf8(bytes) ?? new TextDecoder('windows-1252').decode(bytes)
  const label = charsetOf(names)
  if (label === undefined) throw header.error('format-unsupported', 18)
  try {
    return new TextDecoder(label, { fatal: true }).decode(bytes)
  } catch {
    throw new CodedError('payload-malformed', { field: 'MSH[0].18' })
  }
}

/** WHATWG's name for the character sets that a text uses together; `undefined` if one is unknown. */
export function charsetOf(names: readonly string[]): string | undefined {
  const labels = names.map(labelOf)
  if (labels.includes(undefined)) return undefined
  const first = names.findIndex((name) => !ASCII.includes(name))
  return labels.includes(JAPANESE) ? JAPANESE : labels[Math.max(0, first)]
}

/** UTF-16 is none: its bytes contain those of the MLLP frame. */
function labelOf(name: string): string | undefined {
  const part = ISO_8859.exec(name)?.[1]
  const registered = ISO_IR.exec(name)?.[1]
  const known = LABELS.get(registered === undefined ? name : `ISO IR${registered}`)
  const label = known ?? (part && `iso-8859-${part}`) ?? (registered && `iso-ir-${registered}`) ?? name
  try {
    const { encoding } = new TextDecoder(label)
    return encoding.startsWith('utf-16') ? undefined : encoding
  } catch {
    return undefined
  }
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}
