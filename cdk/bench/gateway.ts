/**
 * The gateway with live devices and no cloud: from the last frame of a window to its result, and the peak of its memory.
 * @module
 */
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { CodedError } from '../../shared/errors.ts'
import { quantile, round } from '../../shared/statistics.ts'
import { readRecording } from '../../streams/formats/index.ts'
import { DeviceLink, streamRecording } from '../../streams/mqtt/device.ts'
import { DEMO_RECORD } from './windows.ts'

export interface GatewayFigures {
  readonly devices: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Peak resident memory (VmHWM); absent where the system does not say. */
  readonly rssMb?: number
  readonly lost: number
}

const MAIN = resolve(import.meta.dirname, '../../streams/gateway/main.ts')
const SECONDS = 30
const WINDOW_MS = 10_000
const DEVICES_A_LINK = 10

export async function benchGateway(devices: number): Promise<GatewayFigures> {
  const folder = await mkdtemp(join(tmpdir(), 'cardiacnets-gateway-'))
  const file = join(folder, 'gateway.json')
  await writeFile(file, JSON.stringify({ data: 'data', tenant: 'bench', mqtt: { port: 0 }, status: { port: 0 } }))
  const child = spawn(process.execPath, [MAIN, file], { stdio: ['ignore', 'ignore', 'pipe'] })
  const exited = once(child, 'exit')
  try {
    const port = await mqttPort(child.stderr)
    child.stderr.resume()
    const recording = await readRecording(DEMO_RECORD)
    const links = await Promise.all(
      Array.from({ length: Math.ceil(devices / DEVICES_A_LINK) }, () =>
        DeviceLink.open({ url: `mqtt://127.0.0.1:${port}`, version: 4 }),
      ),
    )
    const run = randomUUID().slice(0, 8)
    const reports = await Promise.all(
      Array.from({ length: devices }, (_, i) => {
        const delayMs = Math.floor(Math.random() * WINDOW_MS)
        return streamRecording(recording, {
          link: links[i % links.length]!,
          tenant: 'bench',
          device: `${run}-${i}`,
          loop: true,
          delayMs,
          signal: AbortSignal.timeout(delayMs + 1000 * SECONDS + 250),
        })
      }),
    )
    const rssMb = peakMb(child.pid)
    await Promise.all(links.map((link) => link.close()))
    const windows = reports.flatMap((report) => report.windows)
    const latencies = windows.flatMap(({ latencyMs }) => latencyMs ?? [])
    return {
      devices,
      p50Ms: round(quantile(latencies, 0.5)),
      p99Ms: round(quantile(latencies, 0.99)),
      ...(rssMb === undefined ? {} : { rssMb: round(rssMb) }),
      lost: windows.filter(({ results }) => results === 0).length,
    }
  } finally {
    child.kill('SIGTERM')
    await exited
    await rm(folder, { recursive: true, force: true })
  }
}

async function mqttPort(output: NodeJS.ReadableStream): Promise<string> {
  for await (const line of createInterface({ input: output })) {
    const port = /^gateway ready: .*"mqtt":(\d+)/.exec(line)?.[1]
    if (port !== undefined) return port
  }
  throw new CodedError('internal', { field: 'gateway' })
}

function peakMb(pid: number | undefined): number | undefined {
  try {
    const kilobytes = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return kilobytes === undefined ? undefined : Number(kilobytes) / 1024
  } catch {
    return undefined
  }
}
