/**
 * Writes MFER files for tests of their reader.
 * @module
 */
import { MISSING_SAMPLE, type Recording } from '../../shared/domain/recording.ts'
import type { SourceFile } from '../../streams/formats/format.ts'
import { padded, SCP_LEAD_CODES, u8 } from './bytes.ts'

export interface MferOptions {
  readonly littleEndian?: boolean
  readonly blockLength?: number
  readonly dataType?: 0 | 2
  /** Tags in place of the usual ones, undefined to leave one out. */
  readonly tags?: Readonly<Record<number, Buffer | undefined>>
  /** Tags of each channel in addition to the usual ones. */
  readonly channel?: readonly Buffer[]
}

export function tag(number: number, value: Buffer): Buffer {
  const length =
    value.length < 128
      ? u8(value.length)
      : Buffer.concat([u8(0x82), Buffer.from([value.length >> 8, value.length & 0xff])])
  return Buffer.concat([u8(number), length, value])
}

export function writeMfer({ leads, rateHz }: Recording, options: MferOptions = {}): SourceFile {
  const { littleEndian = true, blockLength = 50, dataType = 0, tags = {}, channel = [] } = options
  const bytes = dataType === 0 ? 2 : 4
  const number = (value: number, length = 2) => {
    const buffer = Buffer.alloc(length)
    buffer.writeIntLE(value, 0, length)
    return littleEndian ? buffer : buffer.reverse()
  }
  const none = -(2 ** (8 * bytes - 1))
  const sequences = leads[0]!.samples.length / blockLength
  const data = Array.from({ length: sequences }, (_, sequence) =>
    leads.map(({ samples }) =>
      Array.from(samples.subarray(sequence * blockLength, (sequence + 1) * blockLength), (sample) =>
        number(sample === MISSING_SAMPLE ? none : sample, bytes),
      ),
    ),
  )
  const usual: [number, Buffer][] = [
    [0x01, u8(littleEndian ? 1 : 0)],
    [0x08, u8(1)],
    [0x85, Buffer.concat([number(2024), u8(2, 29, 4, 5, 6), number(250), number(0)])],
    [0x82, Buffer.from('4711')],
    [0x81, Buffer.from('Jane Doe')],
    [0x83, Buffer.concat([u8(0xff, 0, 0), number(1944), u8(3, 1)])],
    [0x84, u8(2)],
    [0x0b, u8(1, 0xfd, 1000 / rateHz)],
    [0x06, number(sequences)],
    [0x05, u8(leads.length)],
    [0x0a, u8(dataType)],
    [0x12, number(none, bytes)],
    [0x1e, Buffer.concat(data.flat(2))],
  ]
  const attributes = leads.map(({ name, gainUv }, i) => {
    const own = [
      tag(0x09, number(SCP_LEAD_CODES[name])),
      tag(0x04, number(blockLength)),
      tag(0x0c, Buffer.concat([u8(0, 0xfa), number(gainUv)])),
      ...channel,
    ]
    const value = Buffer.concat(own)
    return Buffer.concat([u8(0x3f, i, value.length), value])
  })
  const body = usual.flatMap(([name, value]) => {
    const chosen = name in tags ? tags[name] : value
    const written = chosen === undefined ? [] : [tag(name, chosen)]
    return name === 0x1e ? [...attributes, ...written] : written
  })
  return {
    name: 'x.mwf',
    bytes: Buffer.concat([tag(0x40, padded('MFR Standard 12 leads ECG', 32)), ...body, u8(0x80)]),
  }
}
