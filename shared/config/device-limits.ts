/**
 * Limits of one device and one tenant at the adapter, so that none of them uses up the share of the others. A site sets them as
 * `deployment.gateway.adapter.limits`; an adapter that runs on its own reads `DEVICE_LIMITS`.
 * @module
 */
import * as z from 'zod'

/** A token bucket: full at the start and refilled evenly. Its size lets a device catch up after hours offline. */
const rate = (perSecond: number, burst: number) =>
  z
    .strictObject({
      perSecond: z.number().positive().max(1_000_000).default(perSecond),
      /** Size of the bucket. */
      burst: z.int().min(1).max(10_000_000).default(burst),
    })
    .prefault({})

const share = (most: number) => z.number().positive().max(1).default(most)

/**
 * Defaults. A live device sends 0.5 to 5 frames/s and starts one session in hours. A device that was offline for four hours can send its
 * backlog at once, one that was offline for a day within an hour. A tenant's rates are above what one adapter can take, except with many
 * tenants.
 */
export const DeviceLimits = z
  .strictObject({
    device: z
      .strictObject({
        frames: rate(50, 30_000),
        /** New sessions. */
        sessions: rate(0.1, 200),
        /** Refused payloads that are kept and sent to the dead-letter queue. Above this rate they are still refused, but only counted. */
        refusals: rate(0.2, 100),
        /** Results that are published again, because the device repeats their frames. A live device makes six a minute. */
        results: rate(0.1, 400),
        /** Largest share of a journal that is filling up, where others use it too. */
        journalShare: share(0.25),
      })
      .prefault({}),
    tenant: z
      .strictObject({
        frames: rate(5000, 1_000_000),
        sessions: rate(20, 20_000),
        refusals: rate(5, 2000),
        results: rate(50, 20_000),
        journalShare: share(0.5),
      })
      .prefault({}),
  })
  .prefault({})
export type DeviceLimits = z.infer<typeof DeviceLimits>
