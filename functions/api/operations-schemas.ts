/**
 * Zod schemas of the operations view (see `schemas.ts`).
 * @module
 */
import { z } from '@hono/zod-openapi'
import { QUEUE_NAMES } from '../../shared/aws/dead-letters.ts'
import { Condition } from './schemas.ts'

const Counted = z.array(z.object({ reason: z.string(), count: z.int() }))
const Queue = z.enum(QUEUE_NAMES)

export const Operations = z
  .object({
    at: z.string(),
    windows: z.object({
      spanS: z.int().openapi({ description: 'What arrived in these last seconds is counted.' }),
      devicesOnline: z.int().openapi({ description: 'With a window in the last minute.' }),
      perMinute: z.number(),
      screened: z.int(),
      refused: z.int(),
      lagS: z
        .object({ p50: z.number(), p95: z.number() })
        .optional()
        .openapi({ description: "From a live window's last sample, by the device's clock, to its stored result." }),
      refusals: Counted,
    }),
    queues: z.array(
      z.object({
        name: Queue,
        waiting: z.int().openapi({ description: 'Messages of all tenants.' }),
        dead: Counted.openapi({ description: 'Messages of the tenant in the dead-letter queue, by reason.' }),
        isPartial: z.boolean().openapi({ description: 'There are more than were looked at.' }),
      }),
    ),
    alarms: z.array(
      z.object({
        id: z.string(),
        of: z.string().optional().openapi({ description: 'Which queue, function or adapter.' }),
        state: z.enum(['ok', 'alarm', 'unknown']),
        since: z.string().optional(),
        runbook: z.string(),
      }),
    ),
    bundle: z.object({ name: z.string(), sha256: z.string() }).optional(),
    drift: z
      .object({
        at: z.string(),
        quality: z.number(),
        scores: z.array(z.object({ condition: Condition, shift: z.number() })),
      })
      .optional()
      .openapi({ description: 'Of the last population, against the reference (PSI); absent before the first.' }),
  })
  .openapi('Operations')

export const RedriveRequest = z
  .strictObject({
    queue: Queue,
    reason: z.string().max(64).optional().openapi({ description: 'Only messages that were given up for this.' }),
  })
  .openapi('RedriveRequest')

export const Redriven = z
  .object({
    queue: Queue,
    moved: z.int(),
    isPartial: z.boolean().openapi({ description: 'There are more: ask again.' }),
  })
  .openapi('Redriven')
