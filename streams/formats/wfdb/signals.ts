/**
 * Sample layouts of WFDB signal files, after signal(5) of the WFDB Applications Guide, physionet.org/physiotools/wag/signal-5.htm.
 * @module
 */
import { MISSING_SAMPLE } from '../../../shared/domain/recording.ts'

/** How a signal file packs its samples: frame by frame, one sample of each of its signals in turn. */
export interface SampleLayout {
  /** Bytes that `samples` samples fill. */
  bytes(samples: number): number
  /** Whole samples in so many bytes. */
  samples(bytes: number): number
  /**
   * Every `signals`-th sample from `first`, with `baseline` taken off; the invalid value becomes `MISSING_SAMPLE`.
   * @returns the samples, and their sum before that modulo 2^16
   */
  read(bytes: Uint8Array, first: number, signals: number, baseline: number, output: Int32Array): number
}

/** Format 16: two's complement, little-endian. */
const format16: SampleLayout = {
  bytes: (samples) => samples * 2,
  samples: (bytes) => Math.floor(bytes / 2),
  read(bytes, first, signals, baseline, output) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    let sum = 0
    for (let i = 0, at = first * 2; i < output.length; i++, at += signals * 2) {
      const value = view.getInt16(at, true)
      sum = (sum + value) & 0xffff
      output[i] = value === -0x8000 ? MISSING_SAMPLE : value - baseline
    }
    return sum
  },
}

/** Format 212: two 12-bit samples in three bytes, the high nibbles of both in the middle one. */
const format212: SampleLayout = {
  bytes: (samples) => Math.ceil(samples * 1.5),
  samples: (bytes) => Math.floor(bytes / 1.5),
  read(bytes, first, signals, baseline, output) {
    let sum = 0
    for (let i = 0, index = first; i < output.length; i++, index += signals) {
      const at = (index >> 1) * 3
      const middle = bytes[at + 1]!
      const bits = index % 2 === 0 ? ((middle & 0x0f) << 8) | bytes[at]! : ((middle & 0xf0) << 4) | bytes[at + 2]!
      const value = (bits << 20) >> 20
      sum = (sum + value) & 0xffff
      output[i] = value === -0x800 ? MISSING_SAMPLE : value - baseline
    }
    return sum
  },
}

/** By the number that stands in the header. A MATLAB v4 file (`.mat`) is format 16 behind 24 bytes of MATLAB's header. */
export const LAYOUTS: ReadonlyMap<number, SampleLayout> = new Map([
  [16, format16],
  [212, format212],
])
