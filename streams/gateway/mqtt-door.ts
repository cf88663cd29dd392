/**
 * The door for devices: our own broker (aedes, MQTT 3.1.1) in front of the adapter's ingest and frame journal. A PUBLISH is acknowledged
 * when its frame is on disk. A closed window is stored in the gateway's store before it leaves the frame journal. A result waits until its
 * device is connected.
 * @module
 */
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { Aedes, type AedesPublishPacket, type Client } from 'aedes'
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

/** A result that its device has not acknowledged is sent again after this time. */
const RESEND_MS = 30_000

const FROM_DEVICE: readonly string[] = ['frames', 'window', 'status']
const TO_DEVICE: readonly string[] = ['results', 'cmd']

export class MqttDoor {
  readonly #options: MqttDoorOptions
  readonly #ingest: Ingest
  readonly #broker: Aedes
  /** Windows for which the store had no room. */
  #waiting: number[] = []
  /** By peer: the clients that subscribe to a device's results, and what was sent to each and not acknowledged yet, in order. */
  readonly #listeners = new Map<string, Map<Client, (number | undefined)[]>>()
  readonly #sentAtMs = new Map<number, number>()

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

  /** Called every second: closes overdue windows, stores those that had no room, and resends unacknowledged results. */
  upkeep(): void {
    this.#ingest.sweep()
    if (this.#waiting.length > 0) this.#keep(this.#waiting.splice(0))
    const now = this.#options.clock.monotonic()
    for (const [delivery, sentAtMs] of this.#sentAtMs) {
      if (now - sentAtMs > RESEND_MS) this.#sentAtMs.delete(delivery)
    }
    for (const peer of this.#listeners.keys()) this.deliver(peer)
  }

  prune(): void {
    this.#ingest.expire(this.#options.clock.now() - SESSION_MEMORY_MS)
    this.#ingest.afterwards(() => this.#options.journal.prune(this.#options.clock.now() - SESSION_MEMORY_MS))
  }

  /** Sends the results that wait for a device, if it is subscribed. */
  deliver(peer: string): void {
    const clients = this.#listeners.get(peer)
    if (clients === undefined || clients.size === 0) return
    const { store, clock } = this.#options
    for (const { id, ecg } of store.deliveriesOf(peer)) {
      if (this.#sentAtMs.has(id)) continue
      const stored = store.readEcg(ecg)
      const origin = stored?.envelope.origin
      // A replaced version must not follow its correction.
      const isWanted = stored?.result !== undefined && !store.isSuperseded(stored.envelope)
      if (!isWanted || origin?.kind !== 'mqtt') {
        this.#end(id)
        continue
      }
      this.#sentAtMs.set(id, clock.monotonic())
      for (const sent of clients.values()) sent.push(id)
      const payload = this.#options.results === 'summary' ? summaryOf(stored.result) : stored.result
      this.#publish({ tenant: stored.envelope.tenant, device: origin.device, channel: 'results' }, payload)
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
    broker.on('subscribe', (subscriptions, client) => {
      for (const { topic: text } of subscriptions) {
        const topic = topicOf(text)
        if (topic?.channel !== 'results') continue
        const peer = devicePeer(topic)
        const clients = this.#listeners.get(peer) ?? new Map<Client, (number | undefined)[]>()
        this.#listeners.set(peer, clients)
        if (!clients.has(client)) clients.set(client, [])
        this.deliver(peer)
      }
    })
    broker.on('unsubscribe', (topics, client) => {
      for (const text of topics) {
        const topic = topicOf(text)
        if (topic !== undefined) this.#forget(devicePeer(topic), client)
      }
    })
    broker.on('clientDisconnect', (client) => {
      for (const peer of this.#listeners.keys()) this.#forget(peer, client)
    })
    // A client acknowledges in the order in which it received messages, whatever the topic.
    broker.on('ack', (_, client) => this.#acknowledged(client))
  }

  #forget(peer: string, client: Client): void {
    const clients = this.#listeners.get(peer)
    for (const delivery of clients?.get(client) ?? []) if (delivery !== undefined) this.#sentAtMs.delete(delivery)
    clients?.delete(client)
    if (clients?.size === 0) this.#listeners.delete(peer)
  }

  #acknowledged(client: Client): void {
    const queue = this.#sentTo(client)
    const delivery = queue.shift()
    if (delivery === undefined) return
    for (const clients of this.#listeners.values()) {
      const own = clients.get(client)
      const at = own?.indexOf(delivery) ?? -1
      if (at >= 0) own!.splice(at, 1)
    }
    this.#sentAtMs.delete(delivery)
    this.#end(delivery)
  }

  #end(delivery: number): void {
    try {
      this.#options.store.endDelivery(delivery, 'done')
    } catch (error) {
      // When the disk accepts no writes, the device gets the same bytes again.
      if (!(error instanceof CodedError)) throw error
    }
  }

  /** Results that were sent to a client and not acknowledged, oldest first. */
  #sentTo(client: Client): (number | undefined)[] {
    const all = [...this.#listeners.values()].flatMap((clients) => clients.get(client) ?? [])
    return all.toSorted((a, b) => (this.#sentAtMs.get(a!) ?? 0) - (this.#sentAtMs.get(b!) ?? 0))
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

function topicOf(text: string): Topic | undefined {
  try {
    // A device that sends its windows to an AWS IoT Core rule may do the same here.
    return parseTopic(withoutBasicIngest(text))
  } catch {
    return undefined
  }
}
