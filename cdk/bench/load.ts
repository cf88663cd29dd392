/**
 * Load of live devices that stream a recording to a broker. Measures latency and number of results per window.
 * @module
 */
import { randomUUID } from 'node:crypto'
import type { Recording } from '../../shared/domain/recording.ts'
import { quantile, round } from '../../shared/statistics.ts'
import { streamRecording, type WindowTiming } from '../../streams/mqtt/device.ts'
import { DeviceLink } from '../../streams/mqtt/device-link.ts'

export const WINDOW_S = 10
/** How long a device continues after its last whole window. */
const END_MS = 250

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

/** Opens connections to a broker. Several devices share one, because the service is measured and not hundreds of sockets of one process. */
export function openLinks(url: string, devices: number, devicesALink: number): Promise<readonly DeviceLink[]> {
  const links = Array.from({ length: Math.ceil(devices / devicesALink) }, () => DeviceLink.open({ url, version: 4 }))
  return Promise.all(links)
}

export interface Load {
  readonly devices: number
  readonly seconds: number
  /** Devices start at random times within this interval. */
  readonly spreadMs: number
}

/** Streams a recording repeatedly from each device, and waits for every result. */
export async function streamLoad(
  recording: Recording,
  links: readonly DeviceLink[],
  { devices, seconds, spreadMs }: Load,
): Promise<LoadFigures> {
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
        // Each device stops as it started, at its own time; the rest of a window is then too short to be sent.
        signal: AbortSignal.timeout(delayMs + 1000 * seconds + END_MS),
      })
    }),
  )
  const windows = reports.flatMap((report) => report.windows)
  return figures(windows, devices, seconds)
}

function figures(windows: readonly WindowTiming[], devices: number, seconds: number): LoadFigures {
  const latencies = windows.flatMap(({ latencyMs }) => latencyMs ?? [])
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
