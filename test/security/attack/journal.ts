/**
 * One device against the adapter's journal, which is small here, while another one streams.
 * @module
 */
import { readRecording } from '../../../streams/formats/index.ts'
import { streamRecording } from '../../../streams/mqtt/device.ts'
import { DeviceLink } from '../../../streams/mqtt/device-link.ts'
import { CONTENT_TYPES, encodeFrame } from '../../../streams/mqtt/frame-codec.ts'
import { DEFAULT_LIMITS } from '../../../streams/mqtt/limits.ts'
import { buildTopic } from '../../../streams/mqtt/topics.ts'
import type { Attack } from './attack.ts'
import { forEach, OTHER, type World } from './world.ts'

const kind = 'journal'
const DEMO = 'functions/cli/demo/virtual-ecg.hea'

const topicOf = (device: string, channel: 'frames' | 'cmd') => buildTopic({ tenant: OTHER, device, channel })

/** A device's flood; resolves with the codes that it was told. */
async function flood(world: World, device: string, payloads: readonly Buffer[]): Promise<ReadonlySet<string>> {
  const link = await DeviceLink.open({ url: world.stack.mqttUrl, version: 4 })
  const codes = new Set<string>()
  await link.listen(topicOf(device, 'cmd'), (payload) => {
    const { problem } = JSON.parse(payload.toString()) as { readonly problem?: { readonly code: string } }
    if (problem !== undefined) codes.add(problem.code)
  })
  await forEach(payloads, 200, (payload) => link.publish(topicOf(device, 'frames'), payload, CONTENT_TYPES.protobuf))
  // The device's last notification arrives before its neighbour's result.
  const streamed = await neighbour(world)
  await link.close()
  return codes.add(streamed)
}

/** A window of another device of the same tenant. */
async function neighbour(world: World): Promise<string> {
  const link = await DeviceLink.open({ url: world.stack.mqttUrl, version: 4 })
  const { windows, problems } = await streamRecording(await readRecording(DEMO), {
    link,
    tenant: OTHER,
    device: 'neighbour',
    speed: Infinity,
    resultTimeoutMs: 60_000,
  })
  await link.close()
  const isServed = windows.length > 0 && windows.every(({ results }) => results === 1) && problems.length === 0
  return isServed ? 'neighbour served' : `neighbour: ${windows.map(({ results }) => results)} results`
}

function report(world: World, pid: number | undefined, codes: ReadonlySet<string>): string {
  const left = world.lines.filter((line) => line.startsWith('adapter: ') && line.includes('journal full')).length
  const adapter = world.stack.adapterPid === pid && left === 0 ? 'adapter stayed' : 'adapter left'
  return `${[...codes].sort().join(', ')}, ${adapter}`
}

const shortSession = (name: string) =>
  encodeFrame({
    session: name,
    sequence: 0,
    firstSample: 0,
    sessionStartedAtMs: Date.now() - 1000,
    rateHz: 500,
    leads: [{ name: 'I', gainUv: 2.5 }],
    samples: new Int16Array(100),
    isLast: true,
  })

export const JOURNAL_ATTACKS: readonly Attack[] = [
  {
    kind,
    name: 'thousands of short sessions from one device',
    expected: 'limit-exceeded, neighbour served, adapter stayed',
    async run(world) {
      const pid = world.stack.adapterPid
      const sessions = Array.from({ length: world.size.sessions }, (_, index) => shortSession(`s${index}`))
      return report(world, pid, await flood(world, 'flooder', sessions))
    },
  },
  {
    kind,
    name: 'thousands of unreadable payloads from one device, with a limited share of the dead-letter queue',
    expected: 'neighbour served, payload-malformed, adapter stayed, DLQ bounded',
    async run(world) {
      const pid = world.stack.adapterPid
      const before = await world.waitingIn('intake-dlq')
      const startedMs = performance.now()
      const codes = await flood(
        world,
        'babbler',
        Array.from({ length: world.size.refusals }, () => Buffer.from('?')),
      )
      const { burst, perSecond } = DEFAULT_LIMITS.device.refusals
      const most = burst + perSecond * ((performance.now() - startedMs) / 1000) + 1
      const count = (await world.waitingIn('intake-dlq')) - before
      return `${report(world, pid, codes)}, DLQ ${count <= most ? 'bounded' : `has ${count} more`}`
    },
  },
]
