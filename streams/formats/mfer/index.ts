/**
 * MFER, the medical waveform format encoding rules (ISO 22077-1), as Japanese electrocardiographs and monitors write it.
 * @module
 */
import type { LeadName } from '../../../shared/domain/leads.ts'
import {
  checkDuration,
  checkRecording,
  MISSING_SAMPLE,
  type Person,
  RATE_RANGE_HZ,
  type RecordedLead,
  type Recording,
} from '../../../shared/domain/recording.ts'
import { CodedError } from '../../../shared/errors.ts'
import { type ByteReader, latin1 } from '../byte-reader.ts'
import { type Format, refuseDuplicates } from '../format.ts'
import { leadOfScpCode } from '../lead-codes.ts'
import { plausiblePerson } from '../person.ts'
import { utcTime, yearsBetween } from '../time.ts'
import { type ChannelAttributes, type MferFile, readAttributes } from './attributes.ts'

/** The tag of a preamble, its length 32, and how each begins. */
const PREAMBLE = '@ MFR '

export const mfer: Format = {
  name: 'mfer',
  detects: (bytes) => latin1(bytes.subarray(0, PREAMBLE.length + 1)).startsWith(PREAMBLE.trim()),
  parse: (main) => parse(main.bytes),
}

/** Bytes of a sample, by data type. */
const SAMPLE_BYTES: ReadonlyMap<number, number> = new Map([
  [0, 2],
  [1, 2],
  [2, 4],
  [3, 1],
  [4, 2],
  [5, 1],
  [6, 4],
  [7, 4],
  [8, 8],
  [9, 1],
])

/** The types that a lead may have: whole numbers. The others are status words, fractions, and AHA's differences. */
const READERS: ReadonlyMap<number, (view: DataView, at: number, littleEndian: boolean) => number> = new Map([
  [0, (view, at, littleEndian) => view.getInt16(at, littleEndian)],
  [1, (view, at, littleEndian) => view.getUint16(at, littleEndian)],
  [2, (view, at, littleEndian) => view.getInt32(at, littleEndian)],
  [3, (view, at) => view.getUint8(at)],
  [5, (view, at) => view.getInt8(at)],
])

/** A channel that is one of the twelve leads. */
interface LeadChannel {
  readonly name: LeadName
  readonly attributes: ChannelAttributes
  /** First byte of its block in a sequence. */
  readonly at: number
}

const MICROVOLTS_PER_VOLT = 1e6

/**
 * Channels that are no standard lead are left out.
 * @throws CodedError `payload-malformed`, `payload-too-large`, `format-unsupported` (compression, offset, several frames, rates or data
 *   types), `lead-unknown`, `rate-unsupported`, `gain-invalid`, and those of `checkRecording`
 */
export function parse(bytes: Uint8Array): Recording {
  const file = readAttributes(bytes)
  const [waveform, ...more] = file.waveforms
  if (waveform === undefined) throw new CodedError('payload-empty', { field: 'waveform' })
  if (more.length > 0) throw new CodedError('format-unsupported', { field: 'frames' })
  const { channels, sequenceBytes } = placeChannels(file)
  const [first] = channels
  if (first === undefined) throw new CodedError('lead-unknown', { field: 'lead' })
  refuseDuplicates(channels, 'lead')
  const { rateHz = Number.NaN, blockLength = 1 } = first.attributes
  if (!(rateHz >= RATE_RANGE_HZ.min && rateHz <= RATE_RANGE_HZ.max))
    throw new CodedError('rate-unsupported', { field: 'interval', ...RATE_RANGE_HZ })
  for (const { attributes } of channels) {
    if (attributes.rateHz !== rateHz || (attributes.blockLength ?? 1) !== blockLength)
      throw new CodedError('format-unsupported', { field: 'interval' })
  }
  const sequences = file.sequences ?? Math.floor(waveform.remaining / sequenceBytes)
  checkDuration(sequences * blockLength, rateHz, 'sequences')
  const data = waveform.bytes(sequences * sequenceBytes, 'waveform')
  const startedAt = startOf(file.time)
  return checkRecording({
    format: 'mfer',
    rateHz,
    leads: channels.map((channel) =>
      readLead(channel, { data, sequences, sequenceBytes, littleEndian: file.littleEndian }),
    ),
    startedAt,
    person: personOf(file, startedAt),
  })
}

