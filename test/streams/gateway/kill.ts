/**
 * The kill harness: devices stream, the gateway is killed (SIGKILL) at random moments and started again, and the cloud goes away and comes back with it. At
 * the end every window must have its one result at its device, and be in the cloud once.
 *
 * `npm run -s node -- test/streams/gateway/kill.ts COUNT SEED [SECONDS]`: as many kills as fit into SECONDS.
 * @module
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DeviceLink, streamRecording } from '../../../streams/mqtt/device.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'
import { CloudServer, fixedPort, type GatewayProcess, generator, startGatewayProcess } from './process.ts'

export interface KillReport {
  readonly kills: number
  readonly seed: number
  readonly devices: number
  readonly windows: number
  readonly withoutResult: number
  readonly withDifferentResults: number
  /** Windows that the cloud does not have. */
  readonly missingInCloud: number
  /** Windows that the cloud has with two different contents of one version. */
  readonly differentInCloud: number
  /** Problems that devices were told of. */
  readonly problems: number
  /** Peak of the gateway's memory over all its lives, MB. */
  readonly rssMb: number
  /** Until a start is ready, ms: the median and the longest. */
  readonly startMs: { readonly median: number; readonly longest: number }
  readonly seconds: number
}

export interface KillOptions {
  readonly kills: number
  readonly seed: number
  /** No kill begins after so long. */
  readonly withinS?: number
  readonly devices?: number
  /** Times real time. */
  readonly speed?: number
}

/** Of a life: from ready to the kill. */
const LIFE_MS = { least: 50, most: 1000 } as const

export const isWhole = (report: KillReport) =>
  report.withoutResult === 0 &&
  report.withDifferentResults === 0 &&
  report.missingInCloud === 0 &&
  report.differentInCloud === 0 &&
  report.problems === 0

export async function killGateway({
  kills,
  seed,
  withinS = Number.POSITIVE_INFINITY,
  devices = 3,
  speed = 8,
}: KillOptions): Promise<KillReport> {
  const startedAt = performance.now()
  const folder = mkdtempSync(join(tmpdir(), 'kill-'))
  const random = generator(seed)
  const cloud = await CloudServer.start()
  const [mqttPort, statusPort] = [await fixedPort(Math.random), await fixedPort(Math.random)]
  const file = join(folder, 'gateway.json')
  const config = {
    data: 'data',
    mqtt: { port: mqttPort },
    status: { port: statusPort },
    forward: { kind: 'api', url: cloud.url },
    backlogPerSecond: 500,
  }
  writeFileSync(file, JSON.stringify(config))
  const starts: number[] = []
  let rssMb = 0
  let gateway: GatewayProcess | undefined
  const start = async () => {
    gateway = await startGatewayProcess(file)
    starts.push(gateway.startMs)
  }
  const kill = async () => {
    rssMb = Math.max(rssMb, gateway?.peakMb() ?? 0)
    await gateway?.kill()
  }
  const ending = new AbortController()
  let link: DeviceLink | undefined
  try {
    await start()
    const open = await DeviceLink.open({ url: `mqtt://127.0.0.1:${mqttPort}`, version: 4 })
    link = open
    const streams = Promise.all(
      Array.from({ length: devices }, (_, index) =>
        streamRecording(syntheticRecording({ gainUv: 5, seconds: 7.31, heartRateBpm: 60 + 7 * index }), {
          link: open,
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
    // What fails in here is said below, not by an unhandled rejection in between.
    streams.catch(() => {})
    let done = 0
    for (; done < kills && performance.now() - startedAt < withinS * 1000; done++) {
      await new Promise((over) => setTimeout(over, LIFE_MS.least + random() * (LIFE_MS.most - LIFE_MS.least)))
      await kill()
      cloud.isAway = random() < 1 / 3
      await start()
    }
    cloud.isAway = false
    ending.abort()
    const reports = await streams
    const windows = reports.flatMap(({ windows: all }, index) => all.map((each) => ({ ...each, device: `d${index}` })))
    const inCloud = () => {
      const held = new Set([...cloud.windows.values()].map(({ device, firstSample }) => `${device}/${firstSample}`))
      return windows.filter(({ device, firstSample }) => held.has(`${device}/${firstSample}`)).length
    }
    // What the cloud does not have yet follows; the harness's own limit ends a wait in vain.
    for (let waitedMs = 0; inCloud() < windows.length && waitedMs < 60_000; waitedMs += 50) {
      await new Promise((over) => setTimeout(over, 50))
    }
    return {
      kills: done,
      seed,
      devices,
      windows: windows.length,
      withoutResult: windows.filter(({ results }) => results === 0).length,
      withDifferentResults: windows.filter(({ results }) => results > 1).length,
      missingInCloud: windows.length - inCloud(),
      differentInCloud: differentIn(cloud),
      problems: reports.reduce((sum, { problems }) => sum + problems.length, 0),
      rssMb: Math.round(Math.max(rssMb, gateway?.peakMb() ?? 0)),
      startMs: {
        median: Math.round(starts.toSorted((a, b) => a - b)[starts.length >> 1]!),
        longest: Math.round(Math.max(...starts)),
      },
      seconds: Math.round((performance.now() - startedAt) / 1000),
    }
  } finally {
    ending.abort()
    // Without a broker it waits for an answer that never comes.
    await Promise.race([link?.close(), new Promise((over) => setTimeout(over, 1000))])
    await kill()
    cloud.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

function differentIn(cloud: CloudServer): number {
  const contents = Map.groupBy(cloud.taken, ({ device, firstSample, version }) => `${device}/${firstSample}/${version}`)
  return [...contents.values()].filter((all) => new Set(all.map(({ sha256 }) => sha256)).size > 1).length
}

if (import.meta.main) {
  const [kills = '20', seed = '1', seconds] = process.argv.slice(2)
  const withinS = seconds === undefined ? {} : { withinS: Number(seconds) }
  const report = await killGateway({ kills: Number(kills), seed: Number(seed), ...withinS })
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
  process.exit(isWhole(report) ? 0 : 1)
}
