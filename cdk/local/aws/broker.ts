/**
 * The embedded MQTT broker: aedes (MQTT 3.1.1 only), plain TCP on 127.0.0.1. It keeps no sessions over a restart.
 * @module
 */
import { createServer } from 'node:net'
import { Aedes, type AedesPublishPacket, type Client } from 'aedes'
import { listen } from '../http.ts'

/** Where devices send ECGs to: `ecg/v1/{tenant}/{device}/frames` and `…/window`. */
const INBOUND = ['frames', 'window']

const endOf = (topic: string) => topic.slice(topic.lastIndexOf('/') + 1)

/** What a client has published. */
export interface Publication {
  readonly topic: string
  readonly payload: Buffer
  readonly clientId: string
}

export interface Broker {
  readonly url: string
  /**
   * Tells of all that clients publish, as AWS IoT Core's rules hear it; they count as subscribers of their filters.
   * @returns what ends it
   */
  onPublish(filters: readonly string[], listener: (publication: Publication) => void): () => void
  /** Publishes at QoS 1; resolves when it is on its way to whoever has subscribed. */
  publish(topic: string, payload: Buffer): Promise<void>
  /** Resolves once a client has subscribed to a topic whose last part is this. */
  subscribed(topicEnd: string): Promise<void>
  stop(): Promise<void>
}

/** Rejects with the system's own error (`EADDRINUSE`) when the port is taken; port 0 takes any. */
export async function startBroker(port: number): Promise<Broker> {
  const aedes = await Aedes.createBroker()
  const heard = new Set<string>()
  aedes.on('subscribe', (subscriptions) => {
    for (const { topic } of subscriptions) heard.add(endOf(topic))
  })
  // Until the adapter has subscribed, an ECG would be acknowledged and lost. Hung up on, the device sends it again.
  aedes.authorizePublish = (_client, { topic }, done) => {
    const end = endOf(topic)
    // aedes hangs up on each subscriber whose `+` would stand for nothing: on the adapter, for what one device sends.
    if (topic.split('/').includes('')) return done(new Error('a level of the topic is empty'))
    done(INBOUND.includes(end) && !heard.has(end) ? new Error('nobody listens yet') : null)
  }
  const server = createServer(aedes.handle)
  const address = await listen(server, port)
  return {
    url: `mqtt://127.0.0.1:${address.port}`,
    subscribed: (topicEnd) =>
      new Promise((resolve) => {
        aedes.on('subscribe', (subscriptions) => {
          if (subscriptions.some(({ topic }) => endOf(topic) === topicEnd)) resolve()
        })
      }),
    onPublish(filters, listener) {
      for (const filter of filters) heard.add(endOf(filter))
      const tell = ({ topic, payload }: AedesPublishPacket, client: Client | null) => {
        if (client === null) return
        listener({ topic, payload: Buffer.from(payload), clientId: client.id })
      }
      aedes.on('publish', tell)
      return () => aedes.off('publish', tell)
    },
    publish: (topic, payload) =>
      new Promise((resolve, reject) => {
        const packet = { cmd: 'publish', topic, payload, qos: 1, retain: false, dup: false } as const
        aedes.publish(packet, (error) => (error ? reject(error) : resolve()))
      }),
    async stop() {
      // The broker first: it hangs up on its clients, and the server waits for them.
      await new Promise<void>((resolve) => aedes.close(resolve))
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
