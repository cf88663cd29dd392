/**
 * An HL7 v2 message as segments, fields, repetitions, components and subcomponents, with the separators that its sender declares.
 *
 * Our own implementation: `@medplum/hl7` has no limit on a message's size, no TLS, and acknowledges before a message can be stored;
 * `@medplum/core`, which splits a message as this file does, takes 22 MB of memory and leaves escapes unresolved.
 * @module
 */
import { CodedError } from '../../shared/errors.ts'
import { decodeCharset } from './charsets.ts'

export interface Separators {
  readonly field: string
  readonly component: string
  readonly repetition: string
  readonly escaping: string
  readonly subcomponent: string
}

/** Separators of nearly all senders, and those that we write. */
const STANDARD: Separators = { field: '|', component: '^', repetition: '~', escaping: '\\', subcomponent: '&' }

/** Supported versions. The segments that we read are compatible in all of them. */
const VERSION = /^2\.[3-8](?:\.\d)?(?:\.\d)?$/

/** A waveform of ten minutes has twelve OBX, a device's panel some hundreds. */
const MAX_SEGMENTS = 10_000

export class Segment {
  readonly name: string
  /** Index in the message, from 0. */
  readonly index: number
  readonly #fields: readonly string[]
  readonly #separators: Separators

  constructor(text: string, index: number, separators: Separators) {
    const fields = text.split(separators.field)
    this.name = fields[0]!
    this.index = index
    this.#separators = separators
    // MSH-1 is the separator itself.
    this.#fields = this.name === 'MSH' ? ['MSH', separators.field, ...fields.slice(1)] : fields
  }

  /** A field as it was sent, with escapes; empty when absent. HL7's `""` (delete) counts as empty. */
  raw(field: number): string {
    const text = this.#fields[field] ?? ''
    return text === '""' ? '' : text
  }

