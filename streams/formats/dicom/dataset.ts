/**
 * Reads the few elements of a DICOM file that an ECG and its order need, after PS3.5 (encoding) and PS3.10 (file format).
 *
 * Our own reader instead of dcmjs, which decompresses without a limit and keeps every element of the file.
 * @module
 */
import { inflateRawSync } from 'node:zlib'
import { CodedError } from '../../../shared/errors.ts'
import { ByteReader, latin1 } from '../byte-reader.ts'

/** The elements that are kept; all others are skipped. */
export const TAG = {
  transferSyntax: 0x0002_0010,
  characterSet: 0x0008_0005,
  sopClass: 0x0008_0016,
  sopInstance: 0x0008_0018,
  acquisitionDate: 0x0008_0022,
  contentDate: 0x0008_0023,
  acquisitionDateTime: 0x0008_002a,
  acquisitionTime: 0x0008_0032,
  contentTime: 0x0008_0033,
  accessionNumber: 0x0008_0050,
  codeValue: 0x0008_0100,
  codingScheme: 0x0008_0102,
  codeMeaning: 0x0008_0104,
  timezoneOffset: 0x0008_0201,
  stationName: 0x0008_1010,
  patientId: 0x0010_0020,
  patientIdIssuer: 0x0010_0021,
  patientBirthDate: 0x0010_0030,
  patientSex: 0x0010_0040,
  patientAge: 0x0010_1010,
  patientSize: 0x0010_1020,
  patientWeight: 0x0010_1030,
  deviceSerialNumber: 0x0018_1000,
  groupTimeOffset: 0x0018_1068,
  study: 0x0020_000d,
  series: 0x0020_000e,
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
  encapsulatedDocument: 0x0042_0011,
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

/** The kept elements of a data set: values as little-endian bytes, sequences as their items. */
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

  /** Items of a sequence; empty when it is absent. */
  items(name: TagName): readonly Dataset[] {
    return this.#items.get(name) ?? []
  }

  /** Text without padding; `undefined` when it is empty or absent. */
  text(name: TagName): string | undefined {
    return latin1(this.#values.get(name) ?? new Uint8Array()) || undefined
  }

  /**
   * A number written as text (VR DS or IS); `undefined` when it is empty or absent.
   * @throws CodedError `field-invalid` for text that is not a number
   */
  decimal(name: TagName): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const value = /^[-+]?[\d.]+(?:e[-+]?\d+)?$/i.test(text) ? Number(text) : Number.NaN
    if (!Number.isFinite(value)) throw new CodedError('field-invalid', { field: name })
    return value
  }

  /** @throws CodedError `payload-malformed` when it is absent */
  u16(name: TagName): number {
    return this.#reader(name).u16(name)
  }

  /** @throws CodedError `payload-malformed` when it is absent */
  u32(name: TagName): number {
    return this.#reader(name).u32(name)
  }

  #reader(name: TagName): ByteReader {
    return new ByteReader(this.#values.get(name) ?? new Uint8Array())
  }
}

const META_GROUP = 0x0002

const PREAMBLE_BYTES = 128
const MAGIC = 'DICM'

export function looksLikeDicom(bytes: Uint8Array): boolean {
  return startOf(bytes) !== undefined || startsBare(bytes) !== undefined
}

/** Start of the file meta group: after preamble and magic, after the magic alone, or at the beginning. */
function startOf(bytes: Uint8Array): number | undefined {
  for (const at of [PREAMBLE_BYTES, 0]) {
    if (latin1(bytes.subarray(at, at + MAGIC.length)) === MAGIC) return at + MAGIC.length
  }
  return bytes[0] === META_GROUP && bytes[1] === 0 && isElement(bytes, false) ? 0 : undefined
}

/** A data set without file meta information starts with group 0008. Returns whether it is in implicit VR. */
function startsBare(bytes: Uint8Array): { isImplicit: boolean } | undefined {
  if (bytes[0] !== 0x08 || bytes[1] !== 0) return undefined
  if (isElement(bytes, false)) return { isImplicit: false }
  return isElement(bytes, true) ? { isImplicit: true } : undefined
}

/** Whether a file starts with an element: an explicit VR, or a length that leads to an element of the same group or the next. */
function isElement(bytes: Uint8Array, isImplicit: boolean): boolean {
  if (bytes.length < 16) return false
  if (!isImplicit) return /^[A-Z]{2}$/.test(latin1(bytes.subarray(4, 6)))
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const length = view.getUint32(4, true)
  const next = 8 + length
  if (length % 2 !== 0 || next + 8 > bytes.length) return false
  const [group, element] = [view.getUint16(next, true), view.getUint16(next + 2, true)]
  return group === 0x08 && element > view.getUint16(2, true)
}

const IMPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2'
const EXPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2.1'
const DEFLATED = '1.2.840.10008.1.2.1.99'

