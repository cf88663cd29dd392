import { once } from 'node:events'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Inbound, openInbound, openTransient } from '../../../streams/mqtt/connection.ts'
import type { Arrival } from '../../../streams/mqtt/ingest.ts'
import { BROKERS, type Broker } from './helpers/brokers.ts'

describe.each(BROKERS)('inbound connection to $broker, MQTT protocol $version', ({ version, start, missing }) => {
  describe.skipIf(missing !== '')(`with manual acknowledgement${missing}`, () => {
    let broker: Broker
    let inbound: Inbound
    let arrivals: Arrival[]
    let hasArrived: (count: number) => Promise<void>

    const open = async () => {
      arrivals = []
      const seen = new EventTarget()
      hasArrived = async (count) => {
        while (arrivals.length < count) await once(seen, 'arrival')
      }
      const receive = (arrival: Arrival) => {
        arrivals.push(arrival)
        seen.dispatchEvent(new Event('arrival'))
      }
      inbound = openInbound({ url: broker.url, version }, 'inbound', ['ecg/#'], receive, () => {})
      await inbound.subscribed
    }

    beforeEach(async () => {
      broker = await start()
      await open()
    })

    afterEach(async () => {
      await inbound.leave()
      await broker.close()
    })

    it('receives later messages while earlier ones wait, and again only those not acknowledged', async () => {
      const publisher = openTransient({ url: broker.url, version }, 'publisher')
      const texts = ['a', 'b', 'c', 'd', 'e']
      for (const text of texts) await publisher.publishAsync('ecg/x', text, { qos: 1 })
      await hasArrived(5)
      const first = arrivals

      for (const arrival of first.slice(0, 3)) arrival.acknowledge(0x83)
      await inbound.leave()
      await open()
      await hasArrived(2)
      for (const arrival of first) arrival.acknowledge(0)
      await publisher.publishAsync('ecg/x', 'f', { qos: 1 })
      await hasArrived(3)
      await publisher.endAsync()

      expect(first.map(({ payload }) => String(payload))).toEqual(texts)
      expect(arrivals.map(({ payload }) => String(payload))).toEqual(['d', 'e', 'f'])
    })
  })
})
