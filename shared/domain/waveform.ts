/**
 * A waveform: samples and their rate, without anything that identifies a person.
 * @module
 */
import type { RecordedLead } from './recording.ts'

/** The part of a recording that is packed: everything that determines a result, and nothing that identifies anyone. */
export interface Waveform {
  readonly rateHz: number
  readonly leads: readonly RecordedLead[]
}
