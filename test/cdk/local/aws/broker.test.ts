import { connectAsync } from 'mqtt'
import { expect, it, onTestFinished } from 'vitest'
import { startBroker } from '../../../../cdk/local/aws/broker.ts'

async function start() {
  const broker = await startBroker(0)
  onTestFinished(() => broker.stop())
  const connect = async () => {
    const client = await connectAsync(broker.url, { protocolVersion: 4, reconnectPeriod: 0 })
    onTestFinished(() => client.endAsync(true))
    return client
  }
  return { broker, connect }
}

it.each(['frames', 'window'])(
  'hangs up on a device that sends %s before anyone listens, so that it sends them again',
  async (channel) => {
    const { connect } = await start()
    const device = await connect()

    const closed = new Promise<string>((resolve) => device.once('close', () => resolve('closed')))
    device.publish(`ecg/v1/local/d1/${channel}`, 'ECG', { qos: 1 })

    expect(await closed).toBe('closed')
  },
)

it('delivers frames once the adapter has subscribed', async () => {
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

it('takes other topics at any time', async () => {
  const { connect } = await start()
  const device = await connect()

  await expect(device.publishAsync('ecg/v1/local/d1/status', '{}', { qos: 1 })).resolves.toBeDefined()
})

it('does not hang up on the adapter for a device without a name', async () => {
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
