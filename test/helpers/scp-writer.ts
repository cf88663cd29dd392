/**
 * Writes recordings as SCP-ECG, for tests of the reader.
 * @module
 */
import type { Recording } from '../../shared/domain/recording.ts'
import { crcCcitt } from '../../streams/formats/crc.ts'
import type { SourceFile } from '../../streams/formats/index.ts'
import { i16, SCP_LEAD_CODES, u8, u16, u32 } from './bytes.ts'

export interface ScpSpan {
  readonly start: number
  readonly end: number
}

export interface ScpOptions {
  readonly huffman?: 'none' | 'default' | 'custom'
  readonly differences?: 0 | 1 | 2
  /** Tag and value of section 1. */
  readonly tags?: readonly (readonly [tag: number, value: Buffer])[]
  /** Averages this number of samples to one outside these spans. */
  readonly bimodal?: { readonly factor: number; readonly protectedSpans: readonly ScpSpan[] }
  /** Taken off where the beats are, in each lead; samples from 0. */
  readonly reference?: {
    readonly samples: Int32Array
    readonly fiducial: number
    readonly beats: readonly (ScpSpan & { readonly fiducial: number })[]
  }
  /** First and last sample of a lead, where it is not all of them. */
  readonly spans?: readonly ScpSpan[]
  /** Bodies in place of the usual, undefined to leave a section out. */
  readonly sections?: Readonly<Record<number, Buffer | undefined>>
}

export function writeScp(recording: Recording, options: ScpOptions = {}): SourceFile {
  const { huffman = 'default', differences = 0, bimodal, reference, tags = [] } = options
  const { leads, rateHz } = recording
  const all = { start: 0, end: leads[0]!.samples.length - 1 }
  const spans = leads.map((_, place) => options.spans?.[place] ?? all)
  const encode = (samples: Int32Array) => encoders[huffman](subtracted(samples, differences))
  const usual: Record<number, Buffer | undefined> = {
    1: Buffer.concat([
      ...tags.map(([tag, value]) => Buffer.concat([u8(tag), u16(value.length), value])),
      u8(255, 0, 0),
    ]),
    2: { none: undefined, default: u16(19_999), custom: customTables }[huffman],
    3: Buffer.concat([
      u8(leads.length, (reference === undefined ? 0 : 1) | 4 | (leads.length << 3)),
      ...leads.map(({ name }, i) =>
        Buffer.concat([u32(spans[i]!.start + 1, spans[i]!.end + 1), u8(SCP_LEAD_CODES[name])]),
      ),
    ]),
    6: signals(
      recording,
      differences,
      (1e6 / rateHz) * (bimodal?.factor ?? 1),
      bimodal !== undefined,
      leads.map(({ samples }, i) =>
        encode(decimated(residual(samples.subarray(spans[i]!.start, spans[i]!.end + 1), reference), bimodal)),
      ),
    ),
  }
  if (bimodal !== undefined || reference !== undefined) {
    const beat = reference?.samples ?? new Int32Array(1)
    const subtractions = reference?.beats ?? bimodal!.protectedSpans.map(() => ({ start: 0, end: -1, fiducial: 0 }))
    usual[4] = Buffer.concat([
      u16((beat.length * 1000) / rateHz, (reference?.fiducial ?? 0) + 1, subtractions.length),
      ...subtractions.map(({ start, end, fiducial }) =>
        Buffer.concat([u16(0), u32(start + 1, fiducial + 1, Math.max(0, end + 1))]),
      ),
      ...(bimodal?.protectedSpans ?? []).map(({ start, end }) => u32(start + 1, end + 1)),
    ])
    usual[5] = signals(
      recording,
      differences,
      1e6 / rateHz,
      false,
      leads.map(() => encode(beat)),
    )
  }
  const sections = Object.entries({ ...usual, ...options.sections }).flatMap(([id, body]) =>
    body === undefined ? [] : [section(Number(id), body)],
  )
  return { name: 'ecg.scp', bytes: record(sections) }
}

/** A file whose checksums and lengths of sections are right again, whatever was done to the bodies. */
export function sealScp(bytes: Uint8Array): Buffer {
  const sealed = Buffer.from(bytes)
  for (let at = 6; at + 16 <= sealed.length; ) {
    const length = sealed.readUInt32LE(at + 4)
    if (length < 16 || at + length > sealed.length) break
    sealed.writeUInt16LE(crcCcitt(sealed.subarray(at + 2, at + length)), at)
    at += length
  }
  sealed.writeUInt16LE(crcCcitt(sealed.subarray(2)), 0)
  return sealed
}

