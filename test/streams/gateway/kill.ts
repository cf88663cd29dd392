/**
 * The kill harness: devices stream to a gateway, which forwards to the cloud, and to the cloud's own broker; gateway, stack and broker are killed (SIGKILL)
 * at random moments, each by itself, and started again over what they have on disk. Of the results for devices at the cloud's own broker some are lost
 * besides, as a broker would. At the end every window must have its one result, in the cloud and at the device, made of the very samples that were sent.
 *
 * `npm run -s node -- test/streams/gateway/kill.ts COUNT SEED [FILE]`: in pieces of 100 kills, each added to FILE as a line of JSON. Pieces that FILE has
 * are not run again, so it may be ended and started again. `--docs FILE` writes the sum of FILE's pieces into docs/gateway.md.
 * @module
 */
import { appendFileSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { synthesize } from '../../../cdk/local/assembly.ts'
import { freePort } from '../../../cdk/local/free-port.ts'
import { parseSiteConfig } from '../../../shared/config/site.ts'
import type { Frame } from '../../../shared/domain/frame.ts'
import type { Recording } from '../../../shared/domain/recording.ts'
import { windowSamples } from '../../../shared/domain/window.ts'
import { waveformSha256 } from '../../../shared/waveform/codec.ts'
import { framesOf, streamRecording } from '../../../streams/mqtt/device.ts'
import { DeviceLink } from '../../../streams/mqtt/device-link.ts'
import { windowWaveform } from '../../../streams/mqtt/window-assembler.ts'
import { toWire } from '../../../streams/mqtt/wire-recording.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'
import { countingCloud, type KilledCloud, realCloud, type Target } from './killed-cloud.ts'
import { type GatewayProcess, generator, startGatewayProcess } from './process.ts'

export interface KillReport {
  readonly seed: number
  readonly kills: Readonly<Record<Target['name'], number>>
  readonly devices: number
  readonly windows: number
  /** Of devices of the gateway: whose result did not come. */
  readonly withoutResult: number
  /** Windows with two different results of one version, at the device or in the cloud. */
  readonly doubled: number
  /** Windows whose result was made of other samples than the device sent, at the device or in the cloud. */
  readonly wrongSamples: number
  /** Which these are. */
  readonly wrong: readonly string[]
  /** Windows that the cloud has no result of: device and number. */
  readonly missing: readonly string[]
  /** Of devices of the cloud's own broker: windows whose result is in the cloud, but did not come to the device whole. */
  readonly onlyInCloud: number
  /** Of the same devices: results that were lost on purpose, each once. */
  readonly lostResults?: number
  /** Problems that devices were told of. */
  readonly problems: number
  /** Peak of the gateway's memory over all its lives, MB. */
  readonly rssMb: number
  /** Of the gateway until it is ready, ms. */
  readonly startMs: readonly number[]
  readonly seconds: number
}

export interface KillOptions {
  readonly kills: number
  readonly seed: number
  /** No kill begins after so long. */
  readonly withinS?: number
  /** Of the gateway; the cloud's own broker has as many again. */
  readonly devices?: number
  /** Times real time. */
  readonly speed?: number
  /** Share of the results that the cloud's own broker loses, beside those that its kills cost. */
  readonly loses?: number
  /** The stack's template and functions. Without it, a server that counts stands in for the cloud. */
  readonly assemblyDir?: string
  readonly onKill?: (count: number) => void
}

const PIECE = 100

/** In 500 kills, mosquitto lost about 1 of 150 results. */
const LOSES = 0.05

const GATEWAY_LIFE_MS = { least: 50, most: 1000 } as const

/** A backlog is waited for as long as it shrinks. A window that the stack was killed over is hidden in SQS for a minute before it is tried again. */
const STANDSTILL_S = 240

/** Devices wait for so long without any result: longer than until they send frames again (`AGAIN_MS`). */
const RESULT_TIMEOUT_MS = 200_000

export const isWhole = ({ withoutResult, doubled, wrongSamples, missing, onlyInCloud, problems }: KillReport) =>
  withoutResult + doubled + wrongSamples + missing.length + onlyInCloud + problems === 0

interface Window {
  readonly ecgId: string
  readonly firstSample: number
  /** Of the newest version that came. */
  inputSha256?: string
}

export async function killAtRandom(options: KillOptions): Promise<KillReport> {
  const {
    kills,
    seed,
    withinS = Number.POSITIVE_INFINITY,
    devices = 2,
    speed = 4,
    loses = 0,
    assemblyDir,
    onKill,
  } = options
  const startedAt = performance.now()
  const folder = mkdtempSync(join(tmpdir(), 'kill-'))
  const cloud = await (assemblyDir === undefined ? countingCloud(generator(seed)) : realCloud(folder, assemblyDir))
  const gateway = await killedGateway(folder, cloud.url)
  const counts: Record<Target['name'], number> = { gateway: 0, stack: 0, broker: 0 }
  const ending = new AbortController()
  const links: DeviceLink[] = []
  let lostResults = 0
  const streamTo = async (url: string, name: string, share = 0) => {
    const link = await DeviceLink.open({ url, version: 4 })
    links.push(link)
    if (share > 0) losing(link, share, generator(seed), () => lostResults++)
    const done = Promise.all(
      Array.from({ length: devices }, (_, index) =>
        streaming(link, `${name}${index}`, { index, seed, speed, signal: ending.signal }),
      ),
    )
    // What fails meanwhile is reported at the end.
    done.catch(() => {})
    return { done }
  }
  try {
    await gateway.start()
    const bedside = await streamTo(gateway.mqttUrl, 'g')
    const remote = await streamTo(cloud.mqttUrl ?? gateway.mqttUrl, 'c', cloud.mqttUrl === undefined ? 0 : loses)
    const total = () => counts.gateway + counts.stack + counts.broker
    const isEnough = () => total() >= kills || performance.now() - startedAt > withinS * 1000
    const targets = [gateway, ...cloud.targets]
    await Promise.all(
      targets.map(async ({ name, lifeMs, kill, start }, index) => {
        const random = generator(seed * 10 + index)
        for (;;) {
          await sleep(lifeMs.least + random() * (lifeMs.most - lifeMs.least))
          if (isEnough()) return
          counts[name]++
          onKill?.(total())
          await kill()
          await start()
        }
      }),
    )
    cloud.settle()
    ending.abort()
    const [own, others] = [await bedside.done, await remote.done]
    const all = [...own, ...others].flatMap(({ windows }) => windows)
    const expected = new Map([...own, ...others].flatMap(({ samples }) => [...samples]))
    const isWrong = (ecgId: string, sha256: string | undefined) =>
      sha256 !== undefined && expected.has(ecgId) && sha256 !== expected.get(ecgId)
    const held = await settled(cloud, all, isWrong)
    const placeOf = (ecgId: string) => {
      const of = [...own, ...others].find(({ windows }) => windows.some((window) => window.ecgId === ecgId))
      return `${of?.device}/${of?.windows.findIndex((window) => window.ecgId === ecgId)}`
    }
    const wrong = [
      ...[...own, ...others].flatMap(({ got }) =>
        [...got].flatMap(([ecgId, sha256]) => (isWrong(ecgId, sha256) ? `device: ${placeOf(ecgId)}` : [])),
      ),
      ...held.flatMap(({ ecgId, inputSha256, note }) =>
        isWrong(ecgId, inputSha256) ? `cloud: ${placeOf(ecgId)} ${note}` : [],
      ),
    ]
    const ids = new Set(held.map(({ ecgId }) => ecgId))
    const missing = all.filter(({ ecgId }) => !ids.has(ecgId)).map(({ ecgId }) => placeOf(ecgId))
    const atDevice = cloud.mqttUrl === undefined ? [...own, ...others] : own
    const report: KillReport = {
      seed,
      kills: counts,
      devices: 2 * devices,
      windows: all.length,
      withoutResult: atDevice.flatMap(({ windows }) => windows).filter(({ results }) => results === 0).length,
      doubled: all.filter(({ results }) => results > 1).length + held.filter(({ contents }) => contents > 1).length,
      wrongSamples: wrong.length,
      wrong,
      missing,
      onlyInCloud:
        cloud.mqttUrl === undefined
          ? 0
          : others.flatMap(({ windows, got }) => windows.filter(({ ecgId }) => ids.has(ecgId) && !got.has(ecgId)))
              .length,
      lostResults,
      problems: [...own, ...others].reduce((sum, { problems }) => sum + problems.length, 0),
      rssMb: Math.round(gateway.peakMb()),
      startMs: gateway.starts.map(Math.round),
      seconds: Math.round((performance.now() - startedAt) / 1000),
    }
    // Journals, queues and logs, to find out why.
    if (!isWhole(report)) cpSync(folder, join('.local/kills', `seed-${seed}`), { recursive: true })
    return report
  } finally {
    ending.abort()
    // Without a broker it waits for an answer that never comes.
    for (const link of links) await Promise.race([link.close(), sleep(1000)])
    await gateway.kill()
    await cloud.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Makes a connection lose a share of the results, each message once at most. */
function losing(link: DeviceLink, share: number, random: () => number, onLost: () => void): void {
  const listen = link.listen.bind(link)
  const seen = new Set<string>()
  link.listen = (topic, listener) =>
    listen(topic, (payload, traceparent) => {
      const isFirst = topic.endsWith('/results') && !seen.has(payload.toString())
      seen.add(payload.toString())
      if (isFirst && random() < share) onLost()
      else listener(payload, traceparent)
    })
}

interface Streaming {
  readonly index: number
  readonly seed: number
  readonly speed: number
  readonly signal: AbortSignal
}

/** A device that streams until it is told to end, what it sent, and what came back. */
async function streaming(link: DeviceLink, device: string, { index, seed, speed, signal }: Streaming) {
  const recording = syntheticRecording({ gainUv: 5, seconds: 7.31, heartRateBpm: 60 + 7 * index })
  const got = new Map<string, string>()
  const versions = new Map<string, number>()
  const { windows, problems } = await streamRecording(recording, {
    link,
    tenant: 'local',
    device,
    session: `seed-${seed}`,
    speed,
    delayMs: index * 40,
    loop: true,
    signal,
    resultTimeoutMs: RESULT_TIMEOUT_MS,
    onResult: ({ ecgId, version, provenance, warnings }) => {
      // One that says that samples are missing is not wrong: its correction follows, here or in the cloud.
      const isShort = warnings.some(({ code }) => code === 'window-closed-short')
      if (isShort || version < (versions.get(ecgId) ?? 0)) return
      versions.set(ecgId, version)
      got.set(ecgId, provenance.inputSha256)
    },
  })
  // How far the last window goes is the device's affair: its samples are not compared.
  return { device, windows, problems, got, samples: samplesOf(recording, windows.slice(0, -1)) }
}

/** By ECG: the SHA-256 of the samples that a looping device sends of it. */
function samplesOf(recording: Recording, windows: readonly Pick<Window, 'ecgId' | 'firstSample'>[]) {
  const { rateHz } = recording
  const wire = toWire(recording)
  const samples = windowSamples(rateHz)
  const format = { sessionStartedAtMs: 0, rateHz, leads: wire.leads }
  const last = windows.at(-1)?.firstSample ?? 0
  const frames: Frame[] = []
  for (const frame of framesOf(recording, wire, { session: '', sessionStartedAtMs: 0, loop: true })) {
    if (frame.firstSample >= last + samples) break
    frames.push(frame)
  }
  return new Map(
    windows.map(({ ecgId, firstSample }) => {
      const touching = frames.filter(
        (frame) => frame.firstSample < firstSample + samples && frame.firstSample > firstSample - rateHz,
      )
      return [ecgId as string, waveformSha256(windowWaveform(format, { firstSample, samples }, touching))]
    }),
  )
}

async function killedGateway(folder: string, cloudUrl: string) {
  const [mqttPort, statusPort] = [await freePort(), await freePort()]
  const file = join(folder, 'gateway.json')
  const config = {
    data: 'data',
    mqtt: { port: mqttPort },
    status: { port: statusPort },
    forward: { kind: 'api', url: cloudUrl },
    backlogPerSecond: 500,
  }
  writeFileSync(file, JSON.stringify(config))
  const starts: number[] = []
  let rssMb = 0
  let process: GatewayProcess | undefined
  const peakMb = () => Math.max(rssMb, process?.peakMb() ?? 0)
  return {
    name: 'gateway',
    lifeMs: GATEWAY_LIFE_MS,
    mqttUrl: `mqtt://127.0.0.1:${mqttPort}`,
    starts,
    peakMb,
    async start() {
      process = await startGatewayProcess(file)
      starts.push(process.startMs)
    },
    async kill() {
      rssMb = peakMb()
      await process?.kill()
    },
  } as const
}

/** What the cloud has when it has all, whole, or when nothing has been added for long. */
async function settled(
  cloud: KilledCloud,
  windows: readonly Pick<Window, 'ecgId'>[],
  isWrong: (ecgId: string, inputSha256: string | undefined) => boolean,
) {
  let least = Number.POSITIVE_INFINITY
  for (let sinceMs = performance.now(); ; ) {
    const held = await cloud.held()
    const right = new Set(
      held.filter(({ ecgId, inputSha256 }) => !isWrong(ecgId, inputSha256)).map(({ ecgId }) => ecgId),
    )
    const lacking = windows.filter(({ ecgId }) => !right.has(ecgId)).length
    if (lacking < least) sinceMs = performance.now()
    least = Math.min(least, lacking)
    if (lacking === 0 || performance.now() - sinceMs > STANDSTILL_S * 1000) return held
    await sleep(2000)
  }
}

const reportsIn = (file: string): readonly KillReport[] =>
  existsSync(file)
    ? readFileSync(file, 'utf8')
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as KillReport) // as `main` writes it
    : []

async function main(count: number, seed: number, file: string): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), 'kill-assembly-'))
  const done = new Set(reportsIn(file).map((report) => report.seed))
  try {
    const assemblyDir = await synthesize(folder, parseSiteConfig('{}'))
    for (let piece = 0; piece * PIECE < count; piece++) {
      if (done.has(seed + piece)) continue
      const kills = Math.min(PIECE, count - piece * PIECE)
      const onKill = (number: number) => {
        if (number % 10 === 0) process.stderr.write(`seed ${seed + piece}: ${number} kills\n`)
      }
      const report = await killAtRandom({ kills, seed: seed + piece, loses: LOSES, assemblyDir, onKill })
      appendFileSync(file, `${JSON.stringify(report)}\n`)
      process.stderr.write(`${JSON.stringify({ ...report, startMs: undefined })}\n`)
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  process.stdout.write(table(reportsIn(file)))
  return reportsIn(file).every(isWhole)
}

/** The pieces' sum as a Markdown table. */
function table(reports: readonly KillReport[]): string {
  const sum = (of: (report: KillReport) => number) => reports.reduce((total, report) => total + of(report), 0)
  const kills = (['gateway', 'stack', 'broker'] as const).map((name) => `${name} ${sum((each) => each.kills[name])}`)
  const all = sum((each) => each.kills.gateway + each.kills.stack + each.kills.broker)
  const wrongOf = (path: 'g' | 'c') => sum(({ wrong }) => wrong.filter((place) => place.includes(`: ${path}`)).length)
  const missingOf = (path: 'g' | 'c') => sum(({ missing }) => missing.filter((place) => place.startsWith(path)).length)
  const starts = reports.flatMap(({ startMs }) => startMs).toSorted((a, b) => a - b)
  const seconds = (ms = 0) => `${(ms / 1000).toFixed(1)} s`
  const rows = [
    ['kills', `${all}: ${kills.join(', ')} (seeds ${reports.map(({ seed }) => seed).join(', ')})`],
    ['windows', sum((each) => each.windows).toLocaleString('en')],
    ['without a result at the device, of devices at the gateway', sum((each) => each.withoutResult)],
    ['missing in the cloud, of devices at the gateway', missingOf('g')],
    ["missing in the cloud, of devices at mosquitto and the cloud's adapter", missingOf('c')],
    ['results lost on purpose between mosquitto and its devices', sum((each) => each.lostResults ?? 0)],
    ['in the cloud, but not at the device, of devices at mosquitto', sum((each) => each.onlyInCloud)],
    ['made of other samples than were sent, of devices at the gateway', wrongOf('g')],
    ["made of other samples than were sent, of devices at mosquitto and the cloud's adapter", wrongOf('c')],
    ['doubled', sum((each) => each.doubled)],
    ["the gateway's start, median and longest", `${seconds(starts[starts.length >> 1])}, ${seconds(starts.at(-1))}`],
    ["the gateway's peak memory", `${Math.max(...reports.map(({ rssMb }) => rssMb))} MB`],
  ]
  return ['| what | result |', '| --- | --- |', ...rows.map(([what, result]) => `| ${what} | ${result} |`), ''].join(
    '\n',
  )
}

function writeDocs(file: string): void {
  const docs = resolve(import.meta.dirname, '../../../docs/gateway.md')
  const [before, , after] = readFileSync(docs, 'utf8').split(/<!-- \/?kills -->\n/)
  writeFileSync(docs, `${before}<!-- kills -->\n${table(reportsIn(file))}<!-- /kills -->\n${after}`)
}

if (import.meta.main) {
  const [first = '20', seed = '1', file = '.local/kills.jsonl'] = process.argv.slice(2)
  if (first === '--docs') writeDocs(seed)
  else process.exit((await main(Number(first), Number(seed), resolve(file))) ? 0 : 1)
}
