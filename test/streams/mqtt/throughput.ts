/**
 * What the adapter costs: `npm run -s node -- test/streams/mqtt/throughput.ts [devices] [seconds] [frameMs] [connections]`, on Linux with mosquitto.
 *
 * Devices stream in real time at random phases through mosquitto to an adapter process with its journal on this disk; a stand-in
 * answers each window at once. CPU is the adapter process's own, so other load on the machine changes it little; latency is from the
 * last frame handed to the broker to the result at the device, without any screening.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MISSING_SAMPLE } from '../../../shared/domain/recording.ts'
import { streamRecording } from '../../../streams/mqtt/device.ts'
import { DeviceLink } from '../../../streams/mqtt/device-link.ts'
import { startAws } from './helpers/aws.ts'
import { startMosquitto } from './helpers/brokers.ts'
import { makeRecording } from './helpers/factories.ts'
import { startProcess } from './helpers/process.ts'
import { startResponder } from './helpers/responder.ts'

const [devices = 200, seconds = 30, frameMs = 500, connections = 1] = process.argv.slice(2).map(Number)

/** User and system time of a process, seconds (proc(5), at 100 ticks a second). */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

function peakMb(pid: number): number {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024
}

const folder = mkdtempSync(join(tmpdir(), 'throughput-'))
const [aws, broker] = [await startAws(), await startMosquitto(['allow_anonymous true', 'max_queued_messages 100000'])]
const responder = startResponder(aws)
const child = await startProcess({
  ...aws.env,
  MQTT_URL: broker.url,
  JOURNAL_PATH: join(folder, 'journal.db'),
  MQTT_CONNECTIONS: String(connections),
})
const link = await DeviceLink.open({ url: broker.url, version: 5 })
const recording = makeRecording(seconds)
const cpuBefore = cpuSeconds(child.pid!)
const startedAt = performance.now()

const reports = await Promise.all(
  Array.from({ length: devices }, (_, device) =>
    streamRecording(recording, {
      link,
      tenant: 'bench',
      device: `d${device}`,
      frameMs,
      delayMs: Math.random() * 10_000,
    }),
  ),
)

const wallSeconds = (performance.now() - startedAt) / 1000
const cpu = cpuSeconds(child.pid!) - cpuBefore
const frames = devices * Math.ceil((seconds * 1000) / frameMs)
const windows = reports.flatMap((report) => report.windows)
const latencies = windows.flatMap(({ latencyMs = [] }) => latencyMs).sort((a, b) => a - b)
const quantile = (q: number) => Math.round(latencies[Math.floor(q * (latencies.length - 1))]! * 10) / 10
console.log(
  JSON.stringify({
    devices,
    frames,
    framesPerSecond: Math.round(frames / wallSeconds),
    windows: windows.length,
    lost: windows.filter(({ results }) => results === 0).length,
    doubled: windows.filter(({ results }) => results > 1).length,
    withGaps: responder.windows.filter(({ waveform }) => waveform.leads[0]!.samples.includes(MISSING_SAMPLE)).length,
    framesPerCpuSecond: Math.round(frames / cpu),
    cpuShareOfOneCore: Math.round((cpu / wallSeconds) * 1000) / 1000,
    peakMb: Math.round(peakMb(child.pid!)),
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
  }),
)
child.kill('SIGTERM')
await link.close()
await responder.stop()
await broker.close()
await aws.stop()
rmSync(folder, { recursive: true })
