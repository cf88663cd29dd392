/**
 * Puts little-endian binary files together, for tests of their readers.
 * @module
 */
import type { LeadName } from '../../shared/domain/leads.ts'

/** Lead codes of SCP-ECG (EN 1064), also used by MFER and DICOM; the tests' own table, so that an error in ours is found. */
export const SCP_LEAD_CODES: Readonly<Record<LeadName, number>> = {
  I: 1,
  II: 2,
  V1: 3,
  V2: 4,
  V3: 5,
  V4: 6,
  V5: 7,
  V6: 8,
  III: 61,
  aVR: 62,
  aVL: 63,
  aVF: 64,
}

export const u8 = (...values: readonly number[]) => Buffer.from(values)
export const i16 = (...values: readonly number[]) => Buffer.from(Int16Array.from(values).buffer)
export const u16 = (...values: readonly number[]) => Buffer.from(Uint16Array.from(values).buffer)
export const i32 = (...values: readonly number[]) => Buffer.from(Int32Array.from(values).buffer)
export const u32 = (...values: readonly number[]) => Buffer.from(Uint32Array.from(values).buffer)

/** Latin-1 text, padded to this number of bytes. */
export function padded(text: string, length: number, pad = ' '): Buffer {
  if (text.length > length) throw new Error(`${text} is longer than ${length}`)
  return Buffer.from(text.padEnd(length, pad), 'latin1')
}

/** Samples of all leads in turn: [samples][leads]. */
export function interleaved(leads: readonly { readonly samples: Int32Array }[]): number[] {
  return Array.from(leads[0]!.samples, (_, i) => leads.map(({ samples }) => samples[i]!)).flat()
}
