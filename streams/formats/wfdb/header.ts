/**
 * The header of a WFDB record (`.hea`), after header(5) of the WFDB Applications Guide, physionet.org/physiotools/wag/header-5.htm.
 * @module
 */
import { RATE_RANGE_HZ } from '../../../shared/domain/recording.ts'
import { CodedError } from '../../../shared/errors.ts'
import { decodeText, type ReadOptions } from '../format.ts'
import { monthByName, utcTime } from '../time.ts'

export interface WfdbHeader {
  readonly rateHz: number
  /** Samples per signal; `undefined` when the header leaves it to the length of the files. */
  readonly samples: number | undefined
  readonly startedAt: string | undefined
  readonly signals: readonly WfdbSignal[]
  /** Text of the comment lines, without `#`. */
  readonly comments: readonly string[]
}

export interface WfdbSignal {
  /** Line number in the header, from 1, for errors. */
  readonly line: number
  readonly fileName: string
  readonly format: number
  readonly samplesPerFrame: number
  readonly skew: number
  readonly byteOffset: number
  /** Digital steps per physical unit; `undefined` or zero when the signal is not calibrated. */
  readonly gain: number | undefined
  readonly unit: string
  /** Digital value of zero volts. */
  readonly baseline: number
  /** Sum of the samples modulo 2^16, unsigned; `undefined` when the header has none. */
  readonly checksum: number | undefined
  readonly description: string
}

/** More signals than any ECG recorder has; limits the size of a hostile header. */
const MAX_SIGNALS = 64

/** Longest line. header(5) has lines of 255 characters. */
const MAX_LINE_LENGTH = 4096

/** header(5): the rate when the record line states none. */
const DEFAULT_RATE_HZ = 250

// Challenge data name the record as its file: `E07500.mat 12 500 5000`.
// RECORD[/SEGMENTS] SIGNALS [RATE[/COUNTER[(BASE)]] [SAMPLES …]]
const RECORD_LINE =
  /^[-\w.]+(?<segments>\/\d+)?\s+(?<signals>\d+)(?:\s+(?<rate>[\d.eE+]+)(?:\/\S*)?)?(?:\s+(?<samples>\d+))?(?<when>(?:\s.*)?)$/

// FORMAT[xSAMPLES][:SKEW][+OFFSET]
const FORMAT_FIELD = /^(?<format>\d+)(?:x(?<samplesPerFrame>\d+))?(?::(?<skew>\d+))?(?:\+(?<byteOffset>\d+))?$/

// GAIN[(BASELINE)][/UNIT]
const GAIN_FIELD = /^(?<gain>[\d.eE+-]+)(?:\((?<baseline>-?\d+)\))?(?:\/(?<unit>\S+))?$/

const INTEGER = /^-?\d+$/

/** Whether a text starts like a header: its first line that is not a comment is a record line. */
export function looksLikeHeader(text: string): boolean {
  const first = text.split(/\r?\n/).find((line) => line.trim() !== '' && !line.startsWith('#'))
  return first !== undefined && first.length <= MAX_LINE_LENGTH && RECORD_LINE.test(first.trim())
}

/** @throws CodedError `payload-malformed` naming the line and field, `format-unsupported`, `rate-unsupported` */
export function parseHeader(bytes: Uint8Array, options: ReadOptions = {}): WfdbHeader {
  const comments: string[] = []
  const lines: { line: number; text: string }[] = []
  for (const [index, raw] of decodeText(bytes).split(/\r?\n/).entries()) {
    if (raw.length > MAX_LINE_LENGTH) throw malformed(index + 1, 'line')
    const text = raw.trim()
    if (text.startsWith('#')) comments.push(text.slice(1).trim())
    else if (text !== '') lines.push({ line: index + 1, text })
  }
  const [record, ...rest] = lines
  if (record === undefined) throw new CodedError('payload-empty', { field: 'header' })
  const fields = RECORD_LINE.exec(record.text)?.groups
  if (fields === undefined) throw malformed(record.line, 'record')
  if (fields.segments !== undefined)
    throw new CodedError('format-unsupported', { line: record.line, field: 'segments' })
  const count = Number(fields.signals)
  if (count < 1 || count > MAX_SIGNALS || rest.length < count) throw malformed(record.line, 'signals')
  const rateHz = options.rateHz ?? (fields.rate === undefined ? DEFAULT_RATE_HZ : Number(fields.rate))
  if (!(rateHz >= RATE_RANGE_HZ.min && rateHz <= RATE_RANGE_HZ.max))
    throw new CodedError('rate-unsupported', { line: record.line, field: 'rate', ...RATE_RANGE_HZ })
  return {
    rateHz,
    samples: Number(fields.samples ?? 0) || undefined,
    startedAt: startTime(fields.when ?? ''),
    signals: rest.slice(0, count).map(({ line, text }) => parseSignal(line, text)),
    comments,
  }
}

function parseSignal(line: number, text: string): WfdbSignal {
  const [fileName = '', format = '', gain = '', ...rest] = text.split(/\s+/)
  const formatFields = FORMAT_FIELD.exec(format)?.groups
  if (formatFields === undefined) throw malformed(line, 'format')
  // Fields after the format are optional, but only from the end.
  const gainFields = gain === '' ? {} : GAIN_FIELD.exec(gain)?.groups
  if (gainFields === undefined) throw malformed(line, 'gain')
  const [, zero, , checksum, , ...description] = rest
  return {
    line,
    fileName,
    format: Number(formatFields.format),
    samplesPerFrame: Number(formatFields.samplesPerFrame ?? 1),
    skew: Number(formatFields.skew ?? 0),
    byteOffset: Number(formatFields.byteOffset ?? 0),
    gain: gainFields.gain === undefined ? undefined : Number(gainFields.gain),
    unit: gainFields.unit ?? 'mV',
    baseline: int32(gainFields.baseline ?? zero ?? '0', line, 'baseline'),
    checksum: checksum === undefined ? undefined : int32(checksum, line, 'checksum') & 0xffff,
    description: description.join(' '),
  }
}

function int32(text: string, line: number, field: string): number {
  const value = Number(text)
  if (!INTEGER.test(text) || value !== (value | 0)) throw malformed(line, field)
  return value
}

const malformed = (line: number, field: string) => new CodedError('payload-malformed', { line, field })

const matched = (pattern: RegExp, word: string) => [pattern.exec(word)].filter((match) => match !== null)

/**
 * The start as ISO 8601, read as UTC; `undefined` unless both time and date are present and valid. Standard is `08:27:38 16/01/1985`;
 * CPSC2018 in the CinC 2021 challenge has `12-May-2020 12:33:59`.
 */
function startTime(text: string): string | undefined {
  const words = text.trim().split(/\s+/)
  const [time] = words.flatMap((word) => matched(/^(\d{1,2}):(\d{2}):(\d{2})(?:\.(\d+))?$/, word))
  const [date] = words.flatMap((word) => matched(/^(\d{1,2})([/-])(\d{1,2}|[A-Za-z]{3})\2(\d{4})$/, word))
  if (time === undefined || date === undefined) return undefined
  return utcTime({
    year: Number(date[4]),
    month: monthByName(date[3]!) || Number(date[3]),
    day: Number(date[1]),
    hour: Number(time[1]),
    minute: Number(time[2]),
    second: Number(time[3]),
    millisecond: Number((time[4] ?? '').slice(0, 3).padEnd(3, '0')),
  })
}
