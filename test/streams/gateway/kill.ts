/**
 * The kill harness: devices stream, the gateway is killed (SIGKILL) at random moments and started again, and at the end every window must have its one result
 * and be in the cloud. `npm run -s node -- test/streams/gateway/kill.ts COUNT SEED`
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import { createServer as createTcpServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { DeviceLink, streamRecording } from '../../../streams/mqtt/device.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'

export interface KillReport {
  readonly kills: number
  readonly devices: number
  readonly windows: number
  readonly withoutResult: number
  readonly withDifferentResults: number
  /** Windows that the cloud has, told apart by their samples and times: all of these, and at most a last, partial one of each device. */
  readonly inCloud: number
  /** Peak of the gateway's memory over all its lives, MB. */
  readonly rssMb: number
}

export interface KillOptions {
  readonly kills: number
  readonly seed: number
  readonly devices?: number
  /** Times real time. */
  readonly speed?: number
}

const MAIN = resolve(import.meta.dirname, '../../../streams/gateway/main.ts')

export async function killGateway({ kills, seed, devices = 3, speed = 8 }: KillOptions): Promise<KillReport> {
  const folder = mkdtempSync(join(tmpdir(), 'kill-'))
  const random = generator(seed)
  const bodies = new Set<string>()
  const cloud = createServer(async (request, response) => {
    bodies.add(
      createHash('sha256')
        .update(await bodyOf(request))
        .digest('hex'),
    )
    response.writeHead(202).end('{}')
  }).listen(0, '127.0.0.1')
  await once(cloud, 'listening')
  const [mqttPort, statusPort] = [await freePort(), await freePort()]
  const file = join(folder, 'gateway.json')
  const forward = { kind: 'api', url: `http://127.0.0.1:${portOf(cloud)}/` }
  writeFileSync(
    file,
    JSON.stringify({
      data: 'data',
      mqtt: { port: mqttPort },
      status: { port: statusPort },
      forward,
      backlogPerSecond: 500,
    }),
  )
  let rssMb = 0
  let child = await startProcess(file)
  const kill = async () => {
    rssMb = Math.max(rssMb, peakMb(child))
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  const link = await DeviceLink.open({ url: `mqtt://127.0.0.1:${mqttPort}`, version: 4 })
  const ending = new AbortController()
  const streams = Promise.all(
    Array.from({ length: devices }, (_, index) =>
      streamRecording(syntheticRecording({ gainUv: 5, seconds: 7.31, heartRateBpm: 60 + 7 * index }), {
        link,
        tenant: 'local',
        device: `d${index}`,
        session: `seed-${seed}`,
        speed,
        delayMs: index * 40,
        loop: true,
        signal: ending.signal,
        resultTimeoutMs: 120_000,
      }),
    ),
  )
  for (let i = 0; i < kills; i++) {
    await new Promise((done) => setTimeout(done, 100 + random() * 1500))
    await kill()
    child = await startProcess(file)
  }
  ending.abort()
  const windows = (await streams).flatMap((report) => report.windows)
  // What the cloud does not have yet follows; the harness's own limit ends a wait in vain.
  for (let waitedMs = 0; bodies.size < windows.length && waitedMs < 60_000; waitedMs += 50) {
    await new Promise((done) => setTimeout(done, 50))
  }
  await link.close()
  await kill()
  cloud.closeAllConnections()
  cloud.close()
  rmSync(folder, { recursive: true, force: true })
  return {
    kills,
    devices,
    windows: windows.length,
    withoutResult: windows.filter(({ results }) => results === 0).length,
    withDifferentResults: windows.filter(({ results }) => results > 1).length,
    inCloud: bodies.size,
    rssMb,
  }
}

async function startProcess(file: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [MAIN, file], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, CODE_VERSION: 'kill' },
  })
  let text = ''
  for await (const chunk of child.stderr!) {
    text += String(chunk)
    if (text.includes('gateway ready')) {
      child.stderr!.resume()
      return child
    }
  }
  throw new Error(`the gateway did not start: ${text}`)
}

function peakMb({ pid }: ChildProcess): number {
  try {
    return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024
  } catch {
    return 0
  }
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}

async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const port = portOf(server)
  await new Promise((done) => server.close(done))
  return port
}

const portOf = (server: Pick<Server, 'address'>): number => {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** Mulberry32. */
function generator(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let value = Math.imul(state ^ (state >>> 15), 1 | state)
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value
    return ((value ^ (value >>> 14)) >>> 0) / 4_294_967_296
  }
}

if (process.argv[1] === import.meta.filename) {
  const [kills = '20', seed = '1'] = process.argv.slice(2)
  const report = await killGateway({ kills: Number(kills), seed: Number(seed) })
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
  const isCloudWhole = report.inCloud >= report.windows && report.inCloud <= report.windows + report.devices
  const isWhole = report.withoutResult === 0 && report.withDifferentResults === 0 && isCloudWhole
  process.exit(isWhole ? 0 : 1)
}
