import { Aedes } from 'aedes'
import { connectAsync } from 'mqtt'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { isDeviceOf } from '../../../streams/gateway/mqtt-door.ts'
import { startTestGateway } from './helpers.ts'

describe('isDeviceOf', () => {
  it.each([
    ['of the device', { subject: { CN: 'd1' } }, true],
    ['of another device', { subject: { CN: 'd2' } }, false],
    ['without a name', { subject: {} }, false],
    ['with several names', { subject: { CN: ['d1', 'd2'] } }, false],
    ['that was not requested', {}, true],
  ])('decides on a certificate %s', (_, certificate, isAllowed) => {
    expect(isDeviceOf(certificate, 'd1')).toBe(isAllowed)
  })
})

/** Where aedes keeps what is retained; its types leave it out. */
interface Memory {
  readonly persistence: { createRetainedStream(pattern: string): AsyncIterable<unknown> }
}

it('the gateway’s broker discards retained messages', async () => {
  const opening = vi.spyOn(Aedes, 'createBroker')
  const gateway = await startTestGateway()
  onTestFinished(() => gateway.end())
  const broker = (await opening.mock.results[0]!.value) as unknown as Memory
  opening.mockRestore()
  const device = await connectAsync(`mqtt://127.0.0.1:${gateway.gateway.ports.mqtt}`, { protocolVersion: 4 })
  onTestFinished(() => device.endAsync(true))

  for (const topic of ['ecg/v1/local/d1/status', 'ecg/v1/local/d1/frames', 'anything/else']) {
    await device.publishAsync(topic, '{}', { qos: 1, retain: true })
  }

  const kept = []
  for await (const packet of broker.persistence.createRetainedStream('#')) kept.push(packet)
  expect(kept).toEqual([])
})
