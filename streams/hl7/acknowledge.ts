/**
 * Acknowledgements to senders: HL7's original and enhanced mode, with a code of table 0357 and the segment and field at fault.
 * @module
 */
import { type CodedError, type ErrorCode, toCodedError } from '../../shared/errors.ts'
import { escapeText, linesOf, type Message, readHeader, Segment, writeSegment, writeTime } from './message.ts'

/** Outcome for a message: stored, invalid (the sender must correct it), or not accepted here. */
export type Verdict = 'accepted' | 'error' | 'rejected'

/** HL7 table 0357. */
const CODES: Readonly<Partial<Record<ErrorCode, readonly [code: string, text: string]>>> = {
  'payload-empty': ['101', 'Required field missing'],
  'lead-missing': ['101', 'Required field missing'],
  'field-invalid': ['102', 'Data type error'],
  'payload-malformed': ['102', 'Data type error'],
  'unit-unknown': ['103', 'Table value not found'],
  'lead-unknown': ['103', 'Table value not found'],
  'format-unknown': ['103', 'Table value not found'],
  'format-unsupported': ['200', 'Unsupported message type'],
  'origin-foreign': ['204', 'Unknown key identifier'],
  'association-overlap': ['205', 'Duplicate key identifier'],
}
const INTERNAL = ['207', 'Application internal error'] as const

/**
 * Errors that reject a message however often it is sent: another type or version, or more than we read. All others are errors in the
 * message.
 */
const REJECTED: readonly ErrorCode[] = ['format-unsupported', 'payload-too-large', 'origin-foreign']

export interface Acknowledger {
  readonly application: string
  readonly facility: string
  /** Makes the control id of the acknowledgement. */
  readonly controlId: () => string
  readonly now: () => Date
}

/**
 * The answers to a message: one, or in enhanced mode (MSH-15, MSH-16) the accept and the application acknowledgement, as far as the sender
 * wants them. A message is stored before it is answered, so both have the same outcome.
 */
export function acknowledge(message: Message, error: CodedError | undefined, by: Acknowledger): readonly Buffer[] {
  const verdict = verdictOf(error)
  const [accept, application] = [message.header.text(15), message.header.text(16)]
  if (accept === '' && application === '') return [write(message, ORIGINAL[verdict], error, by)]
  const codes = [
    wants(accept || 'NE', verdict) ? COMMIT[verdict] : undefined,
    // A message that was not accepted gets no application acknowledgement, unless there is no other answer.
    wants(application || 'AL', verdict) ? ORIGINAL[verdict] : undefined,
  ]
  return codes.flatMap((code) => (code === undefined ? [] : [write(message, code, error, by)]))
}

/** What a peer says about a message of ours. */
export interface Acknowledgement {
  /** MSA-1: `AA`, `AE`, `AR`, `CA`, … */
  readonly code: string
  /** MSA-2. */
  readonly controlId: string
  /** Code of table 0357, or the peer's own. */
  readonly error: string | undefined
}

/**
 * Reads an acknowledgement; `undefined` for anything else. Peers write less into it than a message needs: no control id of its own, an old
 * version, an unknown character set. One that is not understood would make us send the message for ever.
 */
export function readAcknowledgement(bytes: Uint8Array): Acknowledgement | undefined {
  try {
    const { separators } = readHeader(bytes)
    const segments = linesOf(Buffer.from(bytes).toString('latin1')).map((line, at) => new Segment(line, at, separators))
    const msa = segments.find(({ name }) => name === 'MSA')
    const err = segments.find(({ name }) => name === 'ERR')
    if (msa === undefined) return undefined
    return { code: msa.text(1), controlId: msa.text(2), error: err?.text(3) || err?.text(1, 4) || undefined }
  } catch {
    return undefined
  }
}

/** Answer to input that is not a message. Without a header the recipient is unknown. */
export function acknowledgeBroken(head: Uint8Array, error: CodedError, by: Acknowledger): readonly Buffer[] {
  try {
    return acknowledge(readHeader(head), error, by)
  } catch (cause) {
    const none = toCodedError(cause)
    const time = writeTime(by.now())
    const from = [escapeText(by.application), escapeText(by.facility)]
    const header = `MSH|^~\\&|${from.join('|')}|||${time}||ACK|${by.controlId()}|P|2.5.1||||||UNICODE UTF-8`
    return [encode([header, 'MSA|AR|', errorSegment(error.code === 'payload-too-large' ? error : none, '2.5.1')])]
  }
}

const ORIGINAL = { accepted: 'AA', error: 'AE', rejected: 'AR' } as const
const COMMIT = { accepted: 'CA', error: 'CE', rejected: 'CR' } as const

export function verdictOf(error: CodedError | undefined): Verdict {
  if (error === undefined) return 'accepted'
  return REJECTED.includes(error.code) ? 'rejected' : 'error'
}

/** HL7 table 0155: always, never, on success, on error. */
function wants(condition: string, verdict: Verdict): boolean {
  if (condition === 'NE') return false
  if (condition === 'SU') return verdict === 'accepted'
  if (condition === 'ER') return verdict !== 'accepted'
  return true
}

function write(message: Message, code: string, error: CodedError | undefined, by: Acknowledger): Buffer {
  const { header } = message
  const version = /^2\.\d/.test(message.version) ? message.version : '2.5.1'
  const event = header.text(9, 2)
  const segments = [
    writeSegment('MSH', {
      1: '^~\\&',
      2: escapeText(by.application),
      3: escapeText(by.facility),
      4: escapeText(header.text(3)),
      5: escapeText(header.text(4)),
      6: writeTime(by.now()),
      8: event === '' || version < '2.4' ? 'ACK' : `ACK^${escapeText(event)}^ACK`,
      9: by.controlId(),
      10: escapeText(header.text(11)) || 'P',
      11: version,
      17: 'UNICODE UTF-8',
    }),
    writeSegment('MSA', { 1: code, 2: escapeText(message.controlId), 3: error && version < '2.7' ? error.code : '' }),
  ]
  if (error !== undefined) segments.push(errorSegment(error, version))
  return encode(segments)
}

/** ERR segment for `OBX[4].5`: segment OBX. Its number among segments of the same name is unknown here, so its index among all is used. */
function errorSegment(error: CodedError, version: string): string {
  const [code, text] = CODES[error.code] ?? INTERNAL
  const place = /^([A-Z][A-Z0-9]{2})(?:\[(\d+)\])?(?:\.(\d+))?/.exec(String(error.detail.field ?? ''))
  const [, segment = 'MSH', index, field] = place ?? []
  const sequence = index === undefined ? '1' : String(Number(index) + 1)
  // Our own coded message, without values from the sender.
  const message = escapeText(error.message)
  if (version < '2.5') {
    return writeSegment('ERR', { 1: `${segment}^${sequence}^${field ?? ''}^${code}&${text}&HL70357` })
  }
  return writeSegment('ERR', {
    2: `${segment}^${sequence}^${field ?? ''}`,
    3: `${code}^${text}^HL70357`,
    4: 'E',
    5: `${error.code}^^L`,
    8: message,
  })
}

const encode = (segments: readonly string[]) => Buffer.from(`${segments.join('\r')}\r`, 'utf8')
