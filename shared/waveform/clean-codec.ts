/**
 * Encoding of the clean window between `preprocess` and `screen`.
 *
 * Values in [−1, 1] are held as whole steps of 1/4095 from the start (0.4 µV for a lead that spans 3 mV, below the step of most devices),
 * so that a window has the same values whether it went through a queue or not. Third differences of smooth leads are small: the message of
 * a real window takes 41 KB (median of 186), and all fit one billing unit (docs/benchmarks.md).
 *
 * Layout: `ECC1`, uint16 LE mask of the leads present (bit i = lead i), float32 LE minimum and maximum (mV) of each of the twelve, then
 * zstd of the present leads' zigzag third differences as low and high bytes.
 * @module
 */
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { LEADS } from '../domain/leads.ts'
import { CodedError } from '../errors.ts'

/** Steps between 0 and 1. */
export const CLEAN_STEPS = 4095

/** The encoder's input for a window. */
export interface CleanWindow {
  /** `[12][samples]` lead-major, steps of 1/4095; zero where a lead is not present. */
  readonly codes: Int16Array
  /** `[12][2]`: minimum and maximum of each lead before min-max, mV. */
  readonly amplitude: Float32Array
  /** `[12]`: 1 where the lead is present and acceptable. */
  readonly leadMask: Uint8Array
}

const MAGIC = Buffer.from('ECC1', 'latin1')
const HEADER_BYTES = MAGIC.length + 2 + LEADS.length * 2 * 4

/** Packs a clean window. */
export function encodeClean(window: CleanWindow): Buffer {
  const samples = window.codes.length / LEADS.length
  const header = Buffer.alloc(HEADER_BYTES)
  MAGIC.copy(header)
  const present = LEADS.keys()
    .filter((lead) => window.leadMask[lead] === 1)
    .toArray()
  header.writeUInt16LE(
    present.reduce((mask, lead) => mask | (1 << lead), 0),
    MAGIC.length,
  )
  for (let i = 0; i < window.amplitude.length; i++) header.writeFloatLE(window.amplitude[i]!, MAGIC.length + 2 + 4 * i)
  const planes = Buffer.allocUnsafe(2 * present.length * samples)
  const planeBytes = present.length * samples
  let at = 0
  for (const lead of present) {
    let [a, b, c] = [0, 0, 0]
    for (let i = lead * samples; i < (lead + 1) * samples; i++) {
      const value = window.codes[i]!
      const third = value - 3 * a + 3 * b - c
      c = b
      b = a
      a = value
      const zigzag = (third << 1) ^ (third >> 31)
      planes[at] = zigzag & 0xff
      planes[planeBytes + at++] = zigzag >>> 8
    }
  }
  return Buffer.concat([header, zstdCompressSync(planes)])
}

/**
 * Unpacks the output of `encodeClean`.
 * @param samples samples per lead, as the profile defines
 * @throws CodedError `payload-malformed`
 */
export function decodeClean(bytes: Uint8Array, samples: number): CleanWindow {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  try {
    if (!buffer.subarray(0, MAGIC.length).equals(MAGIC)) throw new Error('no magic')
    const mask = buffer.readUInt16LE(MAGIC.length)
    const leadMask = Uint8Array.from(LEADS, (_, lead) => (mask >> lead) & 1)
    const amplitude = Float32Array.from({ length: LEADS.length * 2 }, (_, i) =>
      buffer.readFloatLE(MAGIC.length + 2 + 4 * i),
    )
    const planeBytes = leadMask.reduce((count, present) => count + present, 0) * samples
    const planes = zstdDecompressSync(buffer.subarray(HEADER_BYTES), { maxOutputLength: Math.max(1, 2 * planeBytes) })
    if (planes.length !== 2 * planeBytes) throw new Error('short planes')
    const codes = new Int16Array(LEADS.length * samples)
    let at = 0
    for (const lead of LEADS.keys()) {
      if (leadMask[lead] === 0) continue
      let [a, b, c] = [0, 0, 0]
      for (let i = lead * samples; i < (lead + 1) * samples; i++) {
        const zigzag = planes[at]! | (planes[planeBytes + at++]! << 8)
        const value = ((zigzag >>> 1) ^ -(zigzag & 1)) + 3 * a - 3 * b + c
        c = b
        b = a
        a = value
        codes[i] = value
      }
    }
    return { codes, amplitude, leadMask }
  } catch (cause) {
    throw new CodedError('payload-malformed', { field: 'clean' }, { cause })
  }
}
