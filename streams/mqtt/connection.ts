/**
 * Connections to the broker, for the adapter and the reference device.
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
  /** PEM: certificate authority of the broker, and this client's own certificate and key (mutual TLS). */
  readonly ca?: Buffer | undefined
  readonly cert?: Buffer | undefined
  readonly key?: Buffer | undefined
}

/** How long a broker keeps messages while the client is disconnected, if it supports MQTT 5. */
const SESSION_EXPIRY_S = 24 * 3600

/** Messages that MQTT 5 brokers may send before we acknowledge. Limits memory, and is more than one commit takes. */
const RECEIVE_MAXIMUM = 256

/** Delay between attempts to connect; doubles each time, so that a broker that is down for long is not contacted every second. */
const RECONNECT_MS = { first: 1000, longest: 8000 } as const

/** Keepalive interval of an idle connection: a dead one is noticed within 1.5 times this. */
const KEEPALIVE_S = 15

/** Opens a connection without a persistent session: for publishing, and for results that are needed only now. */
export function openTransient(broker: BrokerOptions, clientId: string): MqttClient {
  return connect(broker.url, { ...clientOptions(broker), clientId, clean: true })
}

/** Increases the delay from attempt to attempt, and resets it when the broker has answered. */
export function backOff(client: MqttClient): MqttClient {
  client.on('reconnect', () => {
    client.options.reconnectPeriod = Math.min(2 * client.options.reconnectPeriod!, RECONNECT_MS.longest)
  })
  client.on('connect', () => {
    client.options.reconnectPeriod = RECONNECT_MS.first
  })
  return client
}

/** The part of mqtt.js through which all packets are sent. */
interface PacketSender {
  _sendPacket(
    packet: { cmd: string; messageId?: number; reasonCode?: number },
    done?: () => void,
    ...rest: unknown[]
  ): void
}

/** @throws Error for a version of mqtt.js that sends packets in another way */
function senderOf(client: object): PacketSender {
  if (!('_sendPacket' in client)) throw new Error('this version of mqtt.js has no _sendPacket')
  return client as PacketSender // it is private
}

export type ConnectionState = 'connected' | 'disconnected' | 'subscribed'

/** A subscription whose receiver acknowledges each message, at any later time. */
export interface Inbound {
  /** Resolves when the broker has granted the subscription; rejects when it refuses it. */
  readonly subscribed: Promise<void>
  /** Disconnects from the broker, which keeps messages meanwhile; unacknowledged messages come again. */
  leave(): Promise<void>
  /** Reconnects after `leave`. */
  rejoin(): void
}

/**
 * Opens a persistent session (the broker keeps QoS 1 messages while we are disconnected) and subscribes to `filters`.
 *
 * mqtt.js acknowledges a message when `handleMessage` calls back, and handles the next one only then, which would be one message per
 * commit. So each message is called back at once, the PUBACK that follows is suppressed, and our own is sent when the message has been
 * written. Acknowledgements stay in the order of arrival (MQTT 4.6) because commits do. An acknowledgement after its connection was lost is
 * dropped: its packet id is invalid on the next connection, and the broker sends the message again.
 * @param onPacket called for every packet from the broker, including answers to our pings: the connection is alive
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
  // `_sendPacket` is private, but it is the only place where an acknowledgement can be delayed without delaying pings and later messages.
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

/** MQTT allows a property to occur twice; the first one is used. */
export const userProperty = (value: string | string[] | undefined) => (Array.isArray(value) ? value[0] : value)

function clientOptions({ version, username, password, ca, cert, key }: BrokerOptions): IClientOptions {
  return {
    protocolVersion: version,
    reconnectPeriod: RECONNECT_MS.first,
    // A broker that is starting or overloaded refuses connections; the client keeps trying.
    reconnectOnConnackError: true,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  }
}
