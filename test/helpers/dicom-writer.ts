/**
 * Writes recordings as DICOM waveform objects, for tests of the reader.
 * @module
 */
import { deflateRawSync } from 'node:zlib'
import type { LeadName } from '../../shared/domain/leads.ts'
import { MISSING_SAMPLE, type Recording } from '../../shared/domain/recording.ts'
import type { SourceFile } from '../../streams/formats/index.ts'
import { i16, interleaved, padded, SCP_LEAD_CODES, u8, u16, u32 } from './bytes.ts'

/** Tag, VR and value: bytes, text, or the items of a sequence. */
export type Element = readonly [tag: number, vr: string, value: Buffer | string | readonly (readonly Element[])[]]

export type DicomSyntax = 'explicit' | 'implicit' | 'deflated' | 'bigEndian'

const SYNTAX_UIDS: Readonly<Record<DicomSyntax, string>> = {
  implicit: '1.2.840.10008.1.2',
  explicit: '1.2.840.10008.1.2.1',
  deflated: '1.2.840.10008.1.2.1.99',
  bigEndian: '1.2.840.10008.1.2.2',
}

export interface EncodingOptions {
  readonly syntax?: DicomSyntax
  /** Sequences and items end by delimiters and state no length. */
  readonly undefinedLengths?: boolean
}

/** A file of these elements. */
export function writeDicom(elements: readonly Element[], options: EncodingOptions = {}): SourceFile {
  const { syntax = 'explicit' } = options
  const syntaxElement = encode([[0x0002_0010, 'UI', SYNTAX_UIDS[syntax]]], { syntax: 'explicit' })
  const metaLength = encode([[0x0002_0000, 'UL', u32(syntaxElement.length)]], { syntax: 'explicit' })
  const body = encode(elements, options)
  const bytes = [
    Buffer.alloc(128),
    Buffer.from('DICM'),
    metaLength,
    syntaxElement,
    syntax === 'deflated' ? deflateRawSync(body) : body,
  ]
  return { name: 'ecg.dcm', bytes: Buffer.concat(bytes) }
}

/** The data set of these elements, explicit little-endian. */
export const writeDataset = (elements: readonly Element[]): Buffer => encode(elements, { syntax: 'explicit' })

const LONG_VRS = ['OB', 'OW', 'SQ', 'UN']
const UNDEFINED_LENGTH = 0xffff_ffff
const tagBytes = (tag: number) => u16(tag >>> 16, tag & 0xffff)

function encode(elements: readonly Element[], options: EncodingOptions): Buffer {
  return Buffer.concat(
    elements.map(([tag, vr, value]) => {
      const isSequence = Array.isArray(value)
      const body = content(value, options)
      const length = isSequence && options.undefinedLengths ? UNDEFINED_LENGTH : body.length
      const header =
        options.syntax === 'implicit'
          ? u32(length)
          : Buffer.concat([
              Buffer.from(vr),
              LONG_VRS.includes(vr) ? Buffer.concat([u8(0, 0), u32(length)]) : u16(length),
            ])
      return Buffer.concat([tagBytes(tag), header, body])
    }),
  )
}

function content(value: Element[2], options: EncodingOptions): Buffer {
  if (Buffer.isBuffer(value)) return value
  if (typeof value === 'string') return padded(value, value.length + (value.length % 2))
  const items = value.map((item) => {
    const body = encode(item, options)
    return options.undefinedLengths
      ? [tagBytes(0xfffe_e000), u32(UNDEFINED_LENGTH), body, tagBytes(0xfffe_e00d), u32(0)]
      : [tagBytes(0xfffe_e000), u32(body.length), body]
  })
  return Buffer.concat([...items.flat(), ...(options.undefinedLengths ? [tagBytes(0xfffe_e0dd), u32(0)] : [])])
}

export interface GroupOptions {
  readonly originality?: string
  readonly offsetMs?: string
  /** Elements of each channel, in addition to or in place of the usual ones. */
  readonly channel?: readonly Element[]
  /** The code, its scheme and meaning of a lead's channel. */
  readonly source?: (name: LeadName) => readonly [code: string, scheme: string, meaning: string]
  /** Elements of the group, in addition to or in place of the usual ones. */
  readonly group?: readonly Element[]
}

const scpSource = (name: LeadName) => [`5.6.3-9-${SCP_LEAD_CODES[name]}`, 'SCPECG', `Lead ${name}`] as const

/** A recording as an item of the waveform sequence; missing samples as the padding value -32768. */
export function waveformGroup(recording: Recording, options: GroupOptions = {}): readonly Element[] {
  const { originality = 'ORIGINAL', offsetMs, channel = [], source = scpSource, group = [] } = options
  const { leads, rateHz } = recording
  const stored = interleaved(leads).map((sample) => (sample === MISSING_SAMPLE ? -0x8000 : sample))
  const channels = leads.map(({ name, gainUv }) => {
    const [code, scheme, meaning] = source(name)
    return merged(
      [
        [0x003a_0208, 'SQ', [codeItem(code, scheme, meaning)]],
        [0x003a_0210, 'DS', String(gainUv)],
        [0x003a_0211, 'SQ', [codeItem('uV', 'UCUM', 'microvolt')]],
        [0x003a_0212, 'DS', '1'],
        [0x003a_0213, 'DS', '0'],
      ],
      channel,
    )
  })
  return merged(
    [
      ...(offsetMs === undefined ? [] : [[0x0018_1068, 'DS', offsetMs] as const]),
      [0x003a_0004, 'CS', originality],
      [0x003a_0005, 'US', u16(leads.length)],
      [0x003a_0010, 'UL', u32(leads[0]!.samples.length)],
      [0x003a_001a, 'DS', String(rateHz)],
      [0x003a_0200, 'SQ', channels],
      [0x5400_1004, 'US', u16(16)],
      [0x5400_1006, 'CS', 'SS'],
      [0x5400_100a, 'OW', i16(-0x8000)],
      [0x5400_1010, 'OW', Buffer.from(Int16Array.from(stored).buffer)],
    ],
    group,
  )
}

/** A whole file of one group. */
export function writeWaveform(recording: Recording, options: GroupOptions & EncodingOptions = {}): SourceFile {
  return writeDicom([[0x5400_0100, 'SQ', [waveformGroup(recording, options)]]], options)
}

function codeItem(code: string, scheme: string, meaning: string): readonly Element[] {
  return [
    [0x0008_0100, 'SH', code],
    [0x0008_0102, 'SH', scheme],
    [0x0008_0104, 'LO', meaning],
  ]
}

function merged(usual: readonly Element[], others: readonly Element[]): readonly Element[] {
  const kept = usual.filter(([tag]) => others.every(([other]) => other !== tag))
  return [...kept, ...others].toSorted(([a], [b]) => a - b)
}
