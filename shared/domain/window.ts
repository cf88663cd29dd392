/**
 * A window: ten seconds of a recording, the unit of screening.
 * @module
 */
import type { Waveform } from './waveform.ts'

export const WINDOW_S = 10

/**
 * A recording of at least so long is a window, padded to its end by its last sample. Shorter ones are refused: what the model makes of less was
 * never measured.
 */
export const MIN_WINDOW_S = 9

/** Windows of a longer recording are tried at steps of this, until one is acceptable. */
const SLIDE_S = 1

/** Samples of a window at a source's rate. */
export function windowSamples(rateHz: number): number {
  return Math.round(WINDOW_S * rateHz)
}

/** All leads are as long as the first. */
const samplesOf = ([first]: Waveform['leads']): number => first?.samples.length ?? 0

/** The recording's consecutive whole windows, by their first sample; a shorter recording is one (short) window. */
export function windowStarts({ rateHz, leads }: Waveform): number[] {
  const length = windowSamples(rateHz)
  const count = Math.max(1, Math.floor(samplesOf(leads) / length))
  return Array.from({ length: count }, (_, i) => i * length)
}

/** Where windows are looked for, in order: the consecutive ones, then every second, as far as a whole window fits. */
export function slidingStarts(recording: Waveform): number[] {
  const { rateHz, leads } = recording
  const rest = samplesOf(leads) - windowSamples(rateHz)
  const step = Math.round(SLIDE_S * rateHz)
  const slid = Array.from({ length: Math.max(0, Math.floor(rest / step)) + 1 }, (_, i) => i * step)
  // Right beside a stretch of nothing lies a window with a second of it in: acceptable, and worse than the next whole one.
  return [...new Set([...windowStarts(recording), ...slid])]
}

/** The window that starts at `firstSample`. Its samples are views of the recording's. */
export function cutWindow({ rateHz, leads }: Waveform, firstSample: number): Waveform {
  const end = firstSample + windowSamples(rateHz)
  return { rateHz, leads: leads.map((lead) => ({ ...lead, samples: lead.samples.subarray(firstSample, end) })) }
}

/** When a recording's sample was taken, ISO 8601; `null` when the source does not say when it began. */
export function timeOfSample(startedAt: string | null | undefined, rateHz: number, sample: number): string | null {
  return startedAt == null ? null : new Date(Date.parse(startedAt) + (1000 * sample) / rateHz).toISOString()
}
