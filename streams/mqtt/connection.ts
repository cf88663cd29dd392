/**
 * Connections to the broker, for the adapter and for the reference device.
 * @module
 */
import { connect, type IClientOptions, type MqttClient } from 'mqtt'
import { TRACEPARENT } from '../../shared/observe/tracing.ts'
import type { Arrival } from './ingest.ts'

export interface BrokerOptions {
  /** `mqtt://`, `mqtts://`, `ws://` or `wss://`. */
  readonly url: string
  /** 4 is MQTT 3.1.1, 5 is MQTT 5. */
  readonly version: 4 | 5
  readonly username?: string | undefined
  readonly password?: string | undefined
  /** PEM: the authority that signed the broker's certificate, and this client's own certificate and key (mutual TLS). */
  readonly ca?: Buffer | undefined
  readonly cert?: Buffer | undefined
  readonly key?: Buffer | undefined
}

/** How long a broker keeps what came while nobody was connected, where MQTT 5 lets the client say so. */
const SESSION_EXPIRY_S = 24 * 3600

/** Messages that MQTT 5 brokers may have waiting for our acknowledgement: bounds memory, and is more than a commit takes in. */
const RECEIVE_MAXIMUM = 256

/** Between tries to connect: doubled each time, so that a broker that is away for long is not asked every second. */
const RECONNECT_MS = { first: 1000, longest: 8000 } as const

/** How often an idle connection proves to be alive: a dead one is noticed within 1.5 times that. */
const KEEPALIVE_S = 15

/** Opens a connection that forgets: for publishing, and for results that are wanted now. */
export function openTransient(broker: BrokerOptions, clientId: string): MqttClient {
  return connect(broker.url, { ...clientOptions(broker), clientId, clean: true })
}

/** Waits longer from try to try, and as in the beginning once the broker has answered. */
export function backOff(client: MqttClient): MqttClient {
  client.on('reconnect', () => {
    client.options.reconnectPeriod = Math.min(2 * client.options.reconnectPeriod!, RECONNECT_MS.longest)
  })
  client.on('connect', () => {
    client.options.reconnectPeriod = RECONNECT_MS.first
  })
  return client
}

/** The part of mqtt.js that all packets leave by. */
interface PacketSender {
  _sendPacket(
    packet: { cmd: string; messageId?: number; reasonCode?: number },
    done?: () => void,
    ...rest: unknown[]
  ): void
}

/** @throws Error for an mqtt.js whose packets leave another way: a newer one than the package lock names */
function senderOf(client: object): PacketSender {
  if (!('_sendPacket' in client)) throw new Error('this version of mqtt.js has no _sendPacket')
  return client as PacketSender // it is private
}

export type ConnectionState = 'connected' | 'disconnected' | 'subscribed'

/** A subscription whose messages are acknowledged by who receives them, whenever that is. */
export interface Inbound {
  /** Resolves when the broker has granted the subscription, rejects when it refuses it. */
  readonly subscribed: Promise<void>
  /** Leaves the broker, which keeps what comes meanwhile; what is not acknowledged yet comes again. */
  leave(): Promise<void>
  /** Comes back after `leave`. */
  rejoin(): void
}

/**
 * Opens a persistent session (the broker keeps QoS 1 messages while we are away) and subscribes to `filters`.
 *
 * mqtt.js acknowledges a message when `handleMessage` calls back, and takes up the next one only then: one message a commit. So each
 * message is called back at once, the PUBACK that follows is swallowed, and our own goes out when the message has been
 * written. Acknowledgements stay in the order of arrival (MQTT 4.6) because commits do. One that comes after its connection has gone is
 * dropped: its packet id means nothing to the next one, and the broker sends the message again.
 * @param onPacket hears of all that the broker sends, answers to our pings among it: the connection is alive
 */
export function openInbound(
  broker: BrokerOptions,
  clientId: string,
  filters: readonly string[],
  receive: (arrival: Arrival) => void,
  onChange: (state: ConnectionState, error?: unknown) => void,
  onPacket: () => void = () => {},
): Inbound {
  const client = backOff(
    connect(broker.url, {
      ...clientOptions(broker),
      clientId,
      clean: false,
      resubscribe: false,
      keepalive: KEEPALIVE_S,
      ...(broker.version === 5
        ? { properties: { sessionExpiryInterval: SESSION_EXPIRY_S, receiveMaximum: RECEIVE_MAXIMUM } }
        : {}),
    }),
  )
  // `_sendPacket` is private, but the only place where an acknowledgement can be held without holding up pings and later messages.
  const sender = senderOf(client)
  const send = sender._sendPacket.bind(client)
  sender._sendPacket = (packet, done, ...rest) => {
    if (packet.cmd === 'puback') done?.()
    else send(packet, done, ...rest)
  }
  client.handleMessage = (packet, done) => {
    const { stream } = client
    const { messageId, properties } = packet
    receive({
      topic: packet.topic,
      payload: typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload,
      contentType: properties?.contentType,
      traceparent: userProperty(properties?.userProperties?.[TRACEPARENT]),
      acknowledge: (reasonCode) => {
        if (packet.qos === 1 && client.connected && !client.disconnecting && client.stream === stream) {
          send({ cmd: 'puback', messageId: messageId!, reasonCode })
        }
      },
    })
    done()
  }
  client.on('packetreceive', onPacket)
  client.on('close', () => onChange('disconnected'))
  client.on('error', (error) => onChange('disconnected', error))
  const subscribed = new Promise<void>((resolve, reject) => {
    client.on('connect', () => {
      onChange('connected')
      client.subscribe([...filters], { qos: 1 }, (error, granted) => {
        const refused = error ?? (granted ?? []).find(({ qos }) => qos >= 0x80)
        if (!refused) {
          onChange('subscribed')
          resolve()
        } else if (client.connected) reject(error ?? new Error('the broker refuses the subscription'))
      })
    })
  })
  return {
    subscribed,
    leave: () => client.endAsync(),
    rejoin: () => void client.reconnect(),
  }
}

/** MQTT lets a property be there twice; the first counts. */
export const userProperty = (value: string | string[] | undefined) => (Array.isArray(value) ? value[0] : value)

function clientOptions({ version, username, password, ca, cert, key }: BrokerOptions): IClientOptions {
  return {
    protocolVersion: version,
    reconnectPeriod: RECONNECT_MS.first,
    // A broker that is starting or overloaded refuses; that is no reason to give up.
    reconnectOnConnackError: true,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  }
}
