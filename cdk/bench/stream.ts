/**
 * Benchmark of many live devices against the local stack: latency from the last frame of a window to its result.
 * @module
 */
import { readRecording } from '../../streams/formats/index.ts'
import { type LoadFigures, openLinks, streamLoad, WINDOW_S } from './load.ts'
import { withLocalStack } from './process.ts'
import { DEMO_RECORD } from './windows.ts'

const DEVICES_A_LINK = 20

export interface StreamFigures extends LoadFigures {
  /** All devices in step, so that every window ends at the same moment. */
  readonly alignedBurst: LoadFigures
}

export async function benchStream(devices: number, seconds: number): Promise<StreamFigures> {
  const recording = await readRecording(DEMO_RECORD)
  return withLocalStack(async (mqttUrl) => {
    const links = await openLinks(mqttUrl, devices, DEVICES_A_LINK)
    // Two windows of some devices as a warm-up, so that a running service is measured.
    await streamLoad(recording, links, { devices: 40, seconds: 2 * WINDOW_S, spreadMs: WINDOW_S * 1000 })
    const spread = await streamLoad(recording, links, { devices, seconds, spreadMs: WINDOW_S * 1000 })
    const alignedBurst = await streamLoad(recording, links, { devices, seconds: 2 * WINDOW_S, spreadMs: 0 })
    await Promise.all(links.map((link) => link.close()))
    return { ...spread, alignedBurst }
  })
}
