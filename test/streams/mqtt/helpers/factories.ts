/** Frames and recordings for tests. Each sample is known from its place, so that a window can be checked without keeping it. */
import type { Frame } from '../../../../shared/domain/frame.ts'
import { LEADS, type LeadName } from '../../../../shared/domain/leads.ts'
import type { Recording } from '../../../../shared/domain/recording.ts'
import { filled } from '../../../helpers/filled.ts'

export const NOW = Date.UTC(2026, 0, 2, 3, 4, 5)

/** The sample of a lead at a place in the session. */
export function sampleAt(lead: number, sample: number): number {
  return ((sample * 7 + lead * 911) % 4001) - 2000
}

export function makeFrame(fields: Partial<Frame> & { readonly length?: number } = {}): Frame {
  const { sequence = 0, length = 250, leads = ['I', 'II'].map(lead) } = fields
  const firstSample = fields.firstSample ?? sequence * length
  const samples = filled(new Int16Array(leads.length * length), (at) =>
    sampleAt(Math.floor(at / length), firstSample + (at % length)),
  )
  const { length: _, ...given } = fields
  return {
    session: 's1',
    sequence,
    firstSample,
    sessionStartedAtMs: NOW - 60_000,
    rateHz: 500,
    leads,
    samples,
    isLast: false,
    ...given,
  }
}

export function makeRecording(seconds: number, rateHz = 500): Recording {
  const length = Math.round(seconds * rateHz)
  return {
    format: 'test',
    rateHz,
    leads: LEADS.map((name, index) => ({
      name,
      gainUv: 2.5,
      samples: filled(new Int32Array(length), (sample) => sampleAt(index, sample)),
    })),
  }
}

// The cast is checked by what the codec accepts.
const lead = (name: string) => ({ name: name as LeadName, gainUv: 2.5 })
