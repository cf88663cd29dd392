/**
 * The part of a bundle's manifest that describes how it draws cines; absent in bundles that only screen.
 * @module
 */

import * as z from 'zod'
import { INDICES } from '../domain/conditions.ts'
import { EVIDENCES } from '../domain/result.ts'
import { CodedError } from '../errors.ts'

/** View of a cine: short axis or four chambers. */
export const VIEWS = ['sax', '4ch'] as const
export type View = (typeof VIEWS)[number]

const ViewPart = z.object({
  /** Value of the networks' input `view`. */
  index: z.int().min(0),
  /** Rows and columns of a frame. */
  size: z.int().positive(),
  latentSize: z.int().positive(),
  spacingMm: z.number().positive(),
})

const Sampler = z.object({
  name: z.string().regex(/^[\w-]+$/),
  file: z.string(),
  prediction: z.enum(['epsilon', 'v']),
  steps: z.int().positive(),
  /** Scale of classifier-free guidance; 1 means no guidance. */
  guidance: z.number().min(1),
})
export type Sampler = z.infer<typeof Sampler>

/** value = intercept + Σ weight · area^power, in the index's unit */
const Readout = z
  .object({
    areaUnit: z.literal('cm2'),
    features: z.array(
      z.object({
        view: z.enum(VIEWS),
        /** Class of the view's segmenter: 1 LV cavity, 2 LV wall, 3 RV cavity, 4 LA cavity, 5 RA cavity. */
        label: z.int().min(1).max(5),
        /** Statistic of the label's area over the cycle. */
        statistic: z.enum(['max', 'min']),
        power: z.number().positive(),
      }),
    ),
    indices: z.array(
      z.object({
        id: z.enum(INDICES.map(({ id }) => id)),
        intercept: z.number(),
        weights: z.array(z.number()),
        /**
         * Pearson correlation with the truth when the index is read from true cines of held-out people: the upper bound of this read-out.
         */
        correlation: z.number().min(-1).max(1),
        /** The same for cines that each sampler drew from held-out people's ECGs; absent where it was not measured. */
        drawnCorrelation: z.record(z.string(), z.number().min(-1).max(1)).optional(),
      }),
    ),
  })
  .check(({ value, issues }) => {
    for (const [i, { weights }] of value.indices.entries()) {
      if (weights.length !== value.features.length)
        issues.push({
          code: 'custom',
          message: 'one weight a feature',
          path: ['indices', i, 'weights'],
          input: weights,
        })
    }
  })
export type Readout = z.infer<typeof Readout>

export const SynthesisManifest = z
  .object({
    evidence: z.enum(EVIDENCES),
    /** The ECG encoder that the denoiser was trained with. The screening encoder is trained further, so it differs. */
    encoder: z.string(),
    latent: z.object({
      channels: z.int().positive(),
      /** Frames that are drawn, evenly spaced over one cycle. */
      frames: z.int().positive(),
      /** The decoder's input is divided by this. */
      scale: z.number().positive(),
    }),
    views: z.object({ sax: ViewPart, '4ch': ViewPart }),
    schedule: z.object({
      steps: z.int().positive(),
      kind: z.literal('linear_sd'),
      betaStart: z.number().gt(0).lt(1),
      betaEnd: z.number().gt(0).lt(1),
      zeroTerminalSnr: z.boolean(),
    }),
    samplers: z.array(Sampler).min(1),
    /** Sampler that is used when none is requested. */
    default: z.string(),
    /** Frames of a cine, interpolated from those that are drawn. */
    framesOut: z.int().positive(),
    /** Fewest leads that the encoder needs. */
    minimumLeads: z.int().min(1).max(12),
    readout: Readout,
  })
  .check(({ value, issues }) => {
    const wrong = (path: (string | number)[], message: string) =>
      issues.push({ code: 'custom', message, path, input: value })
    if (!value.samplers.some(({ name }) => name === value.default)) wrong(['default'], 'no such sampler')
    for (const [i, { prediction, steps }] of value.samplers.entries()) {
      // At zero SNR no signal is left, so a prediction of the noise says nothing about it.
      if (value.schedule.zeroTerminalSnr && prediction === 'epsilon')
        wrong(['samplers', i, 'prediction'], 'ε says nothing at zero SNR')
      if (steps > value.schedule.steps) wrong(['samplers', i, 'steps'], 'more than the schedule has')
    }
  })
export type SynthesisManifest = z.infer<typeof SynthesisManifest>

/**
 * Finds a sampler by name; the default when no name is given.
 * @throws CodedError `field-invalid` naming `sampler`
 */
export function samplerOf({ samplers, default: standard }: SynthesisManifest, name = standard): Sampler {
  const sampler = samplers.find((each) => each.name === name)
  if (sampler !== undefined) return sampler
  throw new CodedError('field-invalid', { field: 'sampler', known: samplers.map((each) => each.name).join(',') })
}
