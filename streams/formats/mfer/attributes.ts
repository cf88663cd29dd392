/**
 * The tags of an MFER file (ISO 22077-1), with attributes of the recording and of each channel.
 * @module
 */
import { ByteReader } from '../byte-reader.ts'

/** Attributes of one channel, or of all channels. */
export interface ChannelAttributes {
  leadCode?: number
  dataType?: number
  /** Samples per block. */
  blockLength?: number
  rateHz?: number
  /** Value of a step, in volts when `isVolts`. */
  resolution?: number
  isVolts?: boolean
  offset?: Uint8Array
  compression?: number
  /** The value of missing samples, in the channel's data type. */
  nullValue?: Uint8Array
}

export interface MferFile {
  readonly littleEndian: boolean
  readonly channels: readonly ChannelAttributes[]
  /** Number of blocks per channel; `undefined` when it follows from the length of the data. */
  readonly sequences: number | undefined
  readonly waveforms: readonly ByteReader[]
  /** The file is truncated within the waveform. */
  readonly isWaveformCut: boolean
  readonly sex: number | undefined
  readonly age: ByteReader | undefined
  readonly time: ByteReader | undefined
}

const TAG = {
  byteOrder: 0x01,
  blockLength: 0x04,
  channels: 0x05,
  sequences: 0x06,
  lead: 0x09,
  dataType: 0x0a,
  interval: 0x0b,
  resolution: 0x0c,
  offset: 0x0d,
  compression: 0x0e,
  nullValue: 0x12,
  waveform: 0x1e,
  channel: 0x3f,
  end: 0x80,
  age: 0x83,
  sex: 0x84,
  time: 0x85,
} as const

/** More channels than any recorder has. */
const MAX_CHANNELS = 64

/** More tags than the longest recording has beats, each of which may have a tag; limits the work on a hostile file. */
const MAX_TAGS = 100_000

/** @throws CodedError `payload-malformed` naming the tag */
export function readAttributes(bytes: Uint8Array): MferFile {
  // Big-endian until a tag changes it.
  const reader = new ByteReader(bytes, { littleEndian: false })
  const common: ChannelAttributes = {}
  const own = new Map<number, ChannelAttributes>()
  const waveforms: ByteReader[] = []
  let count = 0
  let isWaveformCut = false
  let sequences: number | undefined
  let sex: number | undefined
  let age: ByteReader | undefined
  let time: ByteReader | undefined
  for (let tags = 0; reader.remaining > 0; tags++) {
    if (tags === MAX_TAGS) throw reader.malformed('tags')
    const tag = reader.u8('tag')
    if (tag === TAG.end) break
    const channel = tag === TAG.channel ? channelNumber(reader) : undefined
    const field = `tag${tag}`
    const length = readLength(reader, field)
    const isCut = tag === TAG.waveform && length > reader.remaining
    const value = reader.section(isCut ? reader.remaining : length, field)
    if (isCut) isWaveformCut = true
    if (channel !== undefined) {
      const attributes = own.get(channel) ?? {}
      own.set(channel, attributes)
      while (value.remaining > 0) {
        const inner = value.u8(field)
        put(attributes, inner, value.section(readLength(value, field), field))
      }
    } else if (tag === TAG.byteOrder) reader.littleEndian = value.u8(field) === 1
    else if (tag === TAG.channels) count = integer(value, field)
    else if (tag === TAG.sequences) sequences = integer(value, field)
    else if (tag === TAG.waveform) waveforms.push(value)
    else if (tag === TAG.sex) sex = value.u8(field)
    else if (tag === TAG.age) age = value
    else if (tag === TAG.time) time = value
    else put(common, tag, value)
  }
  if (!(count >= 1 && count <= MAX_CHANNELS)) throw reader.malformed('channels')
  const channels = Array.from({ length: count }, (_, channel) => ({ ...common, ...own.get(channel) }))
  return { littleEndian: reader.littleEndian, channels, sequences, waveforms, isWaveformCut, sex, age, time }
}

function put(attributes: ChannelAttributes, tag: number, value: ByteReader): void {
  const field = `tag${tag}`
  switch (tag) {
    case TAG.blockLength:
      attributes.blockLength = integer(value, field)
      break
    case TAG.lead:
      // A text may follow the code.
      attributes.leadCode = value.remaining === 1 ? value.u8(field) : value.u16(field)
      break
    case TAG.dataType:
      attributes.dataType = value.u8(field)
      break
    case TAG.interval: {
      const unit = value.u8(field)
      const amount = scaled(value, field)
      attributes.rateHz = unit === 0 ? amount : unit === 1 ? 1 / amount : Number.NaN
      break
    }
    case TAG.resolution: {
      const unit = value.u8(field)
      attributes.resolution = scaled(value, field)
      attributes.isVolts = unit === 0
      break
    }
    case TAG.offset:
      attributes.offset = value.bytes(value.remaining, field)
      break
    case TAG.compression:
      attributes.compression = integer(value.section(Math.min(2, value.remaining), field), field)
      break
    case TAG.nullValue:
      attributes.nullValue = value.bytes(value.remaining, field)
      break
    default:
  }
}

/** A mantissa with a power of ten. */
function scaled(value: ByteReader, field: string): number {
  const exponent = value.i8(field)
  const mantissa = integer(value, field)
  // A quotient of whole numbers is more precise than a product with 1e-6.
  return exponent < 0 ? mantissa / 10 ** -exponent : mantissa * 10 ** exponent
}

/** An unsigned integer of one, two or four bytes. */
function integer(value: ByteReader, field: string): number {
  if (value.remaining === 1) return value.u8(field)
  return value.remaining === 2 ? value.u16(field) : value.u32(field)
}

/** Seven bits per byte, most significant first; bit 7 means that another byte follows. */
function channelNumber(reader: ByteReader): number {
  let channel = 0
  for (;;) {
    const byte = reader.u8('channel')
    channel = channel * 128 + (byte & 0x7f)
    if (byte < 0x80) return channel
    if (channel > MAX_CHANNELS) throw reader.malformed('channel')
  }
}

/** Up to 127 in the byte itself; above that, the number of length bytes that follow, always big-endian. */
function readLength(reader: ByteReader, field: string): number {
  const first = reader.u8(field)
  if (first < 0x80) return first
  const count = first & 0x7f
  if (count < 1 || count > 4) throw reader.malformed(field)
  return Array.from({ length: count }, () => reader.u8(field)).reduce((length, byte) => length * 256 + byte, 0)
}