  /** Every repetition of a field, as it was sent. */
  repetitions(field: number): readonly string[] {
    const text = this.raw(field)
    return text === '' ? [] : text.split(this.#separators.repetition)
  }

  /** A component with escapes resolved; by default its first subcomponent. Counted from 1. */
  text(field: number, component = 1, subcomponent = 1, repetition = 1): string {
    const whole = this.raw(field).split(this.#separators.repetition)[repetition - 1] ?? ''
    return this.part(whole, component, subcomponent)
  }

  /** A component of a repetition from `repetitions`. */
  part(whole: string, component: number, subcomponent = 1): string {
    const parts = (whole.split(this.#separators.component)[component - 1] ?? '').split(this.#separators.subcomponent)
    const part = resolveEscapes(parts[subcomponent - 1] ?? '', this.#separators)
    return part === '""' ? '' : part
  }

  /** Every component of a repetition, with escapes resolved and subcomponents not split. */
  components(whole: string): readonly string[] {
    return whole.split(this.#separators.component).map((part) => resolveEscapes(part, this.#separators))
  }

  /** An error that names this segment and a field. */
  error(code: CodedError['code'], field: number, detail: Readonly<Record<string, string | number>> = {}): CodedError {
    return new CodedError(code, { field: `${this.name}[${this.index}].${field}`, ...detail })
  }
}

export class Message {
  readonly separators: Separators
  readonly segments: readonly Segment[]

  constructor(separators: Separators, segments: readonly Segment[]) {
    this.separators = separators
    this.segments = segments
  }

  get header(): Segment {
    return this.segments[0]!
  }

  /** For example `ORU^R01`. */
  get type(): string {
    return `${this.header.text(9, 1)}^${this.header.text(9, 2)}`
  }

  get controlId(): string {
    return this.header.text(10)
  }

  get version(): string {
    return this.header.text(12)
  }

  first(name: string): Segment | undefined {
    return this.segments.find((segment) => segment.name === name)
  }

  all(name: string): readonly Segment[] {
    return this.segments.filter((segment) => segment.name === name)
  }
}

/**
 * Parses a message without its MLLP frame.
 * @throws CodedError `payload-malformed` (no MSH, invalid separators, a segment without a name, a second message), `format-unsupported`
 * (character set, version, a batch, a message in several parts), `field-invalid` (no control id), `payload-too-large` (segments)
 */
export function parseMessage(marked: Uint8Array): Message {
  const bytes = withoutMark(marked)
  const message = readHeader(bytes)
  const { separators, header } = message
  if (header.text(10) === '') throw header.error('field-invalid', 10)
  if (header.text(9) === '') throw header.error('field-invalid', 9)
  if (!VERSION.test(header.text(12))) throw header.error('format-unsupported', 12)
  const text = decodeCharset(bytes, header)
  const lines = withContinuations(linesOf(text), separators)
  if (lines.length > MAX_SEGMENTS) {
    throw new CodedError('payload-too-large', { field: 'segments', maxSegments: MAX_SEGMENTS })
  }
  const segments = lines.map((line, index) => {
    const segment = new Segment(line, index, separators)
    if (!SEGMENT_NAME.test(segment.name)) throw new CodedError('payload-malformed', { field: `segment[${index}]` })
    // With the first message's patient, the second one's ECG would be another person's.
    if (segment.name === 'MSH' && index > 0) throw new CodedError('payload-malformed', { field: `MSH[${index}]` })
    // The rest is in another segment or message, so that a file would be read in part.
    if (segment.name === 'ADD' || (segment.name === 'DSC' && segment.raw(1) !== '')) {
      throw segment.error('format-unsupported', 1)
    }
    return segment
  })
  return new Message(separators, segments)
}

const SEGMENT_NAME = /^[A-Z][A-Z0-9]{2}$/

/**
 * Puts lines together that a sender broke within a file or text (OBX-5), as in base64: a line continues an OBX that ends there, unless it
 * begins as a segment.
 */
function withContinuations(lines: readonly string[], { field }: Separators): readonly string[] {
  const whole: string[][] = []
  let isOpen = false
  for (const line of lines) {
    const name = line.split(field, 1)[0]!
    const isSegment = SEGMENT_NAME.test(name)
    if (isOpen && !isSegment) whole.at(-1)!.push(line)
    else whole.push([line])
    const fields = line.split(field, OBX_VALUE + 2)
    if (isSegment) isOpen = name === 'OBX' && BROKEN_TYPES.includes(fields[2] ?? '') && fields.length === OBX_VALUE + 1
    else isOpen &&= fields.length === 1
  }
  return whole.map((parts) => parts.join('\n'))
}

const OBX_VALUE = 5

const BROKEN_TYPES = ['ED', 'ST', 'TX', 'FT']

/** Without a byte order mark of UTF-8. */
const withoutMark = (bytes: Uint8Array): Uint8Array =>
  bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes

/**
 * Reads only the header, as Latin-1: enough to answer a message that cannot be read otherwise.
 * @throws CodedError `payload-empty`, `payload-malformed`, `format-unsupported` for a batch
 */
export function readHeader(marked: Uint8Array): Message {
  const bytes = withoutMark(marked)
  if (bytes.length === 0) throw new CodedError('payload-empty', { field: 'MSH' })
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, HEADER_BYTES)).toString('latin1')
  const [line = ''] = linesOf(head)
  const batch = /^[FB]HS/.exec(line)?.[0]
  if (batch !== undefined) throw new CodedError('format-unsupported', { field: `${batch}[0]` })
  if (!line.startsWith('MSH') || line.length < 9) throw new CodedError('payload-malformed', { field: 'MSH' })
  const separators = separatorsOf(line)
  return new Message(separators, [new Segment(line, 0, separators)])
}

const HEADER_BYTES = 4096

/** Segments end with CR; some senders write LF or both. */
export const linesOf = (text: string): string[] =>
  text
    .split(/\r\n|\r|\n/)
    .map((line) => line.trimStart())
    .filter((line) => line !== '')

function separatorsOf(line: string): Separators {
  const field = line[3]!
  const [component, repetition, escaping = STANDARD.escaping, subcomponent = STANDARD.subcomponent] =
    line.slice(4).split(field)[0] ?? ''
  const all = [field, component, repetition, escaping, subcomponent]
  const isValid = all.every((each) => each !== undefined && /^[\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e]$/.test(each))
  if (!isValid || new Set(all).size !== all.length) throw new CodedError('payload-malformed', { field: 'MSH[0].2' })
  return { field, component: component!, repetition: repetition!, escaping, subcomponent }
}

/** https://www.hl7.org/implement/standards/product_brief.cfm?product_id=185, chapter 2.7 */
function resolveEscapes(text: string, { field, component, repetition, escaping, subcomponent }: Separators): string {
  if (!text.includes(escaping)) return text
  const meanings: Readonly<Record<string, string>> = {
    F: field,
    S: component,
    R: repetition,
    E: escaping,
    T: subcomponent,
    '.br': '\n',
  }
  let out = ''
  for (let at = 0; at < text.length; ) {
    const end = text[at] === escaping ? text.indexOf(escaping, at + 1) : -1
    if (end < 0) {
      out += text[at++]
      continue
    }
    const name = text.slice(at + 1, end)
    const hex = /^X((?:[0-9A-Fa-f]{2})+)$/.exec(name)?.[1]
    // Highlighting and local escapes have no text.
    out += meanings[name] ?? (hex === undefined ? '' : Buffer.from(hex, 'hex').toString('latin1'))
    at = end + 1
  }
  return out
}

/** Escapes a text for a component: separators and line ends are escaped, other control characters removed. */
export function escapeText(text: string): string {
  return text
    .replace(/[\\|^~&]/g, (each) => `\\${{ '\\': 'E', '|': 'F', '^': 'S', '~': 'R', '&': 'T' }[each]}\\`)
    .replace(/\r\n|\r|\n/g, '\\.br\\')
    .replace(/\p{Cc}/gu, '')
}

/** Writes a segment from its fields, counted from 1; their content is not escaped. */
export function writeSegment(name: string, fields: Readonly<Record<number, string | undefined>>): string {
  const last = Math.max(0, ...Object.keys(fields).map(Number))
  const values = Array.from({ length: last }, (_, index) => fields[index + 1] ?? '')
  return withoutTrailing(`${name}|${values.join('|')}`, '|')
}

/** Removes separators at the end of a text. */
export function withoutTrailing(text: string, separator: '|' | '^'): string {
  let end = text.length
  while (text[end - 1] === separator) end--
  return text.slice(0, end)
}

/** A time in HL7's notation, in UTC with its zone, to the millisecond. */
export function writeTime(at: Date): string {
  return `${at.toISOString().replace(/[-:TZ]/g, '')}+0000`
}
