/**
 * Gateways as processes of their own, for harnesses that kill them, and a cloud that can be taken away.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { dirname, join, resolve } from 'node:path'

const MAIN = resolve(import.meta.dirname, '../../../streams/gateway/main.ts')

/** As the systemd unit starts it. */
const FLAGS = ['--max-semi-space-size=4', '--optimize-for-size']

/** A start takes a second; on a busy machine, ten times that. */
const START_MS = 90_000

export interface GatewayProcess {
  readonly pid: number
  /** Where its doors are. */
  readonly ports: Readonly<Record<'mqtt' | 'hl7' | 'dicom' | 'status', number>>
  readonly hasEnded: boolean
  /** From the start of the process until it takes ECGs and can screen them. */
  readonly startMs: number
  /** Peak resident memory so far, MB: the system's `VmHWM`. */
  peakMb(): number
  /** Processor time so far, s, of all its threads. */
  cpuS(): number
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>
}

export interface GatewayProcessOptions {
  /** Runs it on these processors only: `0`. */
  readonly cpus?: string | undefined
  /** Its entry point; that of this repository when absent. */
  readonly main?: string
}

/** @throws Error with what it said when it did not start */
export async function startGatewayProcess(
  file: string,
  { cpus, main = MAIN }: GatewayProcessOptions = {},
): Promise<GatewayProcess> {
  const startedAt = performance.now()
  const own = [process.execPath, ...FLAGS, main, file] as const
  const [command, ...args] = cpus === undefined ? own : (['taskset', '-c', cpus, ...own] as const)
  const child = spawn(command, args, {
    // Its log, to find out why it died.
    stdio: ['ignore', openSync(`${file}.log`, 'a'), 'pipe'],
    env: {
      ...process.env,
      CODE_VERSION: 'harness',
      MALLOC_ARENA_MAX: '1',
      NODE_COMPILE_CACHE: join(dirname(file), 'compiled'),
    },
  })
  const exited = once(child, 'exit')
  const limit = setTimeout(() => child.kill('SIGKILL'), START_MS)
  const log = openSync(`${file}.stderr`, 'a')
  let text = ''
  // Not `for await`: leaving it would close the pipe, and end the gateway with its next warning.
  const isReady = await new Promise<boolean>((done) => {
    child.stderr!.on('data', (chunk: Buffer) => {
      writeSync(log, chunk)
      text = `${text}${chunk}`.slice(-10_000)
      if (/gateway ready: .*}/.test(text)) done(true)
    })
    child.once('exit', () => done(false))
  })
  clearTimeout(limit)
  void exited.then(() => closeSync(log))
  const ports = /gateway ready: (\{.*?\})/.exec(text)?.[1]
  if (isReady && ports !== undefined) return processOf(child, performance.now() - startedAt, exited, JSON.parse(ports))
  throw new Error(`the gateway did not start: ${text || 'it said nothing'}`)
}

function processOf(
  child: ChildProcess,
  startMs: number,
  exited: Promise<unknown>,
  ports: GatewayProcess['ports'],
): GatewayProcess {
  const pid = child.pid!
  const proc = (name: string) => {
    try {
      return readFileSync(`/proc/${pid}/${name}`, 'utf8')
    } catch {
      return ''
    }
  }
  return {
    pid,
    ports,
    startMs,
    get hasEnded() {
      return child.exitCode !== null || child.signalCode !== null
    },
    peakMb: () => Number(/VmHWM:\s+(\d+) kB/.exec(proc('status'))?.[1] ?? 0) / 1024,
    cpuS: () => {
      // proc(5): utime and stime are the 14th and 15th field, in hundredths of a second; the name before may hold spaces.
      const fields = proc('stat').split(') ').at(-1)!.split(' ')
      return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / 100
    },
    async kill() {
      child.kill('SIGKILL')
      await exited
    },
  }
}

/** Something that the cloud got. */
export interface Taken {
  readonly device: string
  readonly session: string
  readonly firstSample: number
  readonly version: number
  readonly sha256: string
  readonly atMs: number
}

/** `POST /v1/ecgs` as the API has it, which can be away. */
export class CloudServer {
  readonly taken: Taken[] = []
  isAway = false
  readonly #server: Server

  private constructor() {
    this.#server = createServer((request, response) => {
      this.#take(request, response).catch(() => response.destroy())
    })
  }

  static async start(): Promise<CloudServer> {
    const cloud = new CloudServer()
    cloud.#server.listen(0, '127.0.0.1')
    await once(cloud.#server, 'listening')
    return cloud
  }

  get url(): string {
    return `http://127.0.0.1:${portOf(this.#server)}/`
  }

  /** Each window once, however often it was sent. */
  get windows(): ReadonlyMap<string, Taken> {
    return new Map(
      this.taken.map((each) => [`${each.device}/${each.session}/${each.firstSample}/${each.version}`, each]),
    )
  }

  close(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.isAway) {
      request.destroy()
      return
    }
    const hash = createHash('sha256')
    for await (const chunk of request) hash.update(Buffer.from(chunk))
    if (request.method !== 'POST') {
      response.writeHead(404).end()
      return
    }
    const { searchParams: query } = new URL(request.url ?? '/', 'http://127.0.0.1')
    this.taken.push({
      device: query.get('device') ?? '',
      session: query.get('session') ?? '',
      firstSample: Number(query.get('firstSample') ?? 0),
      version: Number(query.get('version') ?? 1),
      sha256: hash.digest('hex'),
      atMs: performance.now(),
    })
    response.writeHead(202).end('{}')
  }
}

const portOf = (server: Pick<Server, 'address'>): number => {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** Mulberry32: the same numbers for the same seed. */
export function generator(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let value = Math.imul(state ^ (state >>> 15), 1 | state)
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value
    return ((value ^ (value >>> 14)) >>> 0) / 4_294_967_296
  }
}
