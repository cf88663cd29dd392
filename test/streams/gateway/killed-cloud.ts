/**
 * Clouds for the kill harness: one that only takes and counts, and the real stack behind mosquitto, both of which are killed in the middle of their work.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../../../cdk/local/free-port.ts'
import { streamEcgId } from '../../../shared/domain/ecg-id.ts'
import { parseResult } from '../../../shared/domain/result.ts'
import { MOSQUITTO } from '../mqtt/helpers/brokers.ts'
import { CloudServer } from './process.ts'

/** Something that is killed (SIGKILL) and started again over what it has on disk. */
export interface Target {
  readonly name: 'gateway' | 'stack' | 'broker'
  /** From ready to the kill, ms. */
  readonly lifeMs: { readonly least: number; readonly most: number }
  kill(): Promise<void>
  start(): Promise<void>
}

/** What the cloud has of a window. */
export interface InCloud {
  readonly ecgId: string
  /** Distinct contents that one version came with. */
  readonly contents: number
  /** Of the samples of its newest version, where the cloud says so. */
  readonly inputSha256?: string | undefined
  /** Version and warnings, to find out why. */
  readonly note?: string
}

export interface KilledCloud {
  readonly url: string
  /** Where devices stream to without a gateway. */
  readonly mqttUrl: string | undefined
  readonly targets: readonly Target[]
  held(): Promise<readonly InCloud[]>
  /** From now on it stays up. */
  settle(): void
  close(): Promise<void>
}

/** Takes windows as the API does, and counts them. It is away at times. */
export async function countingCloud(random: () => number): Promise<KilledCloud> {
  const server = await CloudServer.start()
  const target: Target = {
    name: 'stack',
    lifeMs: { least: 500, most: 4000 },
    kill: async () => {
      server.isAway = true
      await sleep(500 + 1500 * random())
    },
    start: async () => {
      server.isAway = false
    },
  }
  return {
    url: server.url,
    mqttUrl: undefined,
    targets: [target],
    held: async () => {
      const byWindow = Map.groupBy(server.taken, ({ device, session, firstSample }) =>
        streamEcgId({ tenant: 'local', source: 'mqtt', device, session, firstSample }),
      )
      return [...byWindow].map(([ecgId, all]) => {
        const versions = Map.groupBy(all, ({ version }) => version).values()
        const contents = [...versions].map((same) => new Set(same.map(({ sha256 }) => sha256)).size)
        return { ecgId, contents: Math.max(...contents) }
      })
    },
    settle: () => {
      server.isAway = false
    },
    close: async () => server.close(),
  }
}

/** The stack with its functions, queues, table and adapter, and mosquitto before it. */
export async function realCloud(folder: string, assemblyDir: string): Promise<KilledCloud> {
  const [apiPort, mqttPort] = [await freePort(), await freePort()]
  const mqttUrl = `mqtt://127.0.0.1:${mqttPort}`
  const url = `http://127.0.0.1:${apiPort}/`
  const data = join(folder, 'stack')
  const brokerData = join(folder, 'broker/')
  for (const each of [data, brokerData]) mkdirSync(each)
  const config = join(folder, 'mosquitto.conf')
  const lines = [
    `listener ${mqttPort} 127.0.0.1`,
    'allow_anonymous true',
    'user root',
    'persistence true',
    `persistence_location ${brokerData}`,
    // Once a second: what it acknowledged since then is lost with it, and comes again from its device.
    'autosave_interval 1',
    'max_queued_messages 0',
  ]
  writeFileSync(config, `${lines.join('\n')}\n`)
  const broker = new Killed(MOSQUITTO!, ['-c', config], 'stderr', 'running')
  const script = join(import.meta.dirname, 'stack-process.ts')
  const args = [script, assemblyDir, data, String(apiPort), mqttUrl]
  const stack = new Killed(process.execPath, args, 'stdout', 'stack ready')
  await broker.start()
  await stack.start()
  return {
    url,
    mqttUrl,
    targets: [
      {
        name: 'stack',
        lifeMs: { least: 200, most: 10_000 },
        kill: () => stack.kill(),
        start: () => stack.start(),
      },
      {
        name: 'broker',
        lifeMs: { least: 500, most: 12_000 },
        kill: () => broker.kill(),
        start: () => broker.start(),
      },
    ],
    held: () => resultsOf(url),
    settle: () => {},
    close: async () => {
      await stack.kill()
      await broker.kill()
    },
  }
}

/** The newest result of every ECG that the API lists, with the samples that it was made of. */
async function resultsOf(url: string): Promise<readonly InCloud[]> {
  const versions = new Map<string, number[]>()
  for (let next = ''; ; ) {
    const page = (await (await fetch(`${url}v1/ecgs?limit=100${next}`)).json()) as {
      readonly items: readonly { readonly ecgId: string; readonly status: string; readonly version?: number }[]
      readonly next?: string
    } // the API's `Page`
    for (const { ecgId, status, version = 1 } of page.items) {
      if (status !== 'pending') versions.set(ecgId, [...(versions.get(ecgId) ?? []), version])
    }
    if (page.next === undefined) break
    next = `&after=${encodeURIComponent(page.next)}`
  }
  const found: InCloud[] = []
  for (const [ecgId, all] of versions) {
    const { provenance, version, warnings } = parseResult(await (await fetch(`${url}v1/ecgs/${ecgId}`)).text())
    found.push({
      ecgId,
      contents: 1 + all.length - new Set(all).size,
      inputSha256: provenance.inputSha256,
      note: `version ${version} ${warnings.map(({ code }) => code).join(' ')}`,
    })
  }
  return found
}

/** On a busy machine, functions do not always load within their time. */
const MAX_STARTS = 30

/** A process and its children, which end with it. */
class Killed {
  readonly #command: readonly [command: string, args: readonly string[], output: 'stdout' | 'stderr', ready: string]
  #child: ChildProcess | undefined

  constructor(...command: readonly [string, readonly string[], 'stdout' | 'stderr', string]) {
    this.#command = command
  }

  /** As a supervisor does: a start that fails on a busy machine is made again. */
  async start(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const words = await this.#startOnce()
      if (words === undefined) return
      if (attempt === MAX_STARTS) throw new Error(`${this.#command[0]} did not start: ${words.join('\n')}`)
      await this.kill()
    }
  }

  /** @returns its last words when it did not start */
  async #startOnce(): Promise<readonly string[] | undefined> {
    const [command, args, output, ready] = this.#command
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    const words: string[] = []
    const isReady = await new Promise<boolean>((done) => {
      for (const name of ['stdout', 'stderr'] as const) {
        createInterface({ input: child[name] }).on('line', (line) => {
          if (name === output && line.includes(ready)) done(true)
          words.push(line)
          if (words.length > 10) words.shift()
        })
      }
      child.once('exit', () => done(false))
    })
    return isReady ? undefined : words
  }

  async kill(): Promise<void> {
    const child = this.#child
    if (child?.pid === undefined) return
    const exited = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined
    const all = [child.pid, ...childrenOf(child.pid)]
    for (const pid of all) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It has ended by itself.
      }
    }
    await exited
  }
}

/** Of a process, and theirs (proc(5): the parent is the second field behind the name). */
function childrenOf(pid: number): readonly number[] {
  const parents = readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    try {
      return [[Number(name), Number(readFileSync(`/proc/${name}/stat`, 'utf8').split(') ').at(-1)!.split(' ')[1])]]
    } catch {
      return []
    }
  })
  const below = (parent: number): readonly number[] =>
    parents.flatMap(([child, of]) => (of === parent ? [child!, ...below(child!)] : []))
  return below(pid)
}
