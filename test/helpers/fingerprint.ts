/**
 * What another program's reading of a real file is compared by.
 * @module
 */
import { createHash } from 'node:crypto'
import type { LeadName } from '../../shared/domain/leads.ts'
import type { Recording } from '../../shared/domain/recording.ts'

/** Name, µV a step, first five samples (steps), sum of all, and the beginning of the sha256 of all as int32 little-endian. */
export type LeadFingerprint = readonly [
  name: LeadName,
  gainUv: number,
  first: readonly number[],
  sum: number,
  sha256: string,
]

export function fingerprints({ leads }: Recording): LeadFingerprint[] {
  return leads.map(({ name, gainUv, samples }) => {
    const bytes = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength)
    const sha256 = createHash('sha256').update(bytes).digest('hex').slice(0, 16)
    return [name, gainUv, [...samples.subarray(0, 5)], samples.reduce((sum, sample) => sum + sample, 0), sha256]
  })
}
