/**
 * What one device and one tenant may ask of the adapter, so that none of them takes it from the others. A site sets it as
 * `deployment.gateway.adapter.limits`, an adapter that runs by itself as `DEVICE_LIMITS`.
 * @module
 */
import * as z from 'zod'

/** A bucket: full at first, and refilled evenly. Its size lets a device catch up after hours out of reach. */
const rate = (perSecond: number, burst: number) =>
  z
    .strictObject({
      perSecond: z.number().positive().max(1_000_000).default(perSecond),
      /** So many at once. */
      burst: z.int().min(1).max(10_000_000).default(burst),
    })
    .prefault({})

const share = (most: number) => z.number().positive().max(1).default(most)

/**
 * A live device sends 0.5 to 5 frames/s and one session in hours. One that was away for four hours catches up at once, one that was away for a day in
 * an hour. A tenant's rates are beyond what one adapter takes in, unless there are many tenants.
 */
export const DeviceLimits = z
  .strictObject({
    device: z
      .strictObject({
        frames: rate(50, 30_000),
        /** New sessions. */
        sessions: rate(0.1, 200),
        /** Refused payloads that are kept and sent to the dead-letter queue; what comes beyond is refused all the same, and only counted. */
        refusals: rate(0.2, 100),
        /** Of a journal that is filling up, where others use it too. */
        journalShare: share(0.25),
      })
      .prefault({}),
    tenant: z
      .strictObject({
        frames: rate(5000, 1_000_000),
        sessions: rate(20, 20_000),
        refusals: rate(5, 2000),
        journalShare: share(0.5),
      })
      .prefault({}),
  })
  .prefault({})
export type DeviceLimits = z.infer<typeof DeviceLimits>
