/**
 * The sections of an SCP-ECG record, after ISO 11073-91064 (EN 1064, AAMI EC71), clause 5.
 * @module
 */
import type { ResultWarning } from '../../../shared/domain/warnings.ts'
import { CodedError } from '../../../shared/errors.ts'
import { ByteReader, latin1 } from '../byte-reader.ts'
import { crcCcitt } from '../crc.ts'

/** Bytes of the record's CRC and size. */
const RECORD_HEADER_BYTES = 6
/** Bytes of a section's CRC, id, length, versions and six reserved bytes. */
const SECTION_HEADER_BYTES = 16
const POINTER_BYTES = 10

export function looksLikeScp(bytes: Uint8Array): boolean {
  if (bytes.length < RECORD_HEADER_BYTES + SECTION_HEADER_BYTES) return false
  // From version 1.3 on, the reserved bytes of section 0 identify the format.
  if (latin1(bytes.subarray(16, 22)) === 'SCPECG') return true
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const [size, section, sectionBytes] = [view.getUint32(2, true), view.getUint16(8, true), view.getUint32(10, true)]
  // At least twelve pointers, to sections 0 to 11.
  return size === bytes.length && section === 0 && sectionBytes >= 136 && (sectionBytes - 16) % POINTER_BYTES === 0
}

/** Header, Huffman tables, leads, beats, reference beat, rhythm. The others contain measurements and text. */
const NEEDED = new Set([1, 2, 3, 4, 5, 6])

/** More than 255 leads of 64 KB, the most that section 6 can hold; limits the cost of checksums on a hostile file. */
const MAX_RECORD_BYTES = 32 * 1024 * 1024

/**
 * The bodies of the needed sections, by number. Each must match its own checksum or the record's; a mismatch of the other is a warning. A
 * damaged header (section 1) is left out, because the ECG does not need it.
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

/** @param length as in the pointer; section 0, which has no pointer, states its own */
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
    // Zero means that the writer computed none.
    if (!isSealed && checksum !== 0) throw reader.malformed(field)
    warnings.push({ code: 'checksum-mismatch', field })
  }
  reader.seek(start + SECTION_HEADER_BYTES, field)
  return reader.section(lengthThere - SECTION_HEADER_BYTES, field)
}
