/**
 * The sections of an SCP-ECG record, after ISO 11073-91064 (EN 1064, AAMI EC71), clause 5.
 * @module
 */
import type { ResultWarning } from '../../../shared/domain/warnings.ts'
import { CodedError } from '../../../shared/errors.ts'
import { ByteReader, latin1 } from '../byte-reader.ts'
import { crcCcitt } from '../crc.ts'

/** CRC and size of the record. */
const RECORD_HEADER_BYTES = 6
/** CRC, id, length, versions and six reserved bytes of a section. */
const SECTION_HEADER_BYTES = 16
const POINTER_BYTES = 10

export function looksLikeScp(bytes: Uint8Array): boolean {
  if (bytes.length < RECORD_HEADER_BYTES + SECTION_HEADER_BYTES) return false
  // From version 1.3 on, the reserved bytes of section 0 say so.
  if (latin1(bytes.subarray(16, 22)) === 'SCPECG') return true
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const [size, section, sectionBytes] = [view.getUint32(2, true), view.getUint16(8, true), view.getUint32(10, true)]
  // Twelve pointers at least: to the sections 0 to 11.
  return size === bytes.length && section === 0 && sectionBytes >= 136 && (sectionBytes - 16) % POINTER_BYTES === 0
}

/** Header, Huffman tables, leads, beats, reference beat, rhythm. The others are measurements and words. */
const NEEDED = new Set([1, 2, 3, 4, 5, 6])

/** More than 255 leads of 64 KB each, the most that section 6 can hold; keeps the checksums of a hostile file cheap. */
const MAX_RECORD_BYTES = 32 * 1024 * 1024

/**
 * The bodies of the needed sections that are there, by number. Each must be right by its own checksum or by the record's; what is wrong of the other is said. A
 * header (section 1) that is not is left out: the ECG does not need it.
 * @throws CodedError `payload-malformed` naming the section, `payload-too-large`
 */
export function readSections(bytes: Uint8Array, warnings: ResultWarning[]): ReadonlyMap<number, ByteReader> {
  if (bytes.length > MAX_RECORD_BYTES)
    throw new CodedError('payload-too-large', { field: 'record', maxBytes: MAX_RECORD_BYTES })
  const record = new ByteReader(bytes)
  const checksum = record.u16('checksum')
  const size = Math.min(record.u32('size'), bytes.length)
  const isSealed = crcCcitt(bytes.subarray(2, size)) === checksum
  if (!isSealed) warnings.push({ code: 'checksum-mismatch', field: 'record' })
  const pointers = readSection(bytes, RECORD_HEADER_BYTES, undefined, 0, isSealed, warnings)
  const sections = new Map<number, ByteReader>()
  while (pointers.remaining >= POINTER_BYTES) {
    const id = pointers.u16('section0')
    const length = pointers.u32('section0')
    // Counted from 1.
    const start = pointers.u32('section0') - 1
    if (!NEEDED.has(id) || length <= SECTION_HEADER_BYTES || sections.has(id)) continue
    try {
      sections.set(id, readSection(bytes, start, length, id, isSealed, warnings))
    } catch (error) {
      if (id !== HEADER_SECTION || !(error instanceof CodedError)) throw error
      warnings.push({ code: 'field-left-out', field: 'section1' })
    }
  }
  return sections
}

const HEADER_SECTION = 1

/** @param length as the pointer says it; section 0, which no pointer leads to, says its own */
function readSection(
  bytes: Uint8Array,
  start: number,
  length: number | undefined,
  id: number,
  isSealed: boolean,
  warnings: ResultWarning[],
): ByteReader {
  const field = `section${id}`
  const reader = new ByteReader(bytes)
  reader.seek(start, field)
  const checksum = reader.u16(field)
  const idThere = reader.u16(field)
  const lengthThere = reader.u32(field)
  if (idThere !== id || lengthThere !== (length ?? lengthThere)) throw reader.malformed(field)
  reader.seek(start + 2, field)
  if (crcCcitt(reader.bytes(lengthThere - 2, field)) !== checksum) {
    // Zero: the writer made none.
    if (!isSealed && checksum !== 0) throw reader.malformed(field)
    warnings.push({ code: 'checksum-mismatch', field })
  }
  reader.seek(start + SECTION_HEADER_BYTES, field)
  return reader.section(lengthThere - SECTION_HEADER_BYTES, field)
}
