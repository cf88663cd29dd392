/**
 * Writes Contec files for tests of their reader.
 * @module
 */
import { MISSING_SAMPLE, type Recording } from '../../shared/domain/recording.ts'
import type { SourceFile } from '../../streams/formats/format.ts'
import { interleaved, padded, u8, u16 } from './bytes.ts'

export const CONTEC_LEADS = ['II', 'III', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6'] as const

/** A recording of the eight leads as the device writes it. */
export function writeContec({ leads }: Recording, time = '2024-03-02 04:05:06', person = [0, 61, 72]): SourceFile {
  const stored = interleaved(leads).map((sample) => (sample === MISSING_SAMPLE ? 0x6800 : sample + 2048))
  const header = [padded('0000050', 10, '\0'), padded(time, 22, '\0'), padded('Jane', 8, '\0'), u8(...person)]
  return { name: '1.ECG', bytes: Buffer.concat([...header, u16(...stored), Buffer.alloc(37)]) }
}