/** More than the longest recording fills (10 min of 12 channels at 2000 Hz in 32 bits), because a deflated file may be a bomb. */
const MAX_INFLATED_BYTES = 64 * 1024 * 1024

/**
 * Reads a file.
 * @throws CodedError `payload-malformed`, `payload-too-large`, `format-unsupported` (transfer syntax)
 */
export function readDicom(bytes: Uint8Array): Dataset {
  const reader = new ByteReader(bytes)
  const start = startOf(bytes)
  const bare = start === undefined ? startsBare(bytes) : undefined
  if (bare !== undefined) return readElements(reader, wholeFile(bare.isImplicit))
  if (start === undefined) throw new CodedError('payload-malformed', { field: 'magic' })
  reader.seek(start, 'fileMeta')
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
    case undefined: {
      const rest = bytes.subarray(reader.position)
      return readElements(reader, wholeFile(!isElement(rest, false)))
    }
    default:
      throw new CodedError('format-unsupported', { field: 'transferSyntax' })
  }
}

/** Group 0002, always explicit little-endian. It ends where another group begins, whatever its stated length is. */
function readFileMeta(reader: ByteReader): Dataset {
  const meta = new Dataset()
  while (reader.remaining > 0) {
    const start = reader.position
    const group = reader.u16('fileMeta')
    reader.seek(start, 'fileMeta')
    if (group !== META_GROUP) break
    const { tag, length } = readHeader(reader, false)
    const value = reader.bytes(length, 'fileMeta')
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
  /** Elements and items that may still follow. */
  readonly budget: { left: number }
  readonly isImplicit: boolean
  readonly depth: number
  /** Whether it ends with a delimiter and not by its length. */
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

/** Deeper than any waveform object; limits recursion on hostile files. */
const MAX_DEPTH = 16

/** More items than any kept sequence has (channels, groups). */
const MAX_ITEMS = 256

/** A thousand times the elements of an annotated ECG; limits the work on a hostile file. */
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

/** Reads to the end of the bytes, even if the file is truncated: the number of samples is known from the waveform itself. */
function readElements(reader: ByteReader, encoding: Encoding): Dataset {
  const dataset = new Dataset()
  while (reader.remaining > 0) {
    try {
      if (readElement(reader, encoding, dataset)) break
    } catch (error) {
      // What follows the waveform (a trailer, padding) does not affect the ECG.
      const isBehind = encoding.depth === 0 && dataset.items('waveformSequence').length > 0
      if (isBehind && error instanceof CodedError && error.code === 'payload-malformed') break
      throw error
    }
  }
  return dataset
}

/** @returns whether it was the delimiter that ends the data set */
function readElement(reader: ByteReader, encoding: Encoding, dataset: Dataset): boolean {
  const { budget, isImplicit, isDelimited, depth } = encoding
  if (budget.left-- === 0) throw reader.malformed('elements')
  const { tag, vr, length } = readHeader(reader, isImplicit)
  if (tag === ITEM_DELIMITER && isDelimited) return true
  const name = NAMES.get(tag)
  const isWanted = name !== undefined && SEQUENCES.has(name)
  const isUndefined = length === UNDEFINED_LENGTH
  if (isWanted || isUndefined) {
    const source = isUndefined ? reader : reader.section(isWanted ? there(reader, length) : length, name ?? 'sequence')
    // PS3.5 6.2.2: a sequence with an unknown VR is in implicit VR.
    const items = readItems(
      source,
      { budget, isImplicit: isImplicit || vr === 'UN', depth: depth + 1, isDelimited: isUndefined },
      isWanted,
    )
    if (isWanted) dataset.put(name, items)
  } else if (name === undefined) reader.skip(length, 'element')
  else dataset.put(name, reader.bytes(name === 'waveformData' ? there(reader, length) : length, name))
  return false
}

/** The part of a stated length that is present. */
const there = (reader: ByteReader, length: number) => Math.min(length, reader.remaining)

function readItems(reader: ByteReader, encoding: Encoding, isWanted: boolean): Dataset[] {
  if (encoding.depth > MAX_DEPTH) throw reader.malformed('depth')
  const items: Dataset[] = []
  while (reader.remaining > 0) {
    if (encoding.budget.left-- === 0) throw reader.malformed('elements')
    const { tag, length } = readHeader(reader, true)
    if (tag === SEQUENCE_DELIMITER && encoding.isDelimited) break
    if (tag !== ITEM) throw reader.malformed('item')
    if (length !== UNDEFINED_LENGTH && !isWanted) {
      reader.skip(length, 'item')
      continue
    }
    const isDelimited = length === UNDEFINED_LENGTH
    const bytes = isWanted ? there(reader, length) : length
    const item = readElements(isDelimited ? reader : reader.section(bytes, 'item'), { ...encoding, isDelimited })
    if (!isWanted) continue
    if (items.length === MAX_ITEMS) throw reader.malformed('items')
    items.push(item)
  }
  return items
}