function section(id: number, body: Buffer): Buffer {
  const rest = Buffer.concat([
    u16(id),
    u32(16 + body.length),
    u8(20, 20),
    Buffer.from(id === 0 ? 'SCPECG' : '\0\0\0\0\0\0'),
    body,
  ])
  return Buffer.concat([u16(crcCcitt(rest)), rest])
}

const POINTERS = 12

function record(sections: readonly Buffer[]): Buffer {
  let next = 6 + 16 + 10 * POINTERS + 1
  const pointers = new Map<number, Buffer>()
  for (const each of sections) {
    pointers.set(each.readUInt16LE(2), u32(each.length, next))
    next += each.length
  }
  const table = Array.from({ length: POINTERS }, (_, id) => [
    u16(id),
    id === 0 ? u32(16 + 10 * POINTERS, 7) : (pointers.get(id) ?? u32(0, 0)),
  ])
  const body = Buffer.concat([section(0, Buffer.concat(table.flat())), ...sections])
  const rest = Buffer.concat([u32(6 + body.length), body])
  return Buffer.concat([u16(crcCcitt(rest)), rest])
}

function signals(
  { leads }: Recording,
  differences: number,
  intervalUs: number,
  isBimodal: boolean,
  data: readonly Buffer[],
): Buffer {
  return Buffer.concat([
    u16(leads[0]!.gainUv * 1000, intervalUs),
    u8(differences, isBimodal ? 1 : 0),
    u16(...data.map(({ length }) => length)),
    ...data,
  ])
}

function residual(samples: Int32Array, reference: ScpOptions['reference']): Int32Array {
  const left = samples.slice()
  for (const { start, end, fiducial } of reference?.beats ?? []) {
    for (let i = start; i <= end; i++)
      left[i] = left[i]! - (reference!.samples[i - fiducial + reference!.fiducial] ?? 0)
  }
  return left
}

function decimated(samples: Int32Array, bimodal: ScpOptions['bimodal']): Int32Array {
  if (bimodal === undefined) return samples
  const output: number[] = []
  for (let i = 0; i < samples.length; ) {
    const isProtected = bimodal.protectedSpans.some(({ start, end }) => i >= start && i <= end)
    const piece = samples.subarray(i, i + (isProtected ? 1 : bimodal.factor))
    if (isProtected || piece.length === bimodal.factor)
      output.push(Math.round(piece.reduce((sum, sample) => sum + sample, 0) / piece.length))
    i += piece.length
  }
  return Int32Array.from(output)
}

function subtracted(samples: Int32Array, differences: number): Int32Array {
  return samples.map((sample, i) => {
    if (i < differences || differences === 0) return sample
    return differences === 1 ? sample - samples[i - 1]! : sample - 2 * samples[i - 1]! + samples[i - 2]!
  })
}

const twosComplement = (value: number, bits: number) => (value & (2 ** bits - 1)).toString(2).padStart(bits, '0')

function defaultCode(value: number): string {
  if (value === 0) return '0'
  if (Math.abs(value) <= 8) return `${'1'.repeat(Math.abs(value))}0${value > 0 ? '0' : '1'}`
  return Math.abs(value) < 128 ? `1111111110${twosComplement(value, 8)}` : `1111111111${twosComplement(value, 16)}`
}

/** Table 1: 0 for 0, 10 and 12 bits, 11 to go to table 2. Table 2: 0 and 16 bits, 1 to go to table 1. */
const customTables = Buffer.concat([
  u16(2, 3),
  u8(1, 1, 1),
  i16(0),
  u32(0b0),
  u8(2, 14, 1),
  i16(0),
  u32(0b01),
  u8(2, 2, 0),
  i16(2),
  u32(0b11),
  u16(2),
  u8(1, 17, 1),
  i16(0),
  u32(0b0),
  u8(1, 1, 0),
  i16(1),
  u32(0b1),
])

function customCode(value: number): string {
  if (value === 0) return '0'
  return Math.abs(value) < 2048 ? `10${twosComplement(value, 12)}` : `110${twosComplement(value, 16)}1`
}

const huffmanEncoder = (code: (value: number) => string) => (values: Int32Array) => {
  const bits = Array.from(values, code).join('')
  const bytes = bits.match(/.{1,8}/g) ?? []
  // Filled up to whole 16-bit words.
  return Buffer.from([
    ...bytes.map((byte) => Number.parseInt(byte.padEnd(8, '0'), 2)),
    ...(bytes.length % 2 ? [0] : []),
  ])
}

const encoders = {
  none: (values: Int32Array) => i16(...values),
  default: huffmanEncoder(defaultCode),
  custom: huffmanEncoder(customCode),
}
