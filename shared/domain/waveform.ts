/**
 * A waveform: samples and their rate, without anything that names a person.
 * @module
 */
import type { RecordedLead } from './recording.ts'

/** The part of a recording that is packed: all that decides a result, nothing that names anyone. */
export interface Waveform {
  readonly rateHz: number
  readonly leads: readonly RecordedLead[]
}
