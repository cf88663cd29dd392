/**
 * Operating points by sex and age: the threshold above which a finding is flagged, chosen so that about the same share of healthy people is
 * flagged in every group (conformal prediction by group: `evaluation/limits.py` of the training says how). They are in the bundle's manifest
 * and were set on ECGs that readers called normal. A bundle branch block in the ECG may raise the threshold.
 * @module
 */
import * as z from 'zod'
import { BLOCK_IDS, type BlockId } from '../domain/bundle-branch-blocks.ts'
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
  /** Lowest threshold where the ECG shows a block. Absent in bundles that read none. */
  inBlocks: z
    .array(
      z.object({
        block: z.enum(BLOCK_IDS),
        /** Number of ECGs with the block and nothing else that the threshold was set on, and the share of them above it. */
        n: z.int().positive(),
        falseAlarms: Share,
        threshold: Share,
      }),
    )
    .optional(),
})
export type Limits = z.infer<typeof Limits>

/** A threshold, and the block that raised it. */
export interface Threshold {
  readonly threshold: number
  readonly raisedBy?: BlockId
}

/** The limit that applies to a person. */
export function limitFor(limits: Limits, { sex, ageYears }: Person): number {
  if (sex === undefined || ageYears === undefined) return limits.otherwise
  const band = limits.bands.find(
    (each) => (each.sex ?? sex) === sex && ageYears >= each.fromAge && ageYears < each.belowAge,
  )
  return band?.threshold ?? limits.otherwise
}

/** The limit that applies to a person whose ECG shows these blocks. */
export function limitIn(limits: Limits, person: Person, blocks: readonly BlockId[]): Threshold {
  return (limits.inBlocks ?? []).reduce<Threshold>(
    (highest, { block, threshold }) =>
      blocks.includes(block) && threshold > highest.threshold ? { threshold, raisedBy: block } : highest,
    { threshold: limitFor(limits, person) },
  )
}

/** Applies the same change to every limit, for example for a stated base rate. */
export function mapLimits(limits: Limits, change: (threshold: number) => number): Limits {
  return {
    ...limits,
    bands: limits.bands.map((band) => ({ ...band, threshold: change(band.threshold) })),
    otherwise: change(limits.otherwise),
    ...(limits.inBlocks && {
      inBlocks: limits.inBlocks.map((each) => ({ ...each, threshold: change(each.threshold) })),
    }),
  }
}
