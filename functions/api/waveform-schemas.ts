/**
 * Zod schemas of waveforms and attributions (see `schemas.ts`).
 * @module
 */
import { z } from '@hono/zod-openapi'
import { LEADS } from '../../shared/domain/leads.ts'
import { Condition, EcgIdText } from './schemas.ts'

export const Waveform = z
  .object({
    ecgId: EcgIdText,
    version: z
      .int()
      .openapi({ description: 'Version of the ECG. A correction has more samples than the previous version.' }),
    rateHz: z.number(),
    samples: z.int().openapi({ description: 'Samples per lead in the whole recording.' }),
    firstSample: z.int(),
    leads: z.array(
      z.object({
        name: z.enum(LEADS),
        gainUv: z.number().openapi({ description: 'Microvolts per step.' }),
        samples: z
          .array(z.int().nullable())
          .openapi({ description: 'Samples as received; null for a missing sample.' }),
      }),
    ),
    notice: z.string(),
  })
  .openapi('Waveform')

export const ModelInput = z
  .object({
    ecgId: EcgIdText,
    profile: z.string(),
    rateHz: z.number(),
    fromS: z.number().openapi({ description: 'Start of the window in the recording, seconds.' }),
    steps: z.int().openapi({ description: 'Divide a sample by this value to get the range [−1, 1].' }),
    leads: z.array(z.object({ name: z.enum(LEADS), samples: z.array(z.int()) })),
    notice: z.string(),
  })
  .openapi('ModelInput', {
    description: 'Each lead is filtered and scaled to [−1, 1] on its own, so it shows no voltage and no ST level.',
  })

export const Attribution = z
  .object({
    ecgId: EcgIdText,
    version: z.int(),
    modelSha256: z.string(),
    method: z.string(),
    fromS: z.number().openapi({ description: 'Start of the first stretch in the recording, seconds.' }),
    stretchMs: z.number(),
    conditions: z.array(
      z.object({
        condition: Condition,
        leads: z.array(
          z.object({
            lead: z.enum(LEADS),
            changes: z.array(z.number()).openapi({
              description:
                'Contribution of each stretch to the log-odds: score with the stretch minus score without it.',
            }),
          }),
        ),
      }),
    ),
    notice: z.string(),
  })
  .openapi('Attribution', { description: 'Stretches that influenced the network. They do not explain a disease.' })
