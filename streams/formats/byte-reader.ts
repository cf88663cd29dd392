/**
 * Reads binary formats sequentially and never beyond the end.
 * @module
 */
import { CodedError } from '../../shared/errors.ts'

export interface ByteReaderOptions {
  readonly littleEndian?: boolean
  /** Offset of `bytes` within the file, for offsets in errors. */
  readonly base?: number
}

/**
 * A position in bytes that advances with each read. Every read names its field. A read beyond the end throws CodedError `payload-malformed`
 * with that field and the offset in the file.
 * @example
 * const reader = new ByteReader(bytes)
 * const samples = reader.u32('samples')
 */
export class ByteReader {
  littleEndian: boolean
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #base: number
  #position = 0

  constructor(bytes: Uint8Array, { littleEndian = true, base = 0 }: ByteReaderOptions = {}) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.littleEndian = littleEndian
    this.#base = base
  }

  get position(): number {
    return this.#position
  }

  get remaining(): number {
    return this.#bytes.length - this.#position
  }

  u8(field: string): number {
    return this.#view.getUint8(this.#advance(1, field))
  }

  i8(field: string): number {
    return this.#view.getInt8(this.#advance(1, field))
  }

  u16(field: string): number {
    return this.#view.getUint16(this.#advance(2, field), this.littleEndian)
  }

  i16(field: string): number {
    return this.#view.getInt16(this.#advance(2, field), this.littleEndian)
  }

  u32(field: string): number {
    return this.#view.getUint32(this.#advance(4, field), this.littleEndian)
  }

  i32(field: string): number {
    return this.#view.getInt32(this.#advance(4, field), this.littleEndian)
  }

  f32(field: string): number {
    return this.#view.getFloat32(this.#advance(4, field), this.littleEndian)
  }

  f64(field: string): number {
    return this.#view.getFloat64(this.#advance(8, field), this.littleEndian)
  }

  /** The next bytes, as a view. */
  bytes(length: number, field: string): Uint8Array {
    const at = this.#advance(length, field)
    return this.#bytes.subarray(at, at + length)
  }

  /** The next bytes as Latin-1 text up to the first NUL, trimmed. */
  text(length: number, field: string): string {
    return latin1(this.bytes(length, field))
  }

  /** The next bytes as a separate reader. */
  section(length: number, field: string): ByteReader {
    const base = this.#base + this.#position
    return new ByteReader(this.bytes(length, field), { littleEndian: this.littleEndian, base })
  }

  skip(length: number, field: string): void {
    this.#advance(length, field)
  }

  /** Moves to a position relative to the start of the reader's bytes. */
  seek(position: number, field: string): void {
    if (!(Number.isInteger(position) && position >= 0 && position <= this.#bytes.length)) throw this.malformed(field)
    this.#position = position
  }

  /** An error with the field and the current position. */
  malformed(field: string): CodedError {
    return new CodedError('payload-malformed', { field, offset: this.#base + this.#position })
  }

  #advance(length: number, field: string): number {
    if (!(Number.isInteger(length) && length >= 0 && length <= this.remaining)) throw this.malformed(field)
    const at = this.#position
    this.#position += length
    return at
  }
}

/** Latin-1 text up to the first NUL, trimmed. */
export function latin1(bytes: Uint8Array): string {
  const end = bytes.indexOf(0)
  return Buffer.from(bytes.buffer, bytes.byteOffset, end < 0 ? bytes.length : end)
    .toString('latin1')
    .trim()
}
