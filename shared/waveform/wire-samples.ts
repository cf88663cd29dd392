/**
 * Samples in messages and JSON files: int16 as bytes (protobuf), base64, or an array of numbers and nulls.
 * @module
 */
import { MISSING_FRAME_SAMPLE } from '../domain/frame.ts'
import { MISSING_SAMPLE } from '../domain/recording.ts'
import { CodedError } from '../errors.ts'
import { bytesOfBase64 } from './base64.ts'

/**
 * Decodes samples.
 * @throws CodedError `sample-invalid`, `samples-uneven` (an odd number of bytes)
 */
export function samplesOfWire(wire: unknown): Int16Array {
  return Array.isArray(wire) ? samplesFromNumbers(wire) : samplesFromBytes(wire)
}

/** The samples of a lead as a recording has them. */
export function fromWire(samples: Int16Array): Int32Array {
  const converted = new Int32Array(samples.length)
  for (let i = 0; i < samples.length; i++) {
    const value = samples[i]!
    converted[i] = value === MISSING_FRAME_SAMPLE ? MISSING_SAMPLE : value
  }
  return converted
}

function samplesFromBytes(wire: unknown): Int16Array {
  const bytes = wire instanceof Uint8Array ? wire : typeof wire === 'string' ? bytesOfBase64(wire) : undefined
  if (bytes === undefined) throw new CodedError('sample-invalid', { field: 'samples' })
  if (bytes.length % 2 !== 0) throw new CodedError('samples-uneven', { field: 'samples' })
  // A copy: aligned for int16 (all of Node's platforms are little-endian), and free of the network buffer.
  return new Int16Array(Uint8Array.from(bytes).buffer)
}

function samplesFromNumbers(wire: readonly unknown[]): Int16Array {
  const samples = new Int16Array(wire.length)
  for (const [index, value] of wire.entries()) {
    if (value === null) samples[index] = MISSING_FRAME_SAMPLE
    else if (Number.isInteger(value) && Math.abs(Number(value)) <= 0x7fff) samples[index] = Number(value)
    else throw new CodedError('sample-invalid', { field: `samples[${index}]` })
  }
  return samples
}
