/**
 * Converts a recording to the samples that devices send.
 * @module
 */
import { type FrameLead, MISSING_FRAME_SAMPLE } from '../../shared/domain/frame.ts'
import type { LeadName } from '../../shared/domain/leads.ts'
import { MISSING_SAMPLE, type RecordedLead, type Recording } from '../../shared/domain/recording.ts'
import { GAIN_RANGE_UV } from './frame-codec.ts'

/** Samples of a recording as int16, [leads][samples]. */
export interface WireSamples {
  readonly leads: readonly FrameLead[]
  readonly rows: readonly Int16Array[]
  readonly coarsened: readonly LeadName[]
}

const INT16_MAX = 0x7fff

/**
 * Keeps samples that fit int16 with the recording's own gain; otherwise uses the smallest whole multiple of that gain with which they fit.
 */
export function toWire({ leads }: Recording): WireSamples {
  const rows: Int16Array[] = []
  const coarsened: LeadName[] = []
  const wireLeads = leads.map(({ name, gainUv, samples }: RecordedLead): FrameLead => {
    let largest = 0
    for (const value of samples) if (value !== MISSING_SAMPLE) largest = Math.max(largest, Math.abs(value))
    const factor = Math.max(1, Math.ceil(largest / INT16_MAX), Math.ceil(GAIN_RANGE_UV.min / gainUv))
    if (factor > 1) coarsened.push(name)
    const row = new Int16Array(samples.length)
    for (let i = 0; i < row.length; i++) {
      const value = samples[i]!
      row[i] = value === MISSING_SAMPLE ? MISSING_FRAME_SAMPLE : Math.round(value / factor)
    }
    rows.push(row)
    return { name, gainUv: gainUv * factor }
  })
  return { leads: wireLeads, rows, coarsened }
}
