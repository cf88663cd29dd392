/**
 * Writes recordings as WFDB, for tests of the reader.
 * @module
 */
import { MISSING_SAMPLE, type Recording } from '../../shared/domain/recording.ts'
import type { SourceFile } from '../../streams/formats/index.ts'

export type WfdbFormat = 16 | 24 | 32 | 61 | 80 | 160 | 212 | 310 | 311

export interface WfdbOptions {
  readonly format?: WfdbFormat
  /** As PhysioNet's challenges have it: behind the 24-byte header of a MATLAB v4 file. */
  readonly mat?: boolean
  /** Added to every sample and stated in the header. */
  readonly baseline?: number
  readonly comments?: readonly string[]
}

const MAT_HEADER_BYTES = 24

/** Header and signal file of a recording. Samples must fit the format. */
export function writeWfdb(recording: Recording, options: WfdbOptions = {}): [header: SourceFile, signals: SourceFile] {
  const { format = 16, mat = false, baseline = 0, comments = [] } = options
  const fileName = `record.${mat ? 'mat' : 'dat'}`
  const samples = recording.leads[0]!.samples.length
  const frames = Array.from({ length: samples }, (_, i) => recording.leads.map((lead) => lead.samples[i]!)).flat()
  const invalid = INVALID[format]
  const stored = frames.map((sample) => (sample === MISSING_SAMPLE ? invalid : sample + baseline))
  const header = [
    `record ${recording.leads.length} ${recording.rateHz} ${samples}`,
    ...recording.leads.map(({ name, gainUv }, place) => {
      const sum = stored.filter((_, i) => i % recording.leads.length === place).reduce((a, b) => (a + b) & 0xffff, 0)
      const checksum = (sum << 16) >> 16
      return `${fileName} ${format}${mat ? `+${MAT_HEADER_BYTES}` : ''} ${1000 / gainUv}(${baseline})/mV 16 0 0 ${checksum} 0 ${name}`
    }),
    ...comments.map((comment) => `#${comment}`),
  ].join('\n')
  const body = pack[format](stored)
  return [
    { name: 'record.hea', bytes: Buffer.from(`${header}\n`) },
    { name: fileName, bytes: mat ? Buffer.concat([matHeader(recording.leads.length, samples), body]) : body },
  ]
}

function matHeader(rows: number, columns: number): Buffer {
  const header = Buffer.alloc(MAT_HEADER_BYTES)
  for (const [index, word] of [30, rows, columns, 0, 4].entries()) header.writeInt32LE(word, index * 4)
  header.write('val', 20)
  return header
}

const INVALID: Readonly<Record<WfdbFormat, number>> = {
  16: -0x8000,
  24: -0x80_0000,
  32: -0x8000_0000,
  61: -0x8000,
  80: -0x80,
  160: -0x8000,
  212: -0x800,
  310: -0x200,
  311: -0x200,
}

const pack: Readonly<Record<WfdbFormat, (stored: readonly number[]) => Buffer>> = {
  16: wholeBytes(2),
  24: wholeBytes(3),
  32: wholeBytes(4),
  61: (stored) => wholeBytes(2)(stored).swap16(),
  80: (stored) => Buffer.from(stored.map((sample) => sample + 0x80)),
  160: (stored) => Buffer.from(Uint16Array.from(stored, (sample) => sample + 0x8000).buffer),
  212: pack212,
  310: tenBits((a, b, c) => [(a << 1) | ((c & 0x1f) << 11), (b << 1) | ((c >> 5) << 11)]),
  311: tenBits((a, b, c) => [a | ((b & 0x3f) << 10), (b >> 6) | (c << 4)]),
}

function wholeBytes(width: number) {
  return (stored: readonly number[]): Buffer => {
    const bytes = Buffer.alloc(stored.length * width)
    for (const [i, sample] of stored.entries()) bytes.writeIntLE(sample, i * width, width)
    return bytes
  }
}

/** Two pairs of bytes for each three samples; of the last three only the pairs that are begun. */
function tenBits(pairs: (a: number, b: number, c: number) => [number, number]) {
  return (stored: readonly number[]): Buffer => {
    const words = Uint16Array.from({ length: Math.ceil(stored.length / 3) * 2 })
    for (let i = 0; i < stored.length; i += 3) {
      const [a = 0, b = 0, c = 0] = stored.slice(i, i + 3).map((sample) => sample & 0x3ff)
      words.set(pairs(a, b, c), (i / 3) * 2)
    }
    return Buffer.from(words.buffer).subarray(0, Math.floor(stored.length / 3) * 4 + (stored.length % 3) * 2)
  }
}

function pack212(stored: readonly number[]): Buffer {
  const bytes = Buffer.alloc(Math.ceil(stored.length / 2) * 3)
  for (let i = 0; i < stored.length; i += 2) {
    const [a, b] = [stored[i]!, stored[i + 1] ?? 0]
    const at = (i / 2) * 3
    bytes[at] = a & 0xff
    bytes[at + 1] = ((a >> 8) & 0x0f) | ((b >> 4) & 0xf0)
    bytes[at + 2] = b & 0xff
  }
  return bytes
}
