/**
 * Operating points by sex and age: the threshold above which a finding is flagged, chosen so that about the same share of healthy people is
 * flagged in every group (conformal prediction by group: `evaluation/limits.py` of the training says how). They are in the bundle's manifest
 * and were set on ECGs that readers called normal.
 * @module
 */
import * as z from 'zod'
import type { Person } from '../domain/recording.ts'

const Share = z.number().gt(0).lt(1)

export const Limits = z.object({
  /** Name of the ECGs that the limits were set on. */
  dataset: z.string(),
  /** Share of a band's normal ECGs that may lie above its limit. */
  falseAlarms: Share,
  /** The first band that contains the person applies. */
  bands: z
    .array(
      z.object({
        /** Absent: both sexes. */
        sex: z.enum(['male', 'female']).optional(),
        fromAge: z.number().nonnegative(),
        belowAge: z.number().positive(),
        /** Number of normal ECGs that the limit was set on. */
        n: z.int().positive(),
        threshold: Share,
      }),
    )
    .min(1),
  /** Applies where sex or age is unknown, or in no band. */
  otherwise: Share,
})
export type Limits = z.infer<typeof Limits>

/** The limit that applies to a person. */
export function limitFor(limits: Limits, { sex, ageYears }: Person): number {
  if (sex === undefined || ageYears === undefined) return limits.otherwise
  const band = limits.bands.find(
    (each) => (each.sex ?? sex) === sex && ageYears >= each.fromAge && ageYears < each.belowAge,
  )
  return band?.threshold ?? limits.otherwise
}

/** Applies the same change to every limit, for example for a stated base rate. */
export function mapLimits(limits: Limits, change: (threshold: number) => number): Limits {
  return {
    ...limits,
    bands: limits.bands.map((band) => ({ ...band, threshold: change(band.threshold) })),
    otherwise: change(limits.otherwise),
  }
}
