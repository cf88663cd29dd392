/**
 * The signal profile: the versioned constants of preprocessing, from the file that training reads too.
 * @module
 */
import profile from './cardiacnets-v1.json' with { type: 'json' }

export type SignalProfile = typeof profile

/** Profile `cardiacnets-v1` (docs/signal-profile.md says where each constant comes from). */
export const CARDIACNETS_V1: SignalProfile = profile

/** Samples of one mean RR interval at the profile's rate, rounded half up. A heart rate that is not believed counts as the fallback's. */
export function seasonalPeriod(profile: SignalProfile, heartRateBpm: number | null): number {
  const { minHeartRateBpm, maxHeartRateBpm, fallbackHeartRateBpm } = profile.baseline
  const believed = heartRateBpm !== null && heartRateBpm >= minHeartRateBpm && heartRateBpm <= maxHeartRateBpm
  return Math.floor((60 * profile.rateHz) / (believed ? heartRateBpm : fallbackHeartRateBpm) + 0.5)
}
