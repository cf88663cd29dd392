/**
 * The door for devices: our own broker (aedes, MQTT 3.1.1) in front of the adapter's ingest and frame journal. A PUBLISH is acknowledged
 * when its frame is on disk. A closed window is stored in the gateway's store before it leaves the frame journal. A result waits until its
 * device is connected.
 * @module
 */
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { Aedes, type AedesPublishPacket, type Client, type Subscription } from 'aedes'
import { type DeviceResults, summaryOf } from '../../shared/domain/result-summary.ts'
import type { ResultWarning } from '../../shared/domain/warnings.ts'
import { sentenceOf } from '../../shared/error-sentences.ts'
import { CodedError, type ErrorCode } from '../../shared/errors.ts'
import { encodeWaveform } from '../../shared/waveform/codec.ts'
import type { Problem } from '../mqtt/frame-end.ts'
import { type Clock, Ingest, type MissedResult } from '../mqtt/ingest.ts'
import { intakeEnvelope } from '../mqtt/intake-message.ts'
import type { Journal } from '../mqtt/journal.ts'
import { buildTopic, parseTopic, type Topic, withoutBasicIngest } from '../mqtt/topics.ts'
import { Listeners } from './listeners.ts'
import { devicePeer } from './peers.ts'
import type { Store } from './store.ts'
import type { Added } from './stored-ecg.ts'

export interface MqttDoorOptions {
  readonly store: Store
  readonly journal: Journal
  readonly clock: Clock
  readonly idleMs: number
  /** The only tenant whose devices may connect. */
  readonly tenant: string
  /** Whether devices get whole results or summaries. */
  readonly results: DeviceResults
  readonly warnings: () => readonly ResultWarning[]
  readonly onStored: (added: readonly Added[]) => void
  readonly onRefused: (code: ErrorCode) => void
  /** The frame journal cannot be written: this process must restart from the disk. */
  readonly onFailed: (error: unknown) => void
}

/** A session that returns after a day is treated as a new one, as in the adapter. */
const SESSION_MEMORY_MS = 24 * 3600 * 1000

/** Most unacknowledged results per device at a time, because the broker keeps them in memory. */
const MAX_UNACKNOWLEDGED = 16

/** Failure code in SUBACK (MQTT 3.1.1, 3.9.3); aedes also lists refused subscriptions. */
const SUBACK_FAILURE = 0x80

const FROM_DEVICE: readonly string[] = ['frames', 'window', 'status']
const TO_DEVICE: readonly string[] = ['results', 'cmd']

export class MqttDoor {
  readonly #options: MqttDoorOptions
  readonly #ingest: Ingest
  readonly #broker: Aedes
  /** Windows for which the store had no room. */
  #waiting: number[] = []
  readonly #listeners = new Listeners<Client>()