function placeChannels({ channels }: MferFile): { channels: LeadChannel[]; sequenceBytes: number } {
  const leads: LeadChannel[] = []
  let at = 0
  for (const attributes of channels) {
    const { leadCode, dataType = 0, blockLength = 1, compression = 0 } = attributes
    const sampleBytes = SAMPLE_BYTES.get(dataType)
    if (sampleBytes === undefined) throw new CodedError('format-unsupported', { field: 'dataType' })
    if (compression !== 0) throw new CodedError('format-unsupported', { field: 'compression' })
    const name = leadCode === undefined ? undefined : leadOfScpCode(leadCode)
    if (name !== undefined) {
      if (!READERS.has(dataType)) throw new CodedError('format-unsupported', { field: 'dataType' })
      leads.push({ name, attributes, at })
    }
    at += blockLength * sampleBytes
  }
  return { channels: leads, sequenceBytes: at }
}

interface Blocks {
  /** [sequences][channels][samples] */
  readonly data: Uint8Array
  readonly sequences: number
  readonly sequenceBytes: number
  readonly littleEndian: boolean
}

function readLead({ name, attributes, at }: LeadChannel, blocks: Blocks): RecordedLead {
  const { dataType = 0, blockLength = 1, resolutionV = Number.NaN, nullValue, offset } = attributes
  const read = READERS.get(dataType)!
  // Whether it is to be added or taken off the standard leaves to the reader.
  if (offset?.some((byte) => byte !== 0)) throw new CodedError('format-unsupported', { field: 'offset' })
  const gainUv = resolutionV * MICROVOLTS_PER_VOLT
  if (!(gainUv > 0)) throw new CodedError('gain-invalid', { field: 'resolution' })
  const { data, sequences, sequenceBytes, littleEndian } = blocks
  const sampleBytes = SAMPLE_BYTES.get(dataType)!
  const none = nullValue?.length === sampleBytes ? read(viewOf(nullValue), 0, littleEndian) : undefined
  const view = viewOf(data)
  const samples = new Int32Array(sequences * blockLength)
  for (let sequence = 0, i = 0; sequence < sequences; sequence++) {
    const start = sequence * sequenceBytes + at
    for (let sample = 0; sample < blockLength; sample++, i++) {
      const value = read(view, start + sample * sampleBytes, littleEndian)
      samples[i] = value === none ? MISSING_SAMPLE : value
    }
  }
  return { name, gainUv, samples }
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

function startOf(time: ByteReader | undefined): string | undefined {
  if (time === undefined) return undefined
  const field = 'time'
  const start = {
    year: time.u16(field),
    month: time.u8(field),
    day: time.u8(field),
    hour: time.u8(field),
    minute: time.u8(field),
    second: time.u8(field),
  }
  return utcTime({ ...start, millisecond: time.remaining >= 2 ? time.u16(field) : 0 })
}

const UNKNOWN_AGE = 0xff

/** Age in years and days, then the date of birth. */
function personOf({ sex, age }: MferFile, startedAt: string | undefined): Person | undefined {
  const years = age === undefined || age.remaining < 1 ? UNKNOWN_AGE : age.u8('age')
  let birth: string | undefined
  if (age !== undefined && age.remaining >= 6) {
    age.skip(2, 'age')
    birth = utcTime({ year: age.u16('age'), month: age.u8('age'), day: age.u8('age') })
  }
  return plausiblePerson({
    sex: sex === 1 ? 'male' : sex === 2 ? 'female' : undefined,
    ageYears:
      years !== UNKNOWN_AGE
        ? years
        : birth === undefined || startedAt === undefined
          ? undefined
          : yearsBetween(birth, startedAt),
  })
}
