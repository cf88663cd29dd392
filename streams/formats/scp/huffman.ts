/**
 * Huffman tables of SCP-ECG (section 2), and decoding: ISO 11073-91064, clause 5.5 and annex C.
 * @module
 */
import { CodedError } from '../../../shared/errors.ts'
import type { ByteReader } from '../byte-reader.ts'

interface Code {
  readonly prefixBits: number
  /** Bits of the prefix and of a number after it, if any. */
  readonly totalBits: number
  /** Table to continue with, from 0; `undefined` when the code is for a number. */
  readonly nextTable: number | undefined
  /** Value of a code without bits after the prefix. */
  readonly value: number
}

/** A node of the code tree: the branches for bit 0 and bit 1. */
interface Node {
  readonly next: [Node | Code | undefined, Node | Code | undefined]
}

export type HuffmanTables = readonly Node[]

/** Count that selects the default table of annex C. */
const DEFAULT_TABLE = 19_999

/** More codes than any device defines. */
const MAX_CODES = 4096
const MAX_BITS = 32

/**
 * Reads section 2.
 * @throws CodedError `payload-malformed`
 */
export function readHuffmanTables(section: ByteReader): HuffmanTables {
  const field = 'huffman'
  const count = section.u16(field)
  if (count === DEFAULT_TABLE) return [defaultTable()]
  const tables: Node[] = []
  let codes = 0
  for (let table = 0; table < count; table++) {
    const root: Node = { next: [undefined, undefined] }
    const structures = section.u16(field)
    codes += structures
    if (codes > MAX_CODES) throw section.malformed(field)
    for (let i = 0; i < structures; i++) {
      const prefixBits = section.u8(field)
      const totalBits = section.u8(field)
      const isNumber = section.u8(field) !== 0
      const value = section.i16(field)
      const bits = section.u32(field)
      const nextTable = isNumber ? undefined : value - 1
      const isPossible =
        prefixBits >= 1 && prefixBits <= MAX_BITS && totalBits >= prefixBits && totalBits - prefixBits <= MAX_BITS
      if (!isPossible || (nextTable !== undefined && !(nextTable >= 0 && nextTable < count)))
        throw section.malformed(field)
      if (!addCode(root, bits, { prefixBits, totalBits, nextTable, value })) throw section.malformed(field)
    }
    tables.push(root)
  }
  if (tables.length === 0) throw section.malformed(field)
  return tables
}

/** Annex C.3.7.6: a zero; or ones, a zero and the sign, up to ±8; or 8 or 16 plain bits. */
function defaultTable(): Node {
  const root: Node = { next: [undefined, undefined] }
  const add = (bits: string, value: number, more = 0) =>
    addCode(root, Number.parseInt([...bits].reverse().join(''), 2), {
      prefixBits: bits.length,
      totalBits: bits.length + more,
      nextTable: undefined,
      value,
    })
  add('0', 0)
  for (let value = 1; value <= 8; value++) {
    add(`${'1'.repeat(value)}00`, value)
    add(`${'1'.repeat(value)}01`, -value)
  }
  add('1111111110', 0, 8)
  add('1111111111', 0, 16)
  return root
}

/** @returns false when another code is in the way. The first bit of a code is the lowest of `bits`. */
function addCode(root: Node, bits: number, code: Code): boolean {
  let node = root
  for (let i = 0; i < code.prefixBits - 1; i++) {
    const next: Node | Code = node.next[bitOf(bits, i)] ?? { next: [undefined, undefined] }
    if (!('next' in next)) return false
    node.next[bitOf(bits, i)] = next
    node = next
  }
  const last = bitOf(bits, code.prefixBits - 1)
  if (node.next[last] !== undefined) return false
  node.next[last] = code
  return true
}

const bitOf = (bits: number, i: number): 0 | 1 => ((bits >>> i) & 1 ? 1 : 0)

/**
 * Decodes `count` numbers from a lead's bits.
 * @throws CodedError `payload-malformed` naming `field` when the bits end too soon or are invalid
 */
export function decodeHuffman(tables: HuffmanTables, bytes: Uint8Array, count: number, field: string): Int32Array {
  const bits = bytes.length * 8
  // Every number takes at least one bit.
  if (count > bits) throw new CodedError('payload-malformed', { field })
  const output = new Int32Array(count)
  let at = 0
  const bit = (): 0 | 1 => {
    if (at >= bits) throw new CodedError('payload-malformed', { field })
    const value = (bytes[at >> 3]! >> (7 - (at & 7))) & 1
    at++
    return value === 0 ? 0 : 1
  }
  let table = tables[0]!
  for (let i = 0; i < count; ) {
    let node: Node | Code | undefined = table
    while (node !== undefined && 'next' in node) node = node.next[bit()]
    if (node === undefined) throw new CodedError('payload-malformed', { field })
    if (node.nextTable !== undefined) table = tables[node.nextTable]!
    else output[i++] = node.totalBits === node.prefixBits ? node.value : signed(bit, node.totalBits - node.prefixBits)
  }
  return output
}

/** A number in two's complement, most significant bit first. */
function signed(bit: () => 0 | 1, bits: number): number {
  let value = -bit()
  for (let i = 1; i < bits; i++) value = (value << 1) | bit()
  return value
}
