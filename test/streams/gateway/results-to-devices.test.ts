import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { connectAsync, type IClientOptions, type IPublishPacket, type MqttClient } from 'mqtt'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { streamEcgId } from '../../../shared/domain/ecg-id.ts'
import { MqttDoor } from '../../../streams/gateway/mqtt-door.ts'
import { Store } from '../../../streams/gateway/store.ts'
import { encodeFrame } from '../../../streams/mqtt/frame-codec.ts'
import { Journal } from '../../../streams/mqtt/journal.ts'
import { makeResult } from '../../helpers/results.ts'
import { makeFrame } from '../mqtt/helpers/factories.ts'
import { until } from './helpers.ts'

const DEVICE = 'device:local/d1'
const TOPIC = 'ecg/v1/local/d1/results'
const MINUTE = 60_000

let store: Store
let door: MqttDoor
let server: Server
let clients: MqttClient[]
let nowMs: number

beforeEach(async () => {
  nowMs = 1e12
  clients = []
  store = new Store(':memory:', { limitBytes: 1e9, forwards: false })
  door = await MqttDoor.open({
    store,
    journal: new Journal(':memory:'),
    clock: { now: () => nowMs, monotonic: () => nowMs },
    idleMs: 15_000,
    tenant: 'local',
    results: 'whole',
    warnings: () => [],
    onStored: () => {},
    onRefused: () => {},
    onFailed: () => {},
  })
  server = createServer((socket) => door.serve(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
})

afterEach(async () => {
  for (const client of clients) client.end(true)
  await door.close()
  server.close()
  store.close()
})

/** A device of which the test decides what it acknowledges: what has come waits in `held` until it is let go. */
async function connect(options: IClientOptions = {}, qos: 0 | 1 = 1) {
  const client = await connectAsync(`mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`, {
    protocolVersion: 4,
    reconnectPeriod: 0,
    ...options,
  })
  clients.push(client)
  const held: { readonly ecgId: string; acknowledge(): void }[] = []
  client.handleMessage = ({ payload }: IPublishPacket, done) => {
    const { ecgId } = JSON.parse(payload.toString()) as { readonly ecgId: string }
    held.push({ ecgId, acknowledge: () => done() })
  }
  if (options.clean !== false || !clients.slice(0, -1).some(({ options: { clean } }) => clean === false)) {
    await client.subscribeAsync(TOPIC, { qos })
  }
  return { client, held }
}

/** A result that waits for the device. */
function storeResult(index: number): string {
  const firstSample = 5000 * index
  const ecgId = streamEcgId({ tenant: 'local', source: 'mqtt', device: 'd1', session: 's1', firstSample })
  const { id } = store.addEcg(
    {
      door: 'mqtt',
      envelope: {
        schema: 1,
        tenant: 'local',
        ecgId,
        origin: { kind: 'mqtt', device: 'd1', session: 's1' },
        span: { startedAt: null, firstSample, durationMs: 10_000 },
      },
      packed: new Uint8Array(),
      about: { order: {}, visit: { patient: undefined, authority: undefined, bed: undefined } },
    },
    1,
  )
  store.storeResult(id, JSON.stringify(makeResult({ ecgId })), [DEVICE])
  door.deliver(DEVICE)
  return ecgId
}

const waiting = () => store.deliveriesOf(DEVICE, 100).length
const lengthOf = (list: readonly unknown[], length: number) =>
  until(
    () => list.length,
    (now) => now >= length,
  )

/** What the door sends by itself when time goes on. */
async function minutesPass(count: number): Promise<void> {
  for (let minute = 0; minute < count; minute++) {
    nowMs += MINUTE
    door.upkeep()
  }
  // A publication that went out would have come by the answer to a ping.
  await sleep(50)
}

describe('delivery of results to devices', () => {
  it('does not repeat an unacknowledged result on the same connection', async () => {
    const device = await connect()
    const ecgId = storeResult(0)
    await lengthOf(device.held, 1)

    await minutesPass(5)

    expect(device.held.map((each) => each.ecgId)).toEqual([ecgId])
    expect(waiting()).toBe(1)
    device.held[0]!.acknowledge()
    await until(waiting, (count) => count === 0)
  })

  it('repeats an unacknowledged result on the next connection', async () => {
    const first = await connect()
    const ecgId = storeResult(0)
    await lengthOf(first.held, 1)
    first.client.end(true)

    const second = await connect()

    await lengthOf(second.held, 1)
    expect(second.held[0]!.ecgId).toBe(ecgId)
  })

  it('repeats a result on a new connection while the earlier, dead one is still open', async () => {
    const dead = await connect()
    const ecgId = storeResult(0)
    await lengthOf(dead.held, 1)

    const live = await connect()
    await lengthOf(live.held, 1)
    live.held[0]!.acknowledge()

    await until(waiting, (count) => count === 0)
    expect(live.held[0]!.ecgId).toBe(ecgId)
  })

  it('sends to a resumed session that does not subscribe again', async () => {
    const first = await connect({ clientId: 'd1', clean: false })
    await first.client.endAsync()
    const ecgId = storeResult(0)

    const second = await connect({ clientId: 'd1', clean: false })

    await lengthOf(second.held, 1)
    expect(second.held[0]!.ecgId).toBe(ecgId)
  })

  it('sends a result once to a subscriber at QoS 0', async () => {
    const device = await connect({}, 0)

    const ecgId = storeResult(0)
    await lengthOf(device.held, 1)
    await minutesPass(2)

    expect(device.held.map((each) => each.ecgId)).toEqual([ecgId])
    expect(waiting()).toBe(0)
  })

  it('sends a result that the device acknowledged again when the device repeats its frames', async () => {
    const device = await connect()
    const sessionStartedAtMs = nowMs - MINUTE
    const send = async () => {
      for (let sequence = 0; sequence < 20; sequence++) {
        const frame = makeFrame({ sequence, sessionStartedAtMs })
        await device.client.publishAsync('ecg/v1/local/d1/frames', encodeFrame(frame), { qos: 1 })
      }
    }
    await send()
    const ecgId = storeResult(0)
    await lengthOf(device.held, 1)
    device.held[0]!.acknowledge()
    await until(waiting, (count) => count === 0)
    await minutesPass(1)

    await send()
    await minutesPass(1)

    await lengthOf(device.held, 2)
    expect(device.held.map((each) => each.ecgId)).toEqual([ecgId, ecgId])
    device.held[1]!.acknowledge()
    await until(waiting, (count) => count === 0)
  })

  it('keeps at most sixteen unacknowledged results of a device in memory', async () => {
    const device = await connect()
    const ecgIds = Array.from({ length: 40 }, (_, index) => storeResult(index))
    await lengthOf(device.held, 1)
    await minutesPass(1)

    for (let index = 0; index < ecgIds.length; index++) {
      await lengthOf(device.held, index + 1)
      device.held[index]!.acknowledge()
    }

    await until(waiting, (count) => count === 0)
    expect(device.held.map((each) => each.ecgId)).toEqual(ecgIds)
  })
})
