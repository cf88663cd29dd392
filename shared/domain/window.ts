/**
 * A window: ten seconds of a recording, the unit of screening.
 * @module
 */
import type { Waveform } from './waveform.ts'

export const WINDOW_S = 10

/**
 * Shortest recording that counts as a window, s. It is padded at its end with its last sample. Shorter recordings are refused, because the
 * model's performance on them was never measured.
 */
export const MIN_WINDOW_S = 9

/** Step between the windows that are tried in a longer recording, s. */
const SLIDE_S = 1

/** Samples of a window at the source's rate. */
export function windowSamples(rateHz: number): number {
  return Math.round(WINDOW_S * rateHz)
}

/** All leads are as long as the first. */
const samplesOf = ([first]: Waveform['leads']): number => first?.samples.length ?? 0

/** First samples of the recording's consecutive whole windows. A shorter recording is one (short) window. */
export function windowStarts({ rateHz, leads }: Waveform): number[] {
  const length = windowSamples(rateHz)
  const count = Math.max(1, Math.floor(samplesOf(leads) / length))
  return Array.from({ length: count }, (_, i) => i * length)
}

/** First samples of the windows to try, in order: the consecutive ones, then one at every second, as long as a whole window fits. */
export function slidingStarts(recording: Waveform): number[] {
  const { rateHz, leads } = recording
  const rest = samplesOf(leads) - windowSamples(rateHz)
  const step = Math.round(SLIDE_S * rateHz)
  const slid = Array.from({ length: Math.max(0, Math.floor(rest / step)) + 1 }, (_, i) => i * step)
  // A window next to a missing stretch may contain a second of it: acceptable, but worse than the next whole window.
  return [...new Set([...windowStarts(recording), ...slid])]
}

/** Cuts out the window that starts at `firstSample`. Its samples are views of the recording's. */
export function cutWindow({ rateHz, leads }: Waveform, firstSample: number): Waveform {
  const end = firstSample + windowSamples(rateHz)
  return { rateHz, leads: leads.map((lead) => ({ ...lead, samples: lead.samples.subarray(firstSample, end) })) }
}

/** Time of a recording's sample, ISO 8601; `null` when the source does not state a start. */
export function timeOfSample(startedAt: string | null | undefined, rateHz: number, sample: number): string | null {
  return startedAt == null ? null : new Date(Date.parse(startedAt) + (1000 * sample) / rateHz).toISOString()
}
