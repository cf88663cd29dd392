/**
 * The few elements of a DICOM file that an ECG needs, after PS3.5 (encoding) and PS3.10 (file format).
 *
 * A reader of our own rather than dcmjs: that one inflates without a bound and keeps every element of the file.
 * @module
 */
import { inflateRawSync } from 'node:zlib'
import { CodedError } from '../../../shared/errors.ts'
import { ByteReader, latin1 } from '../byte-reader.ts'

/** The elements that are kept; all others are stepped over. */
export const TAG = {
  transferSyntax: 0x0002_0010,
  acquisitionDate: 0x0008_0022,
  contentDate: 0x0008_0023,
  acquisitionDateTime: 0x0008_002a,
  acquisitionTime: 0x0008_0032,
  contentTime: 0x0008_0033,
  codeValue: 0x0008_0100,
  codingScheme: 0x0008_0102,
  codeMeaning: 0x0008_0104,
  timezoneOffset: 0x0008_0201,
  patientBirthDate: 0x0010_0030,
  patientSex: 0x0010_0040,
  patientAge: 0x0010_1010,
  patientSize: 0x0010_1020,
  patientWeight: 0x0010_1030,
  groupTimeOffset: 0x0018_1068,
  waveformOriginality: 0x003a_0004,
  channels: 0x003a_0005,
  samples: 0x003a_0010,
  samplingFrequency: 0x003a_001a,
  channelDefinitions: 0x003a_0200,
  channelLabel: 0x003a_0203,
  channelSource: 0x003a_0208,
  sensitivity: 0x003a_0210,
  sensitivityUnits: 0x003a_0211,
  sensitivityCorrection: 0x003a_0212,
  baseline: 0x003a_0213,
  timeSkew: 0x003a_0214,
  sampleSkew: 0x003a_0215,
  waveformSequence: 0x5400_0100,
  bitsAllocated: 0x5400_1004,
  sampleInterpretation: 0x5400_1006,
  paddingValue: 0x5400_100a,
  waveformData: 0x5400_1010,
} as const

export type TagName = keyof typeof TAG

const NAMES: ReadonlyMap<number, TagName> = new Map(
  // as: Object.entries forgets the keys' type
  (Object.entries(TAG) as [TagName, number][]).map(([name, tag]) => [tag, name]),
)

const SEQUENCES: ReadonlySet<TagName> = new Set([
  'waveformSequence',
  'channelDefinitions',
  'channelSource',
  'sensitivityUnits',
])

/** The kept elements of a data set: values as bytes, little-endian; sequences as their items. */
export class Dataset {
  readonly #values = new Map<TagName, Uint8Array>()
  readonly #items = new Map<TagName, readonly Dataset[]>()

  put(name: TagName, value: Uint8Array | readonly Dataset[]): void {
    if (value instanceof Uint8Array) this.#values.set(name, value)
    else this.#items.set(name, value)
  }

  bytes(name: TagName): Uint8Array | undefined {
    return this.#values.get(name)
  }

  /** Items of a sequence; none when it is not there. */
  items(name: TagName): readonly Dataset[] {
    return this.#items.get(name) ?? []
  }

  /** Text without padding; undefined when it is empty or not there. */
  text(name: TagName): string | undefined {
    return latin1(this.#values.get(name) ?? new Uint8Array()) || undefined
  }

  /**
   * A number written as text (VR DS or IS); undefined when it is empty or not there.
   * @throws CodedError `field-invalid` for text that is no number
   */
  decimal(name: TagName): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const value = /^[-+]?[\d.]+(?:e[-+]?\d+)?$/i.test(text) ? Number(text) : Number.NaN
    if (!Number.isFinite(value)) throw new CodedError('field-invalid', { field: name })
    return value
  }

  /** @throws CodedError `payload-malformed` when it is not there */
  u16(name: TagName): number {
    return this.#reader(name).u16(name)
  }

  /** @throws CodedError `payload-malformed` when it is not there */
  u32(name: TagName): number {
    return this.#reader(name).u32(name)
  }

  #reader(name: TagName): ByteReader {
    return new ByteReader(this.#values.get(name) ?? new Uint8Array())
  }
}

const META_GROUP = 0x0002
const META_LENGTH = 0x0002_0000

const PREAMBLE_BYTES = 128
const MAGIC = 'DICM'

export function looksLikeDicom(bytes: Uint8Array): boolean {
  return latin1(bytes.subarray(PREAMBLE_BYTES, PREAMBLE_BYTES + MAGIC.length)) === MAGIC
}

const IMPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2'
const EXPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2.1'
const DEFLATED = '1.2.840.10008.1.2.1.99'

/** More than the longest recording (10 min of 12 channels at 2000 Hz in 32 bits) fills; a deflated file may be a bomb. */
const MAX_INFLATED_BYTES = 64 * 1024 * 1024

/** @throws CodedError `payload-malformed`, `payload-too-large`, `format-unsupported` (transfer syntax) */
export function readDicom(bytes: Uint8Array): Dataset {
  const reader = new ByteReader(bytes)
  reader.skip(PREAMBLE_BYTES, 'preamble')
  if (reader.text(MAGIC.length, 'magic') !== MAGIC) throw new CodedError('payload-malformed', { field: 'magic' })
  const syntax = readFileMeta(reader).text('transferSyntax')
  switch (syntax) {
    case IMPLICIT_LITTLE_ENDIAN:
      return readElements(reader, wholeFile(true))
    case EXPLICIT_LITTLE_ENDIAN:
      return readElements(reader, wholeFile(false))
    case DEFLATED: {
      const inflated = inflate(reader.bytes(reader.remaining, 'dataset'))
      return readElements(new ByteReader(inflated), wholeFile(false))
    }
    default:
      throw new CodedError('format-unsupported', { field: 'transferSyntax' })
  }
}