  private constructor(options: MqttDoorOptions, broker: Aedes) {
    this.#options = options
    this.#broker = broker
    const { journal, clock, idleMs } = options
    this.#ingest = new Ingest({
      journal,
      clock,
      idleMs,
      output: {
        windowsClosed: (ids) => this.#keep(ids),
        refused: (id, problem, topic) => this.#refused(id, problem, topic),
        resultsMissed: (missed) => this.#deliverAgain(missed),
        failed: options.onFailed,
      },
    })
    this.#guard()
  }

  static async open(options: MqttDoorOptions): Promise<MqttDoor> {
    const door = new MqttDoor(options, await Aedes.createBroker())
    options.journal.prune(options.clock.now() - SESSION_MEMORY_MS)
    for (const id of options.journal.pendingRejects()) options.journal.rejectSent(id)
    door.#ingest.recover()
    return door
  }

  /** Handles a device's connection. */
  serve(socket: Socket): void {
    this.#broker.handle(socket)
  }

  get sessions(): number {
    return this.#ingest.sessions
  }

  get frames() {
    return this.#ingest.counts
  }

  /** Called every second: closes overdue windows, stores those that had no room, and sends results that a failing disk delayed. */
  upkeep(): void {
    this.#ingest.sweep()
    if (this.#waiting.length > 0) this.#keep(this.#waiting.splice(0))
    for (const peer of this.#listeners.peers) this.deliver(peer)
  }

  prune(): void {
    this.#ingest.expire(this.#options.clock.now() - SESSION_MEMORY_MS)
    this.#ingest.afterwards(() => this.#options.journal.prune(this.#options.clock.now() - SESSION_MEMORY_MS))
  }

  /** Sends the results that wait for a device, if it is subscribed. */
  deliver(peer: string): void {
    if (!this.#listeners.isHeard(peer)) return
    const { store } = this.#options
    for (const { id, ecg } of store.deliveriesOf(peer, MAX_UNACKNOWLEDGED)) {
      if (this.#listeners.isUnderWay(id)) continue
      const stored = store.readEcg(ecg)
      const origin = stored?.envelope.origin
      // A replaced version must not follow its correction.
      const isWanted = stored?.result !== undefined && !store.isSuperseded(stored.envelope)
      if (!isWanted || origin?.kind !== 'mqtt') {
        this.#end(id)
        continue
      }
      const payload = this.#options.results === 'summary' ? summaryOf(stored.result) : stored.result
      const isAwaited = this.#listeners.sent(peer, id, payload)
      this.#publish({ tenant: stored.envelope.tenant, device: origin.device, channel: 'results' }, payload)
      // At QoS 0 there is no acknowledgement, as the device requested.
      if (!isAwaited) this.#end(id)
    }
  }

  async close(): Promise<void> {
    this.#ingest.flush()
    await new Promise<void>((resolve) => this.#broker.close(resolve))
    this.#ingest.flush()
  }

  #guard(): void {
    const broker = this.#broker
    broker.authorizePublish = (client, packet, done) => this.#take(client, packet as AedesPublishPacket, done)
    broker.authorizeSubscribe = (client, subscription, done) => {
      // A device may subscribe only to its own topics: no wildcards, no other device's results.
      const topic = topicOf(subscription.topic)
      const isAllowed = topic !== undefined && TO_DEVICE.includes(topic.channel) && this.#isOwn(client, topic)
      done(null, isAllowed ? subscription : null)
    }
    broker.on('subscribe', (subscriptions, client) => this.#listen(client, subscriptions))
    // A resumed session has its subscriptions without a new SUBSCRIBE; aedes emits no `subscribe` event then.
    broker.on('clientReady', (client) => this.#listen(client, subscriptionsOf(client)))
    broker.on('unsubscribe', (topics, client) => {
      for (const text of topics) {
        const topic = topicOf(text)
        if (topic?.channel === 'results') this.#listeners.remove(client, devicePeer(topic))
      }
    })
    broker.on('clientDisconnect', (client) => this.#listeners.gone(client))
    broker.on('ack', (packet, client) => {
      // For a clean session aedes has no packet. For a resumed one it also repeats messages of an earlier connection, so the payload
      // identifies the result.
      const isIt = (payload: string) => client.clean || payload === payloadOf(packet)
      const done = this.#listeners.acknowledged(client, isIt)
      if (done === undefined) return
      this.#end(done.delivery)
      this.deliver(done.peer)
    })
  }

  #listen(client: Client, subscriptions: readonly Pick<Subscription, 'topic' | 'qos'>[]): void {
    for (const { topic: text, qos } of subscriptions) {
      const topic = topicOf(text)
      if (topic?.channel !== 'results' || Number(qos) === SUBACK_FAILURE) continue
      const peer = devicePeer(topic)
      this.#listeners.add(client, peer, qos === 0 ? 0 : 1)
      this.deliver(peer)
    }
  }

  /** A device that acknowledged a result and then lost it repeats the frames. */
  #deliverAgain(missed: readonly MissedResult[]): void {
    for (const each of missed) {
      const peer = devicePeer(each)
      try {
        this.#options.store.deliverAgain(peer, each)
      } catch (error) {
        // When the disk accepts no writes, the device asks again.
        if (!(error instanceof CodedError)) throw error
      }
      this.deliver(peer)
    }
  }

  #end(delivery: number): void {
    try {
      this.#options.store.endDelivery(delivery, 'done')
    } catch (error) {
      // When the disk accepts no writes, the device gets the same bytes again.
      if (!(error instanceof CodedError)) throw error
    }
  }

  #take(client: Client | null, packet: AedesPublishPacket, done: (error?: Error | null) => void): void {
    // The broker would keep the last message of each topic in memory, for subscribers that cannot exist.
    packet.retain = false
    const topic = topicOf(packet.topic)
    const isAllowed =
      topic === undefined ||
      (FROM_DEVICE.includes(topic.channel) && topic.tenant === this.#options.tenant && this.#isOwn(client, topic))
    if (!isAllowed) {
      this.#options.onRefused('topic-invalid')
      done(new Error('not allowed'))
      return
    }
    if (topic?.channel === 'status') {
      done(null)
      return
    }
    if (!this.#options.store.hasRoom) {
      // Waiting data is never dropped for it: the device keeps its frames and is told why.
      this.#options.onRefused('disk-full')
      if (topic !== undefined) this.#tell(topic, { code: 'disk-full', field: 'journal' })
      done(new Error('no room'))
      return
    }
    this.#ingest.receive({
      topic: withoutBasicIngest(packet.topic),
      payload: Buffer.isBuffer(packet.payload) ? packet.payload : Buffer.from(packet.payload),
      contentType: undefined,
      // MQTT 3.1.1 has no reason codes: a refused payload is acknowledged, and its device is told on `cmd`.
      acknowledge: () => done(null),
    })
  }

  #isOwn(client: Client | null, { device }: Topic): boolean {
    const connection = client?.conn
    return !(connection instanceof TLSSocket) || isDeviceOf(connection.getPeerCertificate(), device)
  }

  #keep(ids: readonly number[]): void {
    const { store, journal, clock, warnings } = this.#options
    for (const id of ids) {
      const window = journal.readWindow(id)
      const known = intakeEnvelope(window)
      const all = [...(known.warnings ?? []), ...warnings()]
      const envelope = { ...known, ...(all.length === 0 ? {} : { warnings: all }) }
      try {
        const packed = encodeWaveform(window.waveform)
        const about = { order: {}, visit: { patient: undefined, authority: undefined, bed: undefined } }
        const added = store.transaction(() => store.addEcg({ door: 'mqtt', envelope, packed, about }, clock.now()))
        this.#ingest.afterwards(() => journal.windowSent(id))
        if (added.isNew) this.#options.onStored([added])
      } catch (error) {
        // It stays in the frame journal until there is room.
        if (!(error instanceof CodedError)) throw error
        this.#waiting.push(id)
      }
    }
  }

  #refused(id: number | undefined, problem: Problem, topic: Topic | undefined): void {
    this.#options.onRefused(problem.code)
    if (topic !== undefined) this.#tell(topic, problem)
    if (id !== undefined) this.#ingest.afterwards(() => this.#options.journal.rejectSent(id))
  }

  #tell({ tenant, device }: Topic, problem: Problem): void {
    // At QoS 0, so that its acknowledgement cannot be mistaken for that of a result.
    this.#publish(
      { tenant, device, channel: 'cmd' },
      JSON.stringify({
        problem: { ...problem, message: sentenceOf({ code: problem.code, detail: { field: problem.field } }) },
      }),
      0,
    )
  }

  #publish(topic: Topic, payload: string, qos: 0 | 1 = 1): void {
    const packet = { cmd: 'publish', topic: buildTopic(topic), payload, qos, retain: false, dup: false } as const
    this.#broker.publish(packet, () => {})
  }
}

