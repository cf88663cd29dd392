/**
 * The door for devices: a broker of our own (aedes, MQTT 3.1.1) before the adapter's ingest and frame journal. A PUBLISH is acknowledged when its frame is on
 * the disk; a window that is closed goes into the gateway's store before it leaves the frame journal; a result waits for its device until it is back.
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
import { type Clock, Ingest } from '../mqtt/ingest.ts'
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
  /** The only tenant whose devices may come. */
  readonly tenant: string
  /** Whether devices get whole results or summaries. */
  readonly results: DeviceResults
  readonly warnings: () => readonly ResultWarning[]
  readonly onStored: (added: readonly Added[]) => void
  readonly onRefused: (code: ErrorCode) => void
  /** The frame journal cannot be written: this process must start again from the disk. */
  readonly onFailed: (error: unknown) => void
}

/** As the adapter has it: a session that comes again after a day is a new one to us. */
const SESSION_MEMORY_MS = 24 * 3600 * 1000

/** Results that a device has at once and has not acknowledged: the broker keeps them in memory. */
const MAX_UNACKNOWLEDGED = 16

/** Of SUBACK (MQTT 3.1.1, 3.9.3): aedes lists refused subscriptions, too. */
const SUBACK_FAILURE = 0x80

const FROM_DEVICE: readonly string[] = ['frames', 'window', 'status']
const TO_DEVICE: readonly string[] = ['results', 'cmd']

export class MqttDoor {
  readonly #options: MqttDoorOptions
  readonly #ingest: Ingest
  readonly #broker: Aedes
  /** Windows that the store had no room for. */
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

  /** Takes a device's connection. */
  serve(socket: Socket): void {
    this.#broker.handle(socket)
  }

  get sessions(): number {
    return this.#ingest.sessions
  }

  get frames() {
    return this.#ingest.counts
  }

  /** Once a second: closes what is overdue, keeps what had no room, sends what a disk that took no writes held up. */
  upkeep(): void {
    this.#ingest.sweep()
    if (this.#waiting.length > 0) this.#keep(this.#waiting.splice(0))
    for (const peer of this.#listeners.peers) this.deliver(peer)
  }

  prune(): void {
    this.#ingest.expire(this.#options.clock.now() - SESSION_MEMORY_MS)
    this.#ingest.afterwards(() => this.#options.journal.prune(this.#options.clock.now() - SESSION_MEMORY_MS))
  }

  /** Sends what waits for a device, if it listens. */
  deliver(peer: string): void {
    if (!this.#listeners.isHeard(peer)) return
    const { store } = this.#options
    for (const { id, ecg } of store.deliveriesOf(peer, MAX_UNACKNOWLEDGED)) {
      if (this.#listeners.isUnderWay(id)) continue
      const stored = store.readEcg(ecg)
      const origin = stored?.envelope.origin
      // A version that was replaced before its turn came must not follow its correction.
      const isWanted = stored?.result !== undefined && !store.isSuperseded(stored.envelope)
      if (!isWanted || origin?.kind !== 'mqtt') {
        this.#end(id)
        continue
      }
      const payload = this.#options.results === 'summary' ? summaryOf(stored.result) : stored.result
      const isAwaited = this.#listeners.sent(peer, id, payload)
      this.#publish({ tenant: stored.envelope.tenant, device: origin.device, channel: 'results' }, payload)
      // At QoS 0 nobody acknowledges: that is what the device asked for.
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
      // A device hears of itself only: no wildcards, no other device's results.
      const topic = topicOf(subscription.topic)
      const isAllowed = topic !== undefined && TO_DEVICE.includes(topic.channel) && this.#isOwn(client, topic)
      done(null, isAllowed ? subscription : null)
    }
    broker.on('subscribe', (subscriptions, client) => this.#listen(client, subscriptions))
    // A session that comes back has its subscriptions without asking again; aedes tells of no `subscribe` then.
    broker.on('clientReady', (client) => this.#listen(client, subscriptionsOf(client)))
    broker.on('unsubscribe', (topics, client) => {
      for (const text of topics) {
        const topic = topicOf(text)
        if (topic?.channel === 'results') this.#listeners.remove(client, devicePeer(topic))
      }
    })
    broker.on('clientDisconnect', (client) => this.#listeners.gone(client))
    broker.on('ack', (packet, client) => {
      // Of a clean session aedes keeps no packets; of another it repeats what an earlier connection left, so the payload says which it is.
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

  #end(delivery: number): void {
    try {
      this.#options.store.endDelivery(delivery, 'done')
    } catch (error) {
      // A disk that takes no writes: the device gets the same bytes again.
      if (!(error instanceof CodedError)) throw error
    }
  }

  #take(client: Client | null, packet: AedesPublishPacket, done: (error?: Error | null) => void): void {
    // The broker would keep the last of each topic in memory, for subscribers that cannot be.
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
      // Nothing that waits is dropped for it: the device keeps its frames and is told why.
      this.#options.onRefused('disk-full')
      if (topic !== undefined) this.#tell(topic, { code: 'disk-full', field: 'journal' })
      done(new Error('no room'))
      return
    }
    this.#ingest.receive({
      topic: withoutBasicIngest(packet.topic),
      payload: Buffer.isBuffer(packet.payload) ? packet.payload : Buffer.from(packet.payload),
      contentType: undefined,
      // MQTT 3.1.1 knows no reason: a refused payload is acknowledged, and its device told on `cmd`.
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
    // At QoS 0: what is told by the way must not be mistaken for an acknowledged result.
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
 * With mutual TLS, a device is who its certificate says: one that names nobody, or several, may speak for none. Without a certificate the door has asked
 * for none, and its list of peers says who may come.
 */
export function isDeviceOf({ subject }: { readonly subject?: { readonly CN?: unknown } }, device: string): boolean {
  return subject === undefined || subject.CN === device
}

/** What a client has subscribed to, also in a session that came back; aedes' types leave it out. */
function subscriptionsOf(client: object): readonly Pick<Subscription, 'topic' | 'qos'>[] {
  if (!('subscriptions' in client)) throw new Error('this version of aedes keeps subscriptions elsewhere')
  const byTopic = client.subscriptions as Readonly<Record<string, Pick<Subscription, 'qos'>>> // its `Client`
  return Object.entries(byTopic).map(([topic, { qos }]) => ({ topic, qos }))
}

/** Of a message that aedes does not know (any more), it has no packet. */
const payloadOf = (packet: object | undefined): unknown =>
  packet !== undefined && 'payload' in packet ? packet.payload : undefined

function topicOf(text: string): Topic | undefined {
  try {
    // A device that sends its windows to a rule of AWS IoT Core may do the same here.
    return parseTopic(withoutBasicIngest(text))
  } catch {
    return undefined
  }
}
