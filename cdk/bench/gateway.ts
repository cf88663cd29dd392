/**
 * Benchmark of the gateway with live devices and no cloud: latency from the last frame of a window to its result, and peak memory.
 * @module
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { CodedError } from '../../shared/errors.ts'
import { round } from '../../shared/statistics.ts'
import { readRecording } from '../../streams/formats/index.ts'
import { openLinks, streamLoad, WINDOW_S } from './load.ts'
import { DEMO_RECORD } from './windows.ts'

export interface GatewayFigures {
  readonly devices: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Peak resident memory (VmHWM); absent where the operating system does not report it. */
  readonly rssMb?: number
  readonly lost: number
  /** From the start of the process until it accepts and screens ECGs, with a warm compile cache. */
  readonly startMs: number
  /** Average use of one processor core while devices streamed; absent where the operating system does not report it. */
  readonly cpuShare?: number
  /** Processor cores that it may use. */
  readonly cores: number
}

const MAIN = resolve(import.meta.dirname, '../../streams/gateway/main.ts')
const SECONDS = 30
const DEVICES_A_LINK = 10

/** Flags of the systemd unit. */
const NODE_FLAGS = ['--max-semi-space-size=4', '--optimize-for-size']

const hasTaskset = spawnSync('taskset', ['--version']).error === undefined

export async function benchGateway(devices: number): Promise<GatewayFigures> {
  const folder = await mkdtemp(join(tmpdir(), 'cardiacnets-gateway-'))
  const file = join(folder, 'gateway.json')
  await writeFile(file, JSON.stringify({ data: 'data', tenant: 'bench', mqtt: { port: 0 }, status: { port: 0 } }))
  const own = [process.execPath, ...NODE_FLAGS, MAIN, file] as const
  const [command, ...args] = hasTaskset ? (['taskset', '-c', '0', ...own] as const) : own
  const start = () =>
    spawn(command, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: {
        ...process.env,
        NODE_COMPILE_CACHE: join(folder, 'compiled'),
        MALLOC_ARENA_MAX: '1',
        CODE_VERSION: 'bench',
      },
    })
  const first = start()
  await mqttPort(first.stderr)
  first.kill('SIGTERM')
  await once(first, 'exit')
  const startedAt = performance.now()
  const child = start()
  const exited = once(child, 'exit')
  try {
    const port = await mqttPort(child.stderr)
    const startMs = performance.now() - startedAt
    child.stderr.resume()
    const recording = await readRecording(DEMO_RECORD)
    const links = await openLinks(`mqtt://127.0.0.1:${port}`, devices, DEVICES_A_LINK)
    const [cpuBefore, streamingAt] = [cpuS(child.pid), performance.now()]
    const { p50Ms, p99Ms, lost } = await streamLoad(recording, links, {
      devices,
      seconds: SECONDS,
      spreadMs: 1000 * WINDOW_S,
    })
    const rssMb = peakMb(child.pid)
    const cpuAfter = cpuS(child.pid)
    const seconds = (performance.now() - streamingAt) / 1000
    await Promise.all(links.map((link) => link.close()))
    return {
      devices,
      p50Ms,
      p99Ms,
      ...(rssMb === undefined ? {} : { rssMb: round(rssMb) }),
      lost,
      startMs: round(startMs),
      ...(cpuBefore === undefined || cpuAfter === undefined
        ? {}
        : { cpuShare: round((cpuAfter - cpuBefore) / seconds) }),
      cores: hasTaskset ? 1 : availableParallelism(),
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

/**
 * Processor time of all threads so far, s. proc(5): fields 14 and 15, in hundredths of a second; the name before them may contain spaces.
 */
function cpuS(pid: number | undefined): number | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')
    return (Number(fields[11]) + Number(fields[12])) / 100
  } catch {
    return undefined
  }
}

if (import.meta.main) console.log(JSON.stringify(await benchGateway(Number(process.argv[2] ?? 50)), null, 2))