/** The group 0002, always explicit little-endian. It states its length; should it not, it ends where another group begins. */
function readFileMeta(reader: ByteReader): Dataset {
  const meta = new Dataset()
  let end = Number.POSITIVE_INFINITY
  while (reader.remaining > 0 && reader.position < end) {
    const start = reader.position
    const group = reader.u16('fileMeta')
    reader.seek(start, 'fileMeta')
    if (group !== META_GROUP) break
    const { tag, length } = readHeader(reader, false)
    const value = reader.bytes(length, 'fileMeta')
    if (tag === META_LENGTH) end = reader.position + new ByteReader(value).u32('fileMeta')
    const name = NAMES.get(tag)
    if (name !== undefined) meta.put(name, value)
  }
  return meta
}

function inflate(bytes: Uint8Array): Uint8Array {
  try {
    return inflateRawSync(bytes, { maxOutputLength: MAX_INFLATED_BYTES })
  } catch (cause) {
    if (cause instanceof RangeError && 'code' in cause && cause.code === 'ERR_BUFFER_TOO_LARGE')
      throw new CodedError('payload-too-large', { field: 'dataset', maxBytes: MAX_INFLATED_BYTES })
    throw new CodedError('payload-malformed', { field: 'dataset' }, { cause })
  }
}

interface Encoding {
  /** Elements and items that may still come. */
  readonly budget: { left: number }
  readonly isImplicit: boolean
  readonly depth: number
  /** Whether a delimiter ends it, not its length. */
  readonly isDelimited: boolean
}

const wholeFile = (isImplicit: boolean): Encoding => ({
  budget: { left: MAX_ELEMENTS },
  isImplicit,
  depth: 0,
  isDelimited: false,
})

const ITEM = 0xfffe_e000
const ITEM_DELIMITER = 0xfffe_e00d
const SEQUENCE_DELIMITER = 0xfffe_e0dd
const UNDEFINED_LENGTH = 0xffff_ffff

/** Deeper than any waveform object nests; keeps recursion on hostile files shallow. */
const MAX_DEPTH = 16

/** More items than any sequence that is kept has (channels, groups). */
const MAX_ITEMS = 256

/** A thousand times what an ECG with annotations has; keeps a hostile file cheap. */
const MAX_ELEMENTS = 1_000_000

/** PS3.5 7.1.2: these have two reserved bytes and a 32-bit length. */
const LONG_VRS = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'SQ', 'SV', 'UC', 'UN', 'UR', 'UT', 'UV'])

interface Header {
  readonly tag: number
  readonly vr: string | undefined
  readonly length: number
}

function readHeader(reader: ByteReader, isImplicit: boolean): Header {
  const tag = reader.u16('tag') * 0x1_0000 + reader.u16('tag')
  // Items and delimiters have no VR in either syntax.
  if (isImplicit || tag >>> 16 === 0xfffe) return { tag, vr: undefined, length: reader.u32('length') }
  const vr = String.fromCharCode(reader.u8('vr'), reader.u8('vr'))
  if (!/^[A-Z]{2}$/.test(vr)) throw reader.malformed('vr')
  if (!LONG_VRS.has(vr)) return { tag, vr, length: reader.u16('length') }
  reader.skip(2, 'vr')
  return { tag, vr, length: reader.u32('length') }
}

function readElements(reader: ByteReader, encoding: Encoding): Dataset {
  const { budget, isImplicit, isDelimited, depth } = encoding
  const dataset = new Dataset()
  while (isDelimited || reader.remaining > 0) {
    if (budget.left-- === 0) throw reader.malformed('elements')
    const { tag, vr, length } = readHeader(reader, isImplicit)
    if (tag === ITEM_DELIMITER && isDelimited) break
    const name = NAMES.get(tag)
    const isWanted = name !== undefined && SEQUENCES.has(name)
    if (isWanted || length === UNDEFINED_LENGTH) {
      const isUndefined = length === UNDEFINED_LENGTH
      const source = isUndefined ? reader : reader.section(length, name ?? 'sequence')
      // PS3.5 6.2.2: a sequence whose VR its writer did not know is in implicit VR.
      const items = readItems(
        source,
        { budget, isImplicit: isImplicit || vr === 'UN', depth: depth + 1, isDelimited: isUndefined },
        isWanted,
      )
      if (isWanted) dataset.put(name, items)
    } else if (name === undefined) reader.skip(length, 'element')
    else dataset.put(name, reader.bytes(length, name))
  }
  return dataset
}

function readItems(reader: ByteReader, encoding: Encoding, isWanted: boolean): Dataset[] {
  if (encoding.depth > MAX_DEPTH) throw reader.malformed('depth')
  const items: Dataset[] = []
  while (encoding.isDelimited || reader.remaining > 0) {
    if (encoding.budget.left-- === 0) throw reader.malformed('elements')
    const { tag, length } = readHeader(reader, true)
    if (tag === SEQUENCE_DELIMITER && encoding.isDelimited) break
    if (tag !== ITEM) throw reader.malformed('item')
    if (length !== UNDEFINED_LENGTH && !isWanted) {
      reader.skip(length, 'item')
      continue
    }
    const isDelimited = length === UNDEFINED_LENGTH
    const item = readElements(isDelimited ? reader : reader.section(length, 'item'), { ...encoding, isDelimited })
    if (!isWanted) continue
    if (items.length === MAX_ITEMS) throw reader.malformed('items')
    items.push(item)
  }
  return items
}
