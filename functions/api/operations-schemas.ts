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
      spanS: z.int().openapi({ description: 'Period counted, up to now, seconds.' }),
      devicesOnline: z.int().openapi({ description: 'Devices with a window in the last minute.' }),
      perMinute: z.number(),
      screened: z.int(),
      refused: z.int(),
      lagS: z
        .object({ p50: z.number(), p95: z.number() })
        .optional()
        .openapi({ description: 'Delay from the last sample of a live window (device clock) to its stored result.' }),
      refusals: Counted,
    }),
    queues: z.array(
      z.object({
        name: Queue,
        waiting: z.int().openapi({ description: 'Messages in the queue, of all tenants.' }),
        dead: Counted.openapi({ description: 'Messages of the tenant in the dead-letter queue, by reason.' }),
        isPartial: z.boolean().openapi({ description: 'True if not all messages were examined.' }),
      }),
    ),
    alarms: z.array(
      z.object({
        id: z.string(),
        of: z.string().optional().openapi({ description: 'Queue, function or adapter concerned.' }),
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
      .openapi({
        description:
          'Population stability index of the last population against the reference; absent before the first.',
      }),
  })
  .openapi('Operations')

export const RedriveRequest = z
  .strictObject({
    queue: Queue,
    reason: z.string().max(64).optional().openapi({ description: 'Only messages with this failure reason.' }),
  })
  .openapi('RedriveRequest')

export const Redriven = z
  .object({
    queue: Queue,
    moved: z.int(),
    isPartial: z.boolean().openapi({ description: 'True if more messages remain: repeat the request.' }),
  })
  .openapi('Redriven')
