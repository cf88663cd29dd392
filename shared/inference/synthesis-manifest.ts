/**
 * The part of a bundle's manifest that says how it draws cines; absent in bundles that only screen.
 * @module
 */

import * as z from 'zod'
import { INDICES } from '../domain/conditions.ts'
import { EVIDENCES } from '../domain/result.ts'
import { CodedError } from '../errors.ts'

/** What a cine shows: the short axis, or four chambers. */
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
  /** Scale of classifier-free guidance; 1 is none. */
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
        /** Of the label's area over the cycle. */
        statistic: z.enum(['max', 'min']),
        power: z.number().positive(),
      }),
    ),
    indices: z.array(
      z.object({
        id: z.enum(INDICES.map(({ id }) => id)),
        intercept: z.number(),
        weights: z.array(z.number()),
        /** Pearson correlation with the truth, read from true cines of held-out people: the read-out's own ceiling. */
        correlation: z.number().min(-1).max(1),
        /** The same of cines that each sampler drew of held-out people's ECGs; absent where nobody measured it. */
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
    /** The ECG encoder that the denoiser learned from: screening's own goes on to learn. */
    encoder: z.string(),
    latent: z.object({
      channels: z.int().positive(),
      /** Frames that are drawn, evenly spaced over one cycle. */
      frames: z.int().positive(),
      /** What the decoder's input is divided by. */
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
    /** Name of the sampler that is used where none is asked for. */
    default: z.string(),
    /** Frames of a cine, interpolated from those that are drawn. */
    framesOut: z.int().positive(),
    /** Leads that the encoder must have seen. */
    minimumLeads: z.int().min(1).max(12),
    readout: Readout,
  })
  .check(({ value, issues }) => {
    const wrong = (path: (string | number)[], message: string) =>
      issues.push({ code: 'custom', message, path, input: value })
    if (!value.samplers.some(({ name }) => name === value.default)) wrong(['default'], 'no such sampler')
    for (const [i, { prediction, steps }] of value.samplers.entries()) {
      // Where nothing of the signal is left, no noise that is taken off tells what it was.
      if (value.schedule.zeroTerminalSnr && prediction === 'epsilon')
        wrong(['samplers', i, 'prediction'], 'ε says nothing at zero SNR')
      if (steps > value.schedule.steps) wrong(['samplers', i, 'steps'], 'more than the schedule has')
    }
  })
export type SynthesisManifest = z.infer<typeof SynthesisManifest>

/**
 * The sampler of that name; the default where none is asked for.
 * @throws CodedError `field-invalid` naming `sampler`
 */
export function samplerOf({ samplers, default: standard }: SynthesisManifest, name = standard): Sampler {
  const sampler = samplers.find((each) => each.name === name)
  if (sampler !== undefined) return sampler
  throw new CodedError('field-invalid', { field: 'sampler', known: samplers.map((each) => each.name).join(',') })
}
