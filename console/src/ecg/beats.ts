/**
 * Positions of the beats in a stretch, for the phase cursor. For display, not for measurement.
 * @module
 */
import type { Recording } from './recording.ts'

/** Refractory part of a beat, as a fraction of RR. */
const REFRACTORY = 0.5
/** Shortest RR interval if the rate is not known, s. With the refractory part it allows at most 200 beats per minute. */
const SHORTEST_RR_S = 0.6

/**
 * Finds R waves at the steepest points of all leads together.
 * @param rrMs the measured RR interval
 * @returns seconds into the recording
 */
export function rPeaks({ traces, rateHz, length }: Recording, from: number, to: number, rrMs?: number): number[] {
  const [begin, end] = [Math.max(1, Math.ceil(from * rateHz)), Math.min(length, Math.floor(to * rateHz))]
  if (end <= begin) return []
  const steepness = new Float32Array(end - begin)
  for (const { samples, isDerived } of traces.values()) {
    if (isDerived) continue
    for (let i = begin; i < end; i++) {
      const step = samples[i]! - samples[i - 1]!
      if (!Number.isNaN(step)) steepness[i - begin]! += step * step
    }
  }
  const smooth = overWindow(steepness, Math.max(1, Math.round(0.05 * rateHz)))
  // The threshold uses the median of the per-second maxima rather than the maximum, so that a single artefact does not hide every beat.
  const highest = Array.from({ length: Math.ceil(smooth.length / rateHz) }, (_, s) =>
    smooth.subarray(s * rateHz, (s + 1) * rateHz).reduce((a, b) => Math.max(a, b), 0),
  ).toSorted((a, b) => a - b)
  const threshold = 0.3 * highest[highest.length >> 1]!
  if (!(threshold > 0)) return []
  const apart = Math.round(REFRACTORY * (rrMs === undefined ? SHORTEST_RR_S : rrMs / 1000) * rateHz)
  const peaks: number[] = []
  for (let i = 0; i < smooth.length; i++) {
    const isHigh = smooth[i]! > threshold && smooth[i]! >= (smooth[i + 1] ?? 0) && smooth[i]! > (smooth[i - 1] ?? 0)
    if (!isHigh) continue
    const last = peaks.at(-1)
    if (last === undefined || i - last >= apart) peaks.push(i)
    else if (smooth[i]! > smooth[last]!) peaks[peaks.length - 1] = i
  }
  return peaks.map((peak) => (begin + peak) / rateHz)
}

/** Moving average. */
function overWindow(values: Float32Array, width: number): Float32Array {
  const half = width >> 1
  const means = new Float32Array(values.length)
  let sum = 0
  for (let i = 0; i < values.length + half; i++) {
    sum += values[i] ?? 0
    if (i >= width) sum -= values[i - width]!
    if (i >= half) means[i - half] = sum / width
  }
  return means
}