/**
 * With mutual TLS, a device's name is that of its certificate: a certificate without a name, or with several, permits none. Without a
 * certificate, the door did not require one, and its list of peers decides who may connect.
 */
export function isDeviceOf({ subject }: { readonly subject?: { readonly CN?: unknown } }, device: string): boolean {
  return subject === undefined || subject.CN === device
}

/** Subscriptions of a client, including those of a resumed session. The types of aedes omit them. */
function subscriptionsOf(client: object): readonly Pick<Subscription, 'topic' | 'qos'>[] {
  if (!('subscriptions' in client)) throw new Error('this version of aedes keeps subscriptions elsewhere')
  const byTopic = client.subscriptions as Readonly<Record<string, Pick<Subscription, 'qos'>>> // its `Client`
  return Object.entries(byTopic).map(([topic, { qos }]) => ({ topic, qos }))
}

/** Payload of an acknowledged packet; aedes has no packet for a message that it does not know (any more). */
const payloadOf = (packet: object | undefined): unknown =>
  packet !== undefined && 'payload' in packet ? packet.payload : undefined

function topicOf(text: string): Topic | undefined {
  try {
    // A device that sends its windows to an AWS IoT Core rule may do the same here.
    return parseTopic(withoutBasicIngest(text))
  } catch {
    return undefined
  }
}
