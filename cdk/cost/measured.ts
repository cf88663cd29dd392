/**
 * Measured figures of the cost model: the only source of service times and sizes for cost and scale. After `bench --json` on a quiet
 * machine, copy its `screen` and `message` to `measured.json`, with machine and date.
 * @module
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'

const Positive = z.number().positive()

const Measured = z.strictObject({
  date: z.iso.date(),
  bundle: z.string(),
  machine: z.string(),
  /** `screen` of `bench --json`. */
  screen: z.object({ windowsPerSecond: Positive, prepareMs: Positive, inferenceMs: Positive }),
  /** `message` of `bench --json`. */
  message: z.object({
    p50Bytes: Positive,
    maxBytes: Positive,
    inlineShare: z.number(),
    screeningP50Bytes: Positive,
    resultP50Bytes: Positive,
    resultStoredP50Bytes: Positive,
  }),
  /** Our own log lines per window, bytes; checked by a test of the pipeline. */
  logBytes: Positive,
  /** One adapter under load (`test/streams/mqtt/throughput.ts`): processor use for a number of devices. */
  adapter: z.object({
    devices: Positive,
    framesPerSecond: Positive,
    cores: Positive,
    /** Limited by the broker's window of unacknowledged messages and the time of a commit. */
    framesPerSecondAConnection: Positive,
  }),
})
export type Measured = z.infer<typeof Measured>

export const readMeasured = (): Measured =>
  Measured.parse(JSON.parse(readFileSync(join(import.meta.dirname, 'measured.json'), 'utf8')))
