/**
 * Measured figures of the cost model: the one place from which cost and scale take service times and sizes. After `bench --json` on a
 * quiet machine, copy its `screen` and `message` to `measured.json`, with machine and date.
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
  /** Our own log lines of a window; held by a test of the pipeline. */
  logBytes: Positive,
  /** One adapter under load (`test/streams/mqtt/throughput.ts`): so much of a core for so many devices. */
  adapter: z.object({
    devices: Positive,
    framesPerSecond: Positive,
    cores: Positive,
    /** By a broker's window of unacknowledged messages and the time of a commit. */
    framesPerSecondAConnection: Positive,
  }),
})
export type Measured = z.infer<typeof Measured>

export const readMeasured = (): Measured =>
  Measured.parse(JSON.parse(readFileSync(join(import.meta.dirname, 'measured.json'), 'utf8')))
