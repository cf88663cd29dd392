import { describe, expect, test } from 'vitest'
import { ByteReader } from '../../../streams/formats/byte-reader.ts'
import { codedError } from '../../helpers/errors.ts'

const bytes = Uint8Array.of(1, 2, 3, 4, 0x41, 0x20, 0, 0x42)

describe('ByteReader', () => {
  test('reads numbers in either byte order, and text up to its first NUL', () => {
    const little = new ByteReader(bytes)
    const big = new ByteReader(bytes, { littleEndian: false })

    expect([little.u16('a'), little.u16('b'), little.text(4, 'c'), little.remaining]).toEqual([0x0201, 0x0403, 'A', 0])
    expect([big.u16('a'), big.u16('b')]).toEqual([0x0102, 0x0304])
  })

  test.each([
    ['a number', (reader: ByteReader) => reader.u32('x')],
    ['bytes', (reader: ByteReader) => reader.bytes(3, 'x')],
    ['text', (reader: ByteReader) => reader.text(3, 'x')],
    ['bytes of a negative length', (reader: ByteReader) => reader.bytes(-1, 'x')],
    ['bytes of a length that is not a number', (reader: ByteReader) => reader.bytes(Number.NaN, 'x')],
    ['a section', (reader: ByteReader) => reader.section(3, 'x')],
    ['skipped bytes', (reader: ByteReader) => reader.skip(3, 'x')],
  ])('refuses to read %s past the end, and names the field and offset', (_, read) => {
    const reader = new ByteReader(bytes, { base: 100 })
    reader.skip(6, 'header')

    expect(codedError(() => read(reader))).toMatchObject({
      code: 'payload-malformed',
      detail: { field: 'x', offset: 106 },
    })
  })

  test.each([9, -1, 0.5])('refuses to seek to %d', (position) => {
    expect(codedError(() => new ByteReader(bytes).seek(position, 'x')).code).toBe('payload-malformed')
  })

  test('reports offsets in the file, also within a section, and stays inside the section', () => {
    const reader = new ByteReader(bytes)
    reader.skip(2, 'header')
    const section = reader.section(4, 'section')
    section.skip(4, 'all')

    expect(codedError(() => section.u8('x')).detail).toEqual({ field: 'x', offset: 6 })
    expect(reader.position).toBe(6)
  })
})
