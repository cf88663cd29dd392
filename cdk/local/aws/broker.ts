/**
 * The embedded MQTT broker: aedes (MQTT 3.1.1 only), plain TCP on 127.0.0.1. Sessions do not survive a restart.
 * @module
 */
import { createServer } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { Aedes, type AedesPublishPacket, type Client } from 'aedes'
import { listen } from '../http.ts'

/** Channels of ECGs from devices: `ecg/v1/{tenant}/{device}/frames` and `…/window`. */
const INBOUND = ['frames', 'window']

const endOf = (topic: string) => topic.slice(topic.lastIndexOf('/') + 1)

/** A message that a client published. */
export interface Publication {
  readonly topic: string
  readonly payload: Buffer
  readonly clientId: string
}

export interface Broker {
  readonly url: string
  /**
   * Calls the listener for everything that clients publish to these filters, like rules of AWS IoT Core. Such rules count as subscribers.
   * @returns a function that stops it
   */
  onPublish(filters: readonly string[], listener: (publication: Publication) => void): () => void
  /** Publishes at QoS 1. Resolves when the message is on its way to the subscribers. */
  publish(topic: string, payload: Buffer): Promise<void>
  /** Resolves when a client has subscribed to a topic with this last part. */
  subscribed(topicEnd: string): Promise<void>
  /**
   * Accepts no more ECGs, and resolves when the subscribers have acknowledged all accepted ones, because the broker's memory is lost when
   * it stops. A subscriber that does not come back is not waited for.
   */
  drain(): Promise<void>
  stop(): Promise<void>
}

/** How long a subscriber may take to acknowledge messages. */
const DRAIN_MS = 5000

/** Interval of checks for unacknowledged messages; two empty checks in a row end the wait. */
const LOOK_MS = 25

/** MQTT 5 CONNACK reason: unsupported protocol version, https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901079 */
const UNSUPPORTED_VERSION = 0x84
const REASON_STRING = 0x1f
const ONLY_3_1_1 = 'This broker speaks MQTT 3.1.1 only: use version 4, or another broker.'

/** Starts the broker. Rejects with the system's own error (`EADDRINUSE`) when the port is taken; port 0 takes any free one. */
export async function startBroker(port: number): Promise<Broker> {
  const aedes = await Aedes.createBroker()
  /** Topic ends of rules, which are always present; and for each connected client, those of its subscriptions. */
  const ruled = new Set<string>()
  const hearers = new Map<string, Set<string>>()
  let isDraining = false
  aedes.on('subscribe', (subscriptions, { id }) => {
    const ends = hearers.get(id) ?? new Set()
    for (const { topic } of subscriptions) ends.add(endOf(topic))
    hearers.set(id, ends)
  })
  aedes.on('clientDisconnect', ({ id }) => hearers.delete(id))
  const isHeard = (end: string) => ruled.has(end) || [...hearers.values()].some((ends) => ends.has(end))
  // While no adapter is subscribed, an ECG would be acknowledged into memory and lost. A disconnected device sends it again.
  aedes.authorizePublish = (_client, { topic }, done) => {
    const end = endOf(topic)
    // aedes would disconnect each subscriber whose `+` matches an empty level: the adapter, because of one device's message.
    if (topic.split('/').includes('')) return done(new Error('a level of the topic is empty'))
    const isRefused = INBOUND.includes(end) && (isDraining || !isHeard(end))
    done(isRefused ? new Error('nobody listens') : null)
  }
  // As in AWS IoT Core: no subscriber receives what is sent to a rule by name.
  aedes.authorizeSubscribe = (_client, subscription, done) =>
    done(null, subscription.topic.startsWith('$aws/') ? null : subscription)
  // QoS 2 is granted as 1. aedes looks up the granted QoS by the exact topic; without this, a subscriber with a wildcard would get 2.
  aedes.authorizeForward = (_client, packet) => (packet.qos === 2 ? { ...packet, qos: 1 } : packet)
  aedes.preConnect = (client, { protocolVersion }, done) => {
    const isRefused = Number(protocolVersion) === 5
    if (isRefused) client.conn.write(refusalOfVersion5())
    else grantAtMostOne(client)
    done(isRefused ? new Error('MQTT 5 is not spoken here') : null, !isRefused)
  }
  const { persistence: memory } = withMemory(aedes)
  /** Number of messages that subscribers of ECGs have not acknowledged. */
  const unacknowledged = async () => {
    let count = 0
    for (const [id, ends] of hearers) {
      if (!INBOUND.some((end) => ends.has(end))) continue
      for await (const _packet of memory.outgoingStream({ id })) count++
    }
    return count
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
      for (const filter of filters) ruled.add(endOf(filter))
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
    async drain() {
      isDraining = true
      const end = performance.now() + DRAIN_MS
      for (let empty = 0; empty < 2 && performance.now() < end; ) {
        empty = (await unacknowledged()) === 0 ? empty + 1 : 0
        await pause(LOOK_MS)
      }
    },
    async stop() {
      // The broker first: it disconnects its clients, for which the server waits.
      await new Promise<void>((resolve) => aedes.close(resolve))
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

/** Where aedes keeps unacknowledged messages of a client. */
interface AedesMemory {
  outgoingStream(client: { readonly id: string }): AsyncIterable<unknown>
}

/** Source of a client's packets. */
interface PacketSource {
  readonly _parser: NodeJS.EventEmitter
}

/** @throws Error for a version of aedes that keeps its messages elsewhere */
function withMemory(aedes: object): { readonly persistence: AedesMemory } {
  if (!('persistence' in aedes)) throw new Error('this version of aedes has no persistence')
  return aedes as { readonly persistence: AedesMemory } // missing in its types
}

/** @throws Error for a version of aedes with another parser */
function withParser(client: object): PacketSource {
  if (!('_parser' in client)) throw new Error('this version of aedes has no parser of packets')
  return client as PacketSource // private in its types
}

/**
 * aedes grants the requested QoS whatever `authorizeSubscribe` returns. Therefore the request is changed before aedes sees it, in its
 * private parser.
 */
function grantAtMostOne(client: Client): void {
  const { _parser: parser } = withParser(client)
  parser.prependListener(
    'packet',
    ({ cmd, subscriptions = [] }: { cmd: string; subscriptions?: { qos: number }[] }) => {
      if (cmd === 'subscribe')
        for (const subscription of subscriptions) subscription.qos = Math.min(subscription.qos, 1)
    },
  )
}

/** A CONNACK that MQTT 5 clients can read: aedes answers in the 3.1.1 format, which they treat as malformed. */
function refusalOfVersion5(): Buffer {
  const reason = Buffer.from(ONLY_3_1_1, 'utf8')
  const property = Buffer.from([REASON_STRING, reason.length >> 8, reason.length & 0xff])
  // Both lengths are below 128, so each takes one byte.
  const properties = Buffer.concat([property, reason])
  return Buffer.concat([
    Buffer.from([0x20, properties.length + 3, 0, UNSUPPORTED_VERSION, properties.length]),
    properties,
  ])
}
