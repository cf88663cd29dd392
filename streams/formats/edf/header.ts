/**
 * The header of an EDF, EDF+ or BDF file: Kemp et al. 1992; EDF+ specification, edfplus.info/specs/edfplus.html;
 * BDF, biosemi.com/faq/file_format.htm.
 * @module
 */
import { ByteReader, latin1 } from '../byte-reader.ts'

export interface EdfHeader {
  /** Bytes per sample: 2 in EDF, 3 in BDF. */
  readonly sampleBytes: 2 | 3
  /** `EDF+C`, `EDF+D` (with gaps), or the BDF equivalents; empty in plain EDF. */
  readonly variant: string
  readonly patient: string
  readonly recording: string
  /** dd.mm.yy */
  readonly date: string
  /** hh.mm.ss */
  readonly time: string
  readonly headerBytes: number
  /** `undefined` when the header leaves it to the file's length. */
  readonly records: number | undefined
  readonly recordSeconds: number
  readonly signals: readonly EdfSignal[]
}

export interface EdfSignal {
  readonly label: string
  readonly unit: string
  readonly physical: Range
  readonly digital: Range
  readonly samplesPerRecord: number
  /** Samples of a record before this signal's. */
  readonly firstSample: number
}

export interface Range {
  readonly min: number
  readonly max: number
}

const FIXED_BYTES = 256
const SIGNAL_BYTES = 256
const BIOSEMI = '\xffBIOSEMI'

export function looksLikeEdf(bytes: Uint8Array): boolean {
  const version = latin1(bytes.subarray(0, 8))
  if (version !== '0' && version !== BIOSEMI) return false
  // The stated length of the header is not essential: a valid date identifies the format as well.
  const [headerBytes, signals] = [latin1(bytes.subarray(184, 192)), latin1(bytes.subarray(252, 256))]
  const isDated = /^\d\d?\.\d\d?\.\d\d$/.test(latin1(bytes.subarray(168, 176)))
  return Number(signals) > 0 && (isDated || Number(headerBytes) === FIXED_BYTES + SIGNAL_BYTES * Number(signals))
}

/**
 * Parses the header. Ranges that are not numbers are NaN.
 * @throws CodedError `payload-malformed` naming the field
 */
export function parseHeader(bytes: Uint8Array): EdfHeader {
  const reader = new ByteReader(bytes)
  const version = reader.text(8, 'version')
  const fixed = {
    sampleBytes: version === BIOSEMI ? (3 as const) : (2 as const),
    patient: reader.text(80, 'patient'),
    recording: reader.text(80, 'recording'),
    date: reader.text(8, 'date'),
    time: reader.text(8, 'time'),
    headerBytes: reader.text(8, 'headerBytes'),
    variant: reader.text(44, 'variant'),
    records: number(reader, 8, 'records'),
    recordSeconds: number(reader, 8, 'recordSeconds'),
  }
  const count = number(reader, 4, 'signals')
  if (!(Number.isInteger(count) && count > 0)) throw reader.malformed('signals')
  // The file's length also gives the number of records, so an invalid count does no harm.
  const isCount = Number.isInteger(fixed.records) && fixed.records > 0
  return {
    ...fixed,
    headerBytes: FIXED_BYTES + SIGNAL_BYTES * count,
    records: isCount ? fixed.records : undefined,
    signals: readSignals(reader, count),
  }
}

/** Each field is stored for all signals before the next field. */
function readSignals(reader: ByteReader, count: number): EdfSignal[] {
  if (reader.remaining < count * SIGNAL_BYTES) throw reader.malformed('signals')
  const texts = (length: number, field: string) => Array.from({ length: count }, () => reader.text(length, field))
  const numbers = (length: number, field: string) => Array.from({ length: count }, () => number(reader, length, field))
  const labels = texts(16, 'label')
  reader.skip(80 * count, 'transducer')
  const units = texts(8, 'unit')
  const [physicalMin, physicalMax] = [numbers(8, 'physicalMin'), numbers(8, 'physicalMax')]
  const [digitalMin, digitalMax] = [numbers(8, 'digitalMin'), numbers(8, 'digitalMax')]
  reader.skip(80 * count, 'prefilter')
  const samplesPerRecord = numbers(8, 'samplesPerRecord')
  let firstSample = 0
  return labels.map((label, i) => {
    const samples = samplesPerRecord[i]!
    if (!(Number.isInteger(samples) && samples >= 0)) throw reader.malformed('samplesPerRecord')
    const signal = {
      label,
      unit: units[i]!,
      physical: { min: physicalMin[i]!, max: physicalMax[i]! },
      digital: { min: digitalMin[i]!, max: digitalMax[i]! },
      samplesPerRecord: samples,
      firstSample,
    }
    firstSample += samples
    return signal
  })
}

/** NaN for text that is not a number: an invalid field of one channel does not affect the others. */
function number(reader: ByteReader, length: number, field: string): number {
  const text = reader.text(length, field).replace(',', '.')
  return /^[-+]?[\d.]+(?:e[-+]?\d+)?$/i.test(text) ? Number(text) : Number.NaN
}
