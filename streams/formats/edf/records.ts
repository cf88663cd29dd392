/**
 * The data records of an EDF file: their positions, and when they were recorded.
 * @module
 */
import { checkDuration } from '../../../shared/domain/recording.ts'
import { CodedError } from '../../../shared/errors.ts'
import { latin1 } from '../byte-reader.ts'
import type { EdfHeader, EdfSignal } from './header.ts'

export interface EdfRecords {
  /** [records][signals][samples] */
  readonly bytes: Uint8Array
  readonly recordBytes: number
  /** First sample of each record, relative to the first record. */
  readonly starts: readonly number[]
  /** Samples from the start of the first record to the end of the last, including gaps. */
  readonly length: number
  /** Start of the first record after that of the header, s. */
  readonly onsetS: number
  /** Whether a record is missing or truncated, or an incomplete record follows the last one. */
  readonly isCut: boolean
}

/**
 * Locates the complete records.
 * @throws CodedError `payload-malformed`, `payload-empty`, `payload-too-large`
 */
export function locateRecords(
  file: Uint8Array,
  header: EdfHeader,
  samplesPerRecord: number,
  rateHz: number,
): EdfRecords {
  const { sampleBytes, signals, headerBytes } = header
  const recordBytes = sampleBytes * signals.reduce((sum, signal) => sum + signal.samplesPerRecord, 0)
  const bytes = file.subarray(headerBytes)
  const whole = Math.floor(bytes.length / recordBytes)
  const count = Math.min(header.records ?? whole, whole)
  if (count === 0) throw new CodedError('payload-empty', { field: 'records' })
  checkDuration(count * samplesPerRecord, rateHz, 'records')
  const annotations = header.variant.includes('+') ? signals.find(isAnnotation) : undefined
  const onset = (record: number) => onsetOf(bytes, record * recordBytes, header, annotations)
  const onsetS = isInterrupted(header) ? required(onset(0)) : (onset(0) ?? 0)
  const starts = Array.from({ length: count }, (_, record) =>
    isInterrupted(header) ? Math.round((required(onset(record)) - onsetS) * rateHz) : record * samplesPerRecord,
  )
  const overlap = starts.findIndex((start, record) => record > 0 && !(start >= starts[record - 1]! + samplesPerRecord))
  if (overlap >= 0) throw new CodedError('payload-malformed', { field: 'onset', record: overlap })
  const length = (starts.at(-1) ?? -samplesPerRecord) + samplesPerRecord
  checkDuration(length, rateHz, 'records')
  const isCut = header.records === undefined ? whole * recordBytes < bytes.length : count < header.records
  return { bytes, recordBytes, starts, length, onsetS, isCut }
}

/** EDF+D: there may be gaps between records. */
const isInterrupted = ({ variant }: EdfHeader) => /^[EB]DF\+D/.test(variant)

export const isAnnotation = ({ label }: EdfSignal) => label === 'EDF Annotations' || label === 'BDF Annotations'

/** Ends the time of an annotation, and each of its texts. */
const SEPARATOR = '\u0014'

/** EDF+ 2.2.4: the first annotation of each record states its start, as `+1.5` before two separators. */
function onsetOf(
  bytes: Uint8Array,
  at: number,
  { sampleBytes }: EdfHeader,
  annotations: EdfSignal | undefined,
): number | undefined {
  if (annotations === undefined) return undefined
  const start = at + annotations.firstSample * sampleBytes
  const text = latin1(bytes.subarray(start, start + annotations.samplesPerRecord * sampleBytes))
  const [onset = '', ...texts] = text.split(SEPARATOR)
  return texts[0] === '' && /^[+-]\d{1,9}(?:\.\d+)?$/.test(onset) ? Number(onset) : undefined
}

function required(onset: number | undefined): number {
  if (onset === undefined) throw new CodedError('payload-malformed', { field: 'onset' })
  return onset
}
