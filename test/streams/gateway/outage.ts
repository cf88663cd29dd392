/**
 * The outage harness: devices stream while the cloud is away, and go on when it is back. Devices must go on getting results; afterwards the cloud must have
 * each window once, in the order of time, and the lag must go.
 *
 * `npm run -s node -- test/streams/gateway/outage.ts DEVICES SECONDS [SCALE]`: SECONDS of the devices' time, which runs SCALE times as fast as ours.
 * @module
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../../../cdk/local/free-port.ts'
import { quantile } from '../../../shared/statistics.ts'
import { streamRecording } from '../../../streams/mqtt/device.ts'
import { DeviceLink } from '../../../streams/mqtt/device-link.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'
import { CloudServer, generator, startGatewayProcess } from './process.ts'

export interface OutageReport {
  readonly devices: number
  readonly outageS: number
  readonly scale: number
  /** Windows that devices completed in the outage. */
  readonly windowsInOutage: number
  /** From a window's last frame to its result, of these. */
  readonly p50Ms: number
  readonly p99Ms: number
  readonly withoutResult: number
  readonly withDifferentResults: number
  readonly missingInCloud: number
  /** Windows that the cloud got before an earlier one of the same device, in the backlog or among those that came live. */
  readonly outOfOrder: number
  /** Windows that came live and so before some of their device's backlog. */
  readonly liveFirst: number
  /** From the return of the cloud until it had all of the outage, s of our time. */
  readonly lagGoneS: number
  readonly rssMb: number
}

export interface OutageOptions {
  readonly devices: number
  readonly seconds: number
  readonly scale?: number
  /** Longest wait for the lag to go, s. */
  readonly patienceS?: number
}

const WINDOW_S = 10

/** As `forwarder.ts` counts it: what is older when it arrives came by the backlog's lane. */
const LIVE_MS = 20_000

/** On its way, a live window becomes older still. */
const REQUEST_MS = 2000

export async function outage({ devices, seconds, scale = 1, patienceS = 600 }: OutageOptions): Promise<OutageReport> {
  const folder = mkdtempSync(join(tmpdir(), 'outage-'))
  const random = generator(devices)
  const cloud = await CloudServer.start()
  const [mqttPort, statusPort] = [await freePort(), await freePort()]
  const file = join(folder, 'gateway.json')
  const forward = { kind: 'api', url: cloud.url }
  writeFileSync(file, JSON.stringify({ data: 'data', mqtt: { port: mqttPort }, status: { port: statusPort }, forward }))
  const gateway = await startGatewayProcess(file)
  const ending = new AbortController()
  try {
    const link = await DeviceLink.open({ url: `mqtt://127.0.0.1:${mqttPort}`, version: 4 })
    const streams = Promise.all(
      Array.from({ length: devices }, (_, index) =>
        streamRecording(syntheticRecording({ gainUv: 5, seconds: 7.31, heartRateBpm: 55 + (index % 40) }), {
          link,
          tenant: 'local',
          device: `d${index}`,
          session: 'outage',
          speed: scale,
          delayMs: (random() * WINDOW_S * 1000) / scale,
          loop: true,
          signal: ending.signal,
          resultTimeoutMs: 120_000,
        }),
      ),
    )
    streams.catch(() => {})
    // A window of each before the cloud goes.
    await sleep((2 * WINDOW_S * 1000) / scale)
    cloud.isAway = true
    const goneAt = performance.now()
    await sleep((seconds * 1000) / scale)
    cloud.isAway = false
    const backAt = performance.now()
    const isOfOutage = ({ publishedAtMs }: { publishedAtMs: number }) =>
      publishedAtMs > goneAt && publishedAtMs < backAt
    const waiting = async () => {
      const status: unknown = await (await fetch(`http://127.0.0.1:${statusPort}/status`)).json()
      return (status as { cloud: { oldestWaitingS: number } }).cloud.oldestWaitingS // as `gatewayStatus` says it
    }
    while ((await waiting()) * 1000 > 20_000 && performance.now() - backAt < patienceS * 1000) await sleep(250)
    const lagGoneS = (performance.now() - backAt) / 1000
    ending.abort()
    const windows = (await streams).flatMap(({ windows: all }, index) =>
      all.map((each) => ({ ...each, device: `d${index}` })),
    )
    const name = ({ device, firstSample }: { device: string; firstSample: number }) => `${device}/${firstSample}`
    // What came more than once, by when it came first.
    const arrivals = () => new Map(cloud.taken.toReversed().map((each) => [name(each), each.atMs]))
    while (
      windows.some((each) => !arrivals().has(name(each))) &&
      performance.now() - backAt < (patienceS + 60) * 1000
    ) {
      await sleep(100)
    }
    const inCloud = arrivals()
    const those = windows.filter(isOfOutage)
    const latencies = those.flatMap(({ latencyMs }) => latencyMs ?? [])
    const disorder = [...Map.groupBy(windows, ({ device }) => device).values()].map((own) => {
      const arrived = own.flatMap((each) => {
        const atMs = inCloud.get(name(each))
        return atMs === undefined ? [] : { ...each, atMs, isLive: atMs - each.publishedAtMs < LIVE_MS + REQUEST_MS }
      })
      const lanes = [true, false].map((isLive) => arrived.filter((each) => each.isLive === isLive))
      return { outOfOrder: lanes.reduce((sum, lane) => sum + inversions(lane), 0), ahead: inversions(arrived) }
    })
    const outOfOrder = disorder.reduce((sum, each) => sum + each.outOfOrder, 0)
    const liveFirst = disorder.reduce((sum, each) => sum + each.ahead - each.outOfOrder, 0)
    await link.close()
    return {
      devices,
      outageS: seconds,
      scale,
      windowsInOutage: those.length,
      p50Ms: Math.round(quantile(latencies, 0.5)),
      p99Ms: Math.round(quantile(latencies, 0.99)),
      withoutResult: windows.filter(({ results }) => results === 0).length,
      withDifferentResults: windows.filter(({ results }) => results > 1).length,
      missingInCloud: windows.filter((each) => !inCloud.has(name(each))).length,
      outOfOrder,
      liveFirst: Math.max(0, liveFirst),
      lagGoneS: Math.round(lagGoneS),
      rssMb: Math.round(gateway.peakMb()),
    }
  } finally {
    ending.abort()
    await gateway.kill()
    cloud.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** How many arrived before one that is earlier in its session. */
function inversions(arrived: readonly { readonly firstSample: number; readonly atMs: number }[]): number {
  const inTime = arrived.toSorted((a, b) => a.firstSample - b.firstSample)
  return inTime.filter(({ atMs }, i) => i > 0 && atMs < inTime[i - 1]!.atMs).length
}

if (import.meta.main) {
  const [devices = '50', seconds = '600', scale = '1'] = process.argv.slice(2)
  const report = await outage({ devices: Number(devices), seconds: Number(seconds), scale: Number(scale) })
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
  const { withoutResult, withDifferentResults, missingInCloud, outOfOrder } = report
  process.exit(withoutResult + withDifferentResults + missingInCloud + outOfOrder === 0 ? 0 : 1)
}
