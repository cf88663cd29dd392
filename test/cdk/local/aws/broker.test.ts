import { connectAsync } from 'mqtt'
import { expect, it, onTestFinished } from 'vitest'
import { startBroker } from '../../../../cdk/local/aws/broker.ts'

let clients = 0

async function start() {
  const broker = await startBroker(0)
  onTestFinished(() => broker.stop())
  const connect = async () => {
    const client = await connectAsync(broker.url, {
      protocolVersion: 4,
      reconnectPeriod: 0,
      clean: false,
      clientId: `c${++clients}`,
    })
    onTestFinished(() => client.endAsync(true))
    return client
  }
  return { broker, connect }
}

it.each(['frames', 'window'])(
  'the local broker disconnects a device that sends %s before anyone subscribed, so that it sends again',
  async (channel) => {
    const { connect } = await start()
    const device = await connect()

    const closed = new Promise<string>((resolve) => device.once('close', () => resolve('closed')))
    device.publish(`ecg/v1/local/d1/${channel}`, 'ECG', { qos: 1 })

    expect(await closed).toBe('closed')
  },
)

it('the local broker delivers frames once the adapter has subscribed', async () => {
  const { broker, connect } = await start()
  const [adapter, device] = [await connect(), await connect()]
  const subscribed = broker.subscribed('frames')

  await adapter.subscribeAsync('ecg/v1/+/+/frames', { qos: 1 })
  await subscribed
  const arrived = new Promise<string>((resolve) =>
    adapter.once('message', (_topic, payload) => resolve(String(payload))),
  )
  await device.publishAsync('ecg/v1/local/d1/frames', 'frame', { qos: 1 })

  expect(await arrived).toBe('frame')
})

it('the local broker accepts other topics at any time', async () => {
  const { connect } = await start()
  const device = await connect()

  await expect(device.publishAsync('ecg/v1/local/d1/status', '{}', { qos: 1 })).resolves.toBeDefined()
})

it('the local broker disconnects devices again after the subscriber has left', async () => {
  const { broker, connect } = await start()
  const [adapter, device] = [await connect(), await connect()]
  const subscribed = broker.subscribed('frames')
  await adapter.subscribeAsync('ecg/v1/+/+/frames', { qos: 1 })
  await subscribed
  await device.publishAsync('ecg/v1/local/d1/frames', 'heard', { qos: 1 })

  const closed = new Promise<string>((resolve) => device.once('close', () => resolve('closed')))
  await adapter.endAsync()
  const publish = () => device.connected && device.publish('ecg/v1/local/d1/frames', 'unheard', { qos: 1 })
  const publishing = setInterval(publish, 50)
  onTestFinished(() => clearInterval(publishing))

  expect(await closed).toBe('closed')
})

it('the local broker grants QoS 1 for 2, and delivers QoS 2 messages at QoS 1 to a wildcard', async () => {
  const { connect } = await start()
  const [adapter, device] = [await connect(), await connect()]

  const [granted] = await adapter.subscribeAsync('ecg/v1/+/+/frames', { qos: 2 })
  const qos: number[] = []
  const all = new Promise<void>((resolve) =>
    adapter.on('message', (_topic, _payload, packet) => {
      if (qos.push(packet.qos) === 20) resolve()
    }),
  )
  for (let index = 0; index < 20; index++) await device.publishAsync('ecg/v1/local/d1/frames', `${index}`, { qos: 2 })
  await all

  expect(granted?.qos).toBe(1)
  expect(qos).toEqual(Array(20).fill(1))
})

it.each([
  ['the topic itself', 'ecg/v1/local/d1/frames'],
  ['a wildcard', 'ecg/v1/local/+/frames'],
])('the local broker delivers a burst of QoS 2 messages completely, ten times, to %s', async (_, filter) => {
  const { connect } = await start()
  const frames = Array.from({ length: 20 }, (_, index) => `${index} ${'x'.repeat(3000)}`)

  for (let run = 0; run < 10; run++) {
    const [device, witness, adapter] = [await connect(), await connect(), await connect()]
    const granted = await witness.subscribeAsync(filter, { qos: 2 })
    await adapter.subscribeAsync('ecg/v1/+/+/frames', { qos: 1 })
    const arrivals = [witness, adapter].map((client) => {
      const arrived = new Set<string>()
      return new Promise<ReadonlySet<string>>((resolve) => {
        client.on('message', (_topic, payload) => {
          if (arrived.add(String(payload)).size === frames.length) resolve(arrived)
        })
      })
    })

    await Promise.all(frames.map((frame) => device.publishAsync('ecg/v1/local/d1/frames', frame, { qos: 2 })))

    expect(granted.map(({ qos }) => qos)).toEqual([1])
    for (const arrived of await Promise.all(arrivals)) expect([...arrived].sort()).toEqual(frames.toSorted())
    await Promise.all([device, witness, adapter].map((client) => client.endAsync(true)))
  }
})

it('the local broker refuses an MQTT 5 client with a readable reason', async () => {
  const { broker } = await start()

  const refused = connectAsync(broker.url, { protocolVersion: 5, reconnectPeriod: 0 })

  await expect(refused).rejects.toMatchObject({ code: 0x84, message: expect.stringContaining('Unsupported Protocol') })
})

it('the local broker accepts no ECGs while it drains, and waits for those it accepted', async () => {
  const { broker, connect } = await start()
  const [adapter, device] = [await connect(), await connect()]
  const subscribed = broker.subscribed('frames')
  await adapter.subscribeAsync('ecg/v1/+/+/frames', { qos: 1 })
  await subscribed
  let acknowledge: (() => void) | undefined
  const arrived = new Promise<void>((resolve) => {
    adapter.handleMessage = (_packet, done) => {
      acknowledge = done
      resolve()
    }
  })

  await device.publishAsync('ecg/v1/local/d1/frames', 'taken', { qos: 1 })
  await arrived
  let isDrained = false
  const drained = broker.drain().then(() => {
    isDrained = true
  })
  const closed = new Promise<string>((resolve) => device.once('close', () => resolve('closed')))
  device.publish('ecg/v1/local/d1/frames', 'too late', { qos: 1 })
  const hungUp = await closed
  const before = isDrained
  acknowledge!()
  await drained

  expect([hungUp, before, isDrained]).toEqual(['closed', false, true])
})

it('the local broker does not disconnect the adapter because of a device without a name', async () => {
  const { connect } = await start()
  const [adapter, nameless, device] = [await connect(), await connect(), await connect()]
  await adapter.subscribeAsync('ecg/v1/+/+/frames', { qos: 1 })
  const heard: string[] = []
  const arrived = new Promise<void>((resolve) => {
    adapter.on('message', (topic) => {
      heard.push(topic)
      resolve()
    })
    adapter.once('close', () => resolve())
  })

  nameless.publish('ecg/v1/local//frames', 'frame', { qos: 1 })
  await new Promise<void>((resolve) => nameless.once('close', () => resolve()))
  device.publish('ecg/v1/local/d1/frames', 'frame', { qos: 1 })
  await arrived

  expect(heard).toEqual(['ecg/v1/local/d1/frames'])
  expect(adapter.connected).toBe(true)
})
