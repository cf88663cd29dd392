/**
 * The signal profile: versioned constants of preprocessing, from the file that training also reads.
 * @module
 */
import profile from './cardiacnets-v1.json' with { type: 'json' }

export type SignalProfile = typeof profile

/** Profile `cardiacnets-v1`. Source of each constant: docs/signal-profile.md. */
export const CARDIACNETS_V1: SignalProfile = profile

/** Samples of one mean RR interval at the profile's rate, rounded half up. An implausible heart rate is replaced by the fallback. */
export function seasonalPeriod(profile: SignalProfile, heartRateBpm: number | null): number {
  const { minHeartRateBpm, maxHeartRateBpm, fallbackHeartRateBpm } = profile.baseline
  const believed = heartRateBpm !== null && heartRateBpm >= minHeartRateBpm && heartRateBpm <= maxHeartRateBpm
  return Math.floor((60 * profile.rateHz) / (believed ? heartRateBpm : fallbackHeartRateBpm) + 0.5)
}
