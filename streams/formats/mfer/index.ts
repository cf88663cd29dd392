/**
 * MFER, the medical waveform format encoding rules (ISO 22077-1), as written by Japanese electrocardiographs and monitors.
 * @module
 */
import type { LeadName } from '../../../shared/domain/leads.ts'
import {
  checkDuration,
  checkRecording,
  type Person,
  RATE_RANGE_HZ,
  type RecordedLead,
  type Recording,
} from '../../../shared/domain/recording.ts'
import type { ResultWarning } from '../../../shared/domain/warnings.ts'
import { CodedError } from '../../../shared/errors.ts'
import { type ByteReader, latin1 } from '../byte-reader.ts'
import { leadsAmong, readableLeads, said } from '../channels.ts'
import type { Format, ReadOptions } from '../format.ts'
import { leadOfScpCode } from '../lead-codes.ts'
import { ageAt, plausiblePerson } from '../person.ts'
import { withoutSentinel } from '../sentinel.ts'
import { utcTime } from '../time.ts'
import { microvolts } from '../units.ts'
import { type ChannelAttributes, type MferFile, readAttributes } from './attributes.ts'

/** The preamble's tag, its length (32), and its first characters. */
const PREAMBLE = '@ MFR '

export const mfer: Format = {
  name: 'mfer',
  detects: (bytes) => latin1(bytes.subarray(0, PREAMBLE.length + 1)).startsWith(PREAMBLE.trim()),
  parse: (main, _others, options) => parse(main.bytes, options),
}

/** Bytes per sample, by data type. */
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

/** Data types of a lead: integers. The other types are status words, fractions and AHA differences. */
const READERS: ReadonlyMap<number, (view: DataView, at: number, littleEndian: boolean) => number> = new Map([
  [0, (view, at, littleEndian) => view.getInt16(at, littleEndian)],
  [1, (view, at, littleEndian) => view.getUint16(at, littleEndian)],
  [2, (view, at, littleEndian) => view.getInt32(at, littleEndian)],
  [3, (view, at) => view.getUint8(at)],
  [5, (view, at) => view.getInt8(at)],
])

interface Channel {
  readonly lead: LeadName | undefined
  readonly label: string
  readonly attributes: ChannelAttributes
  /** Offset of its block within a sequence, bytes. */
  readonly at: number
}

/**
 * Parses a file. Channels that are not standard leads are left out.
 * @throws CodedError `payload-malformed`, `payload-too-large`, `format-unsupported` (compression, offset, several frames, rates or data
 * types), `lead-unknown`, `rate-unsupported`, `gain-invalid`, and those of `checkRecording`
 */
function parse(bytes: Uint8Array, options: ReadOptions = {}): Recording {
  const warnings: ResultWarning[] = []
  const file = readAttributes(bytes)
  const [waveform, ...more] = file.waveforms
  if (waveform === undefined) throw new CodedError('payload-empty', { field: 'waveform' })
  if (more.length > 0) throw new CodedError('format-unsupported', { field: 'frames' })
  const { channels, sequenceBytes } = placeChannels(file)
  const leads = leadsAmong(channels, (channel) => channel, options, 'lead', warnings)
  const { blockLength = 1, rateHz: ownRate = Number.NaN } = leads[0]!.channel.attributes
  const rateHz = options.rateHz ?? ownRate
  if (!(rateHz >= RATE_RANGE_HZ.min && rateHz <= RATE_RANGE_HZ.max))
    throw new CodedError('rate-unsupported', { field: 'interval', ...RATE_RANGE_HZ })
  for (const { channel } of leads) {
    const { attributes } = channel
    if (!Object.is(attributes.rateHz ?? Number.NaN, ownRate) || (attributes.blockLength ?? 1) !== blockLength)
      throw new CodedError('format-unsupported', { field: 'interval' })
  }
  const whole = Math.floor(waveform.remaining / sequenceBytes)
  // A wrong count does not matter when the blocks fill the data; otherwise the blocks differ from what they seem.
  const isShort = file.isWaveformCut || waveform.remaining % sequenceBytes === 0
  const sequences = isShort ? Math.min(file.sequences ?? whole, whole) : (file.sequences ?? whole)
  if (file.sequences !== undefined && sequences < file.sequences)
    warnings.push({ code: 'samples-left-out', field: `sequence ${whole + 1}` })
  checkDuration(sequences * blockLength, rateHz, 'sequences')
  const data = waveform.bytes(sequences * sequenceBytes, 'waveform')
  const startedAt = startOf(file.time)
  return checkRecording({
    format: 'mfer',
    rateHz,
    leads: readableLeads(
      leads,
      ({ name, channel }) =>
        readLead(name, channel, { data, sequences, sequenceBytes, littleEndian: file.littleEndian }, options),
      warnings,
    ),
    startedAt,
    person: personOf(file, startedAt),
    ...said(warnings),
  })
}

function placeChannels({ channels }: MferFile): { channels: Channel[]; sequenceBytes: number } {
  const placed: Channel[] = []
  let at = 0
  for (const attributes of channels) {
    const { leadCode, dataType = 0, blockLength = 1, compression = 0 } = attributes
    const sampleBytes = SAMPLE_BYTES.get(dataType)
    if (sampleBytes === undefined) throw new CodedError('format-unsupported', { field: 'dataType' })
    if (compression !== 0) throw new CodedError('format-unsupported', { field: 'compression' })
    const lead = leadCode === undefined ? undefined : leadOfScpCode(leadCode)
    placed.push({ lead, label: '', attributes, at })
    at += blockLength * sampleBytes
  }
  return { channels: placed, sequenceBytes: at }
}

interface Blocks {
  /** [sequences][channels][samples] */
  readonly data: Uint8Array
  readonly sequences: number
  readonly sequenceBytes: number
  readonly littleEndian: boolean
}

function readLead(name: LeadName, { attributes, at }: Channel, blocks: Blocks, { unit }: ReadOptions): RecordedLead {
  const { dataType = 0, blockLength = 1, resolution = Number.NaN, isVolts, nullValue, offset } = attributes
  const read = READERS.get(dataType)
  if (read === undefined) throw new CodedError('format-unsupported', { field: 'dataType' })
  // The standard does not define whether it is added or subtracted.
  if (offset?.some((byte) => byte !== 0)) throw new CodedError('format-unsupported', { field: 'offset' })
  if (unit === undefined && isVolts !== true) throw new CodedError('unit-unknown', { field: 'resolution' })
  const gainUv = resolution * microvolts(unit ?? 'V', 'resolution')
  if (!(gainUv > 0)) throw new CodedError('gain-invalid', { field: 'resolution' })
  const { data, sequences, sequenceBytes, littleEndian } = blocks
  const sampleBytes = SAMPLE_BYTES.get(dataType)!
  const none = nullValue?.length === sampleBytes ? read(viewOf(nullValue), 0, littleEndian) : undefined
  const view = viewOf(data)
  const samples = new Int32Array(sequences * blockLength)
  for (let sequence = 0, i = 0; sequence < sequences; sequence++) {
    const start = sequence * sequenceBytes + at
    for (let sample = 0; sample < blockLength; sample++, i++) {
      samples[i] = read(view, start + sample * sampleBytes, littleEndian)
    }
  }
  return { name, gainUv, samples: withoutSentinel(samples, none, 0) }
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
    // Zero years may mean an infant or an unknown age; the date of birth decides.
    ageYears: years !== UNKNOWN_AGE && years !== 0 ? years : ageAt(birth, startedAt),
  })
}
