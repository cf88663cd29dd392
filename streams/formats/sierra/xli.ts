/**
 * XLI, the compression of Philips XML. Philips publishes no description; the scheme was reverse-engineered by C. Watford and is described
 * at https://github.com/sixlettervariables/sierra-ecg-tools/wiki and http://code.google.com/p/sierra-ecg-tools/wiki/XliCompressionScheme.
 *
 * One chunk per lead: bytes of the chunk (int32), a number that is always 1 (int16), the first difference (int16), all little-endian; then
 * LZW with 10-bit codes. The result is the high bytes of all values, followed by their low bytes. The first two values are samples, the
 * others second differences, shifted by 64 and one position late. Limb leads III, aVR, aVL and aVF contain the difference from their
 * calculation from I and II.
 * @module
 */
import { CodedError } from '../../../shared/errors.ts'

const HEADER_BYTES = 8

/**
 * Decodes the first `leads` leads of XLI data, each of length `samples`.
 * @throws CodedError `payload-malformed` when the data end early or a code is invalid
 */
export function decodeXli(bytes: Uint8Array, leads: number, samples: number): Int32Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const decoded: Int32Array[] = []
  let offset = 0
  for (let lead = 0; lead < leads; lead++) {
    if (offset + HEADER_BYTES > bytes.length) throw malformed(lead)
    const size = view.getInt32(offset, true)
    const first = view.getInt16(offset + 6, true)
    offset += HEADER_BYTES
    if (size < 0 || offset + size > bytes.length) throw malformed(lead)
    const halves = new Uint8Array(2 * samples)
    decompress(bytes.subarray(offset, offset + size), halves, lead)
    decoded.push(integrate(halves, first))
    offset += size
  }
  return decoded
}

const CODE_BITS = 10
const MAX_CODES = 1 << CODE_BITS
const FIRST_FREE_CODE = 256

/** LZW with codes of a fixed width, most significant bit first; a full table is not changed. Fills `output`. */
function decompress(input: Uint8Array, output: Uint8Array, lead: number): void {
  // A code stands for earlier output: its position and length.
  const start = new Uint32Array(MAX_CODES)
  const length = new Uint32Array(MAX_CODES)
  let codes = FIRST_FREE_CODE
  let filled = 0
  let before = { start: 0, length: 0 }
  const available = Math.floor((input.length * 8) / CODE_BITS)
  for (let index = 0; index < available && filled < output.length; index++) {
    const code = codeAt(input, index)
    if (code > codes || (code === codes && before.length === 0)) throw malformed(lead)
    const isLiteral = code < FIRST_FREE_CODE
    // The code that is being defined: the previous output, followed by its first byte.
    const from = isLiteral ? filled : code === codes ? before.start : start[code]!
    const count = isLiteral ? 1 : code === codes ? before.length + 1 : length[code]!
    const end = Math.min(filled + count, output.length)
    if (isLiteral) output[filled] = code
    else for (let to = filled, at = from; to < end; to++, at++) output[to] = output[at]!
    if (before.length > 0 && codes < MAX_CODES) {
      // The previous bytes and the first of these are adjacent.
      start[codes] = before.start
      length[codes] = before.length + 1
      codes++
    }
    before = { start: filled, length: end - filled }
    filled = end
  }
  if (filled < output.length) throw malformed(lead)
}

function codeAt(input: Uint8Array, index: number): number {
  const bit = index * CODE_BITS
  const at = bit >> 3
  const word = (input[at]! << 8) | (input[at + 1] ?? 0)
  return (word >> (16 - CODE_BITS - (bit & 7))) & (MAX_CODES - 1)
}

/** Samples from second differences, given as high bytes and then low bytes. */
function integrate(halves: Uint8Array, first: number): Int32Array {
  const count = halves.length / 2
  const samples = new Int32Array(count)
  let difference = first
  for (let i = 0; i < count; i++) {
    const value = int16((halves[i]! << 8) | halves[count + i]!)
    if (i < 2) {
      samples[i] = value
      continue
    }
    samples[i] = int16(2 * samples[i - 1]! - samples[i - 2]! - difference)
    difference = value - 64
  }
  return samples
}

/** The encoder's registers are 16 bits wide. */
const int16 = (value: number) => (value << 16) >> 16

const malformed = (lead: number) => new CodedError('payload-malformed', { field: 'parsedwaveforms', lead: lead + 1 })

/**
 * Replaces the stored differences by the limb leads; `leads` start with I, II, III, aVR, aVL, aVF.
 *
 * Halves are rounded towards zero, as in C: then no lead of the real files that this was tested with is more than a step from the values
 * calculated from I and II. Rounded down, as in the Python reader `sierraecg`, some are 1.5 steps off, all of them at negative odd sums.
 */
export function restoreLimbLeads(leads: readonly Int32Array[]): void {
  const [one, two, three, right, left, foot] = leads
  for (let i = 0; i < one!.length; i++) {
    const [I, II] = [one![i]!, two![i]!]
    const III = int16(II - I - three![i]!)
    three![i] = III
    right![i] = int16(-right![i]! - half(I + II))
    left![i] = int16(half(I - III) - left![i]!)
    foot![i] = int16(half(II + III) - foot![i]!)
  }
}

const half = (value: number) => Math.trunc(value / 2)
