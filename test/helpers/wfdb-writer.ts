/**
 * Writes recordings as WFDB, for tests of the reader.
 * @module
 */
import { MISSING_SAMPLE, type Recording } from '../../shared/domain/recording.ts'
import type { SourceFile } from '../../streams/formats/index.ts'

export interface WfdbOptions {
  readonly format?: 16 | 212
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
  const invalid = format === 16 ? -0x8000 : -0x800
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
  const body = format === 16 ? pack16(stored) : pack212(stored)
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

const pack16 = (stored: readonly number[]) => Buffer.from(Int16Array.from(stored).buffer)

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
