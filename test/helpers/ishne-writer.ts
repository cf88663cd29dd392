/**
 * Writes ISHNE files for tests of their reader.
 * @module
 */
import { LEADS } from '../../shared/domain/leads.ts'
import type { Recording } from '../../shared/domain/recording.ts'
import { crcCcitt } from '../../streams/formats/crc.ts'
import type { SourceFile } from '../../streams/formats/format.ts'
import { i16, i32, interleaved, padded } from './bytes.ts'

export interface IshneFields {
  readonly samples?: number
  readonly ecgOffset?: number
  readonly variableBytes?: number
  readonly sex?: number
  readonly birth?: readonly number[]
  readonly date?: readonly number[]
  readonly leads?: number
  readonly specifications?: readonly number[]
  readonly nanovolts?: number
  readonly rateHz?: number
  readonly checksum?: number
}

export function writeIshne({ leads, rateHz }: Recording, fields: IshneFields = {}): SourceFile {
  const twelve = (values: readonly number[]) => i16(...values, ...Array<number>(12 - values.length).fill(-9))
  const header = Buffer.concat([
    i32(fields.variableBytes ?? 4, fields.samples ?? leads[0]!.samples.length, 522, fields.ecgOffset ?? 526),
    i16(1),
    padded('Jane', 40, '\0'),
    padded('Doe', 40, '\0'),
    padded('4711', 20, '\0'),
    i16(fields.sex ?? 2, 0, ...(fields.birth ?? [1, 3, 1944]), ...(fields.date ?? [29, 2, 2024]), 1, 3, 2024, 4, 5, 6),
    i16(fields.leads ?? leads.length),
    twelve(fields.specifications ?? leads.map(({ name }) => LEADS.indexOf(name) + 5)),
    twelve([]),
    twelve(leads.map(({ gainUv }) => fields.nanovolts ?? gainUv * 1000)),
    i16(0),
    padded('digital', 40, '\0'),
    i16(fields.rateHz ?? rateHz),
    Buffer.alloc(80 + 80 + 88),
    Buffer.from('note'),
  ])
  const checksum = Buffer.from(Uint16Array.of(fields.checksum ?? crcCcitt(header)).buffer)
  return {
    name: 'x.ecg',
    bytes: Buffer.concat([Buffer.from('ISHNE1.0'), checksum, header, i16(...interleaved(leads))]),
  }
}
