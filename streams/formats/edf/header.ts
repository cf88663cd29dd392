/**
 * The header of an EDF, EDF+ or BDF file: Kemp et al. 1992; EDF+ specification, edfplus.info/specs/edfplus.html;
 * BDF, biosemi.com/faq/file_format.htm.
 * @module
 */
import { ByteReader, latin1 } from '../byte-reader.ts'

export interface EdfHeader {
  /** Of a sample: 2 in EDF, 3 in BDF. */
  readonly sampleBytes: 2 | 3
  /** `EDF+C`, `EDF+D` (with gaps) or either of BDF; empty in plain EDF. */
  readonly variant: string
  readonly patient: string
  readonly recording: string
  /** dd.mm.yy */
  readonly date: string
  /** hh.mm.ss */
  readonly time: string
  readonly headerBytes: number
  /** Undefined when the header leaves it to the length of the file. */
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
  /** Samples before this signal's in a record. */
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
  // The length of the header is book-keeping: a date where one stands is as good.
  const [headerBytes, signals] = [latin1(bytes.subarray(184, 192)), latin1(bytes.subarray(252, 256))]
  const isDated = /^\d\d?\.\d\d?\.\d\d$/.test(latin1(bytes.subarray(168, 176)))
  return Number(signals) > 0 && (isDated || Number(headerBytes) === FIXED_BYTES + SIGNAL_BYTES * Number(signals))
}

/**
 * Ranges that are no numbers are NaN.
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
  // How many records there are, the file's length says as well: a count that is none is not missed.
  const isCount = Number.isInteger(fixed.records) && fixed.records > 0
  return {
    ...fixed,
    headerBytes: FIXED_BYTES + SIGNAL_BYTES * count,
    records: isCount ? fixed.records : undefined,
    signals: readSignals(reader, count),
  }
}

/** Each field stands for all signals before the next field does. */
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

/** NaN for what is no number: a bad field of one channel is of no matter to the others. */
function number(reader: ByteReader, length: number, field: string): number {
  const text = reader.text(length, field).replace(',', '.')
  return /^[-+]?[\d.]+(?:e[-+]?\d+)?$/i.test(text) ? Number(text) : Number.NaN
}
