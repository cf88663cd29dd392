/**
 * Puts little-endian binary files together, for tests of their readers.
 * @module
 */
export const u8 = (...values: readonly number[]) => Buffer.from(values)
export const i16 = (...values: readonly number[]) => Buffer.from(Int16Array.from(values).buffer)
export const u16 = (...values: readonly number[]) => Buffer.from(Uint16Array.from(values).buffer)
export const i32 = (...values: readonly number[]) => Buffer.from(Int32Array.from(values).buffer)
export const u32 = (...values: readonly number[]) => Buffer.from(Uint32Array.from(values).buffer)

/** Latin-1 text, padded to so many bytes. */
export function padded(text: string, length: number, pad = ' '): Buffer {
  if (text.length > length) throw new Error(`${text} is longer than ${length}`)
  return Buffer.from(text.padEnd(length, pad), 'latin1')
}

/** Samples of all leads in turn: [samples][leads]. */
export function interleaved(leads: readonly { readonly samples: Int32Array }[]): number[] {
  return Array.from(leads[0]!.samples, (_, i) => leads.map(({ samples }) => samples[i]!)).flat()
}
