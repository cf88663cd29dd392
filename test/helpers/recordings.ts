/**
 * Recordings for tests, synthetic and real.
 * @module
 */
import type { LeadName } from '../../shared/domain/leads.ts'
import { LEADS } from '../../shared/domain/leads.ts'
import { MISSING_SAMPLE, type RecordedLead, type Recording } from '../../shared/domain/recording.ts'
import { filled } from './filled.ts'

/** A lead's samples in mV, NaN where one is missing. */
export function leadMv({ samples, gainUv }: RecordedLead): Float64Array {
  return filled(new Float64Array(samples.length), (i) => {
    const sample = samples[i]!
    return sample === MISSING_SAMPLE ? Number.NaN : (sample * gainUv) / 1000
  })
}

export interface SyntheticOptions {
  readonly rateHz?: number
  readonly seconds?: number
  readonly heartRateBpm?: number
  readonly leads?: readonly LeadName[]
  readonly gainUv?: number
}

/** Waves of a beat: time from the R peak, width (s) and height (mV) in lead II; drawn as Gaussians. */
const WAVES = [
  [-0.17, 0.022, 0.12],
  [-0.026, 0.009, -0.1],
  [0, 0.011, 1],
  [0.028, 0.01, -0.2],
  [0.26, 0.045, 0.3],
] as const

/** How strongly each lead sees the waves. */
const VIEW: Readonly<Record<LeadName, number>> = {
  I: 0.6,
  II: 1,
  III: 0.4,
  aVR: -0.8,
  aVL: 0.1,
  aVF: 0.7,
  V1: -0.5,
  V2: -0.7,
  V3: 0.5,
  V4: 1.4,
  V5: 1.2,
  V6: 0.9,
}

/** When the beats of a synthetic recording are, s: the first in the middle of an RR interval. */
export function syntheticBeats({ seconds = 10, heartRateBpm = 72 }: SyntheticOptions = {}): number[] {
  const rr = 60 / heartRateBpm
  return Array.from({ length: Math.floor(seconds / rr + 0.5) }, (_, beat) => (beat + 0.5) * rr)
}

/** A clean ECG of even rhythm whose limb leads fit one another; the same for the same options. */
export function syntheticRecording(options: SyntheticOptions = {}): Recording {
  const { rateHz = 500, seconds = 10, leads = LEADS, gainUv = 1 } = options
  const beats = syntheticBeats(options)
  const samples = Math.round(rateHz * seconds)
  const wave = filled(new Float64Array(samples), (i) => {
    const time = i / rateHz
    let sum = 0
    for (const beat of beats) {
      for (const [delay, width, height] of WAVES) {
        const widths = (time - beat - delay) / width
        // Further away, `exp` is 0.
        if (Math.abs(widths) < 39) sum += height * Math.exp(-(widths ** 2) / 2)
      }
    }
    return sum
  })
  return {
    format: 'synthetic',
    rateHz,
    leads: leads.map((name) => ({
      name,
      gainUv,
      samples: filled(new Int32Array(samples), (i) => Math.round((wave[i]! * VIEW[name] * 1000) / gainUv)),
    })),
  }
}
