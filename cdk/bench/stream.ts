/**
 * Many live devices against the local stack: from the last frame of a window to its result.
 * @module
 */
import { randomUUID } from 'node:crypto'
import type { Recording } from '../../shared/domain/recording.ts'
import { quantile, round } from '../../shared/statistics.ts'
import { readRecording } from '../../streams/formats/index.ts'
import { DeviceLink, streamRecording, type WindowTiming } from '../../streams/mqtt/device.ts'
import { withLocalStack } from './process.ts'
import { DEMO_RECORD } from './windows.ts'

const WINDOW_S = 10
/** How long a device goes on after its last whole window. */
const END_MS = 250
/** Devices that share one connection to the broker: what is measured is the service, not two hundred sockets of one process. */
const DEVICES_A_LINK = 20

export interface LoadFigures {
  readonly devices: number
  readonly seconds: number
  readonly windows: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  readonly lost: number
  readonly doubled: number
}

export interface StreamFigures extends LoadFigures {
  /** All devices in step: every window ends at the same moment. */
  readonly alignedBurst: LoadFigures
}

export async function benchStream(devices: number, seconds: number): Promise<StreamFigures> {
  const recording = await readRecording(DEMO_RECORD)
  return withLocalStack(async (mqttUrl) => {
    const links = await Promise.all(
      Array.from({ length: Math.ceil(devices / DEVICES_A_LINK) }, () => DeviceLink.open({ url: mqttUrl, version: 4 })),
    )
    // Two windows of some devices warm the path up: what is measured is a service that runs.
    await load(recording, links, { devices: 40, seconds: 2 * WINDOW_S, spreadMs: WINDOW_S * 1000 })
    const spread = await load(recording, links, { devices, seconds, spreadMs: WINDOW_S * 1000 })
    const alignedBurst = await load(recording, links, { devices, seconds: 2 * WINDOW_S, spreadMs: 0 })
    await Promise.all(links.map((link) => link.close()))
    return { ...spread, alignedBurst }
  })
}

interface Load {
  readonly devices: number
  readonly seconds: number
  /** Devices start at random within this time. */
  readonly spreadMs: number
}

async function load(recording: Recording, links: readonly DeviceLink[], { devices, seconds, spreadMs }: Load) {
  const run = randomUUID().slice(0, 8)
  const reports = await Promise.all(
    Array.from({ length: devices }, (_, i) => {
      const delayMs = Math.floor(Math.random() * spreadMs)
      return streamRecording(recording, {
        link: links[i % links.length]!,
        tenant: 'bench',
        device: `${run}-${i}`,
        loop: true,
        delayMs,
        // Each ends in its own time, as it began; what is left of a window then is too short to be sent.
        signal: AbortSignal.timeout(delayMs + 1000 * seconds + END_MS),
      })
    }),
  )
  const windows = reports.flatMap((report) => report.windows)
  return figures(windows, devices, seconds)
}

function figures(windows: readonly WindowTiming[], devices: number, seconds: number): LoadFigures {
  const latencies = windows.flatMap(({ latencyMs }) => (latencyMs === undefined ? [] : [latencyMs]))
  return {
    devices,
    seconds,
    windows: windows.length,
    p50Ms: round(quantile(latencies, 0.5)),
    p99Ms: round(quantile(latencies, 0.99)),
    maxMs: round(quantile(latencies, 1)),
    lost: windows.filter(({ results }) => results === 0).length,
    doubled: windows.filter(({ results }) => results > 1).length,
  }
}
