/**
 * Sample layouts of WFDB signal files, after signal(5) of the WFDB Applications Guide, physionet.org/physiotools/wag/signal-5.htm.
 * @module
 */
import { MISSING_SAMPLE } from '../../../shared/domain/recording.ts'

/** How a signal file packs its samples: frame by frame, with one sample of each signal per frame. */
export interface SampleLayout {
  /** Number of bytes of `samples` samples. */
  bytes(samples: number): number
  /** Number of whole samples in `bytes` bytes. */
  samples(bytes: number): number
  /** The sample at an index, which must be within `bytes`. */
  at(bytes: DataView, index: number): number
  /** The value of an invalid sample. */
  readonly invalid: number
}

/** Consecutive samples of whole bytes. */
function wholeBytes(width: number, at: (view: DataView, byte: number) => number): SampleLayout {
  return {
    bytes: (samples) => samples * width,
    samples: (bytes) => Math.floor(bytes / width),
    at: (view, index) => at(view, index * width),
    invalid: -(2 ** (8 * width - 1)),
  }
}

/** Format 212: two 12-bit samples in three bytes; the middle byte has the high nibbles of both. */
const format212: SampleLayout = {
  bytes: (samples) => Math.ceil(samples * 1.5),
  samples: (bytes) => Math.floor(bytes / 1.5),
  at(view, index) {
    const byte = (index >> 1) * 3
    const middle = view.getUint8(byte + 1)
    const bits =
      index % 2 === 0 ? ((middle & 0x0f) << 8) | view.getUint8(byte) : ((middle & 0xf0) << 4) | view.getUint8(byte + 2)
    return (bits << 20) >> 20
  },
  invalid: -0x800,
}

/** Formats 310 and 311: three 10-bit samples in two byte pairs; the last group may be incomplete. */
function tenBits(at: (view: DataView, byte: number, place: number) => number): SampleLayout {
  return {
    bytes: (samples) => Math.floor(samples / 3) * 4 + (samples % 3) * 2,
    samples: (bytes) => Math.floor(bytes / 4) * 3 + (bytes % 4 >= 2 ? 1 : 0),
    at: (view, index) => (at(view, Math.floor(index / 3) * 4, index % 3) << 22) >> 22,
    invalid: -0x200,
  }
}

/** Bits 1 to 10 of each pair, then the remaining bits of both. */
const format310 = tenBits((view, byte, place) => {
  if (place < 2) return view.getUint16(byte + 2 * place, true) >> 1
  return (view.getUint16(byte, true) >> 11) | ((view.getUint16(byte + 2, true) >> 11) << 5)
})

/** Consecutive bits, from the lowest bit of both pairs taken together. */
const format311 = tenBits((view, byte, place) =>
  place === 0 ? view.getUint16(byte, true) : view.getUint32(byte, true) >>> (10 * place),
)

/**
 * Layouts by format number; 80 and 160 are offset binary. A MATLAB v4 file (`.mat`) is format 16 after a MATLAB header of 24 bytes. Not
 * supported: 8 (differences), 508, 516 and 524 (FLAC).
 */
export const LAYOUTS: ReadonlyMap<number, SampleLayout> = new Map([
  [16, wholeBytes(2, (view, byte) => view.getInt16(byte, true))],
  [24, wholeBytes(3, (view, byte) => view.getUint16(byte, true) | (view.getInt8(byte + 2) << 16))],
  [32, wholeBytes(4, (view, byte) => view.getInt32(byte, true))],
  [61, wholeBytes(2, (view, byte) => view.getInt16(byte, false))],
  [80, wholeBytes(1, (view, byte) => view.getUint8(byte) - 0x80)],
  [160, wholeBytes(2, (view, byte) => view.getUint16(byte, true) - 0x8000)],
  [212, format212],
  [310, format310],
  [311, format311],
])

/**
 * Reads every `signals`-th sample from `first` and subtracts `baseline`; invalid values become `MISSING_SAMPLE`.
 * @returns the sum of the samples modulo 2^16 before subtraction; `undefined` when a difference exceeds 32 bits
 */
export function readSignal(
  layout: SampleLayout,
  bytes: Uint8Array,
  first: number,
  signals: number,
  baseline: number,
  output: Int32Array,
): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let sum = 0
  for (let i = 0, index = first; i < output.length; i++, index += signals) {
    const value = layout.at(view, index)
    sum = (sum + value) & 0xffff
    const sample = value === layout.invalid ? MISSING_SAMPLE : value - baseline
    if (sample !== (sample | 0)) return undefined
    output[i] = sample
  }
  return sum
}
