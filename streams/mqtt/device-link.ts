/**
 * A device's connection to its broker.
 * @module
 */
import { randomUUID } from 'node:crypto'
import type { MqttClient } from 'mqtt'
import { TRACEPARENT } from '../../shared/observe/tracing.ts'
import { pause } from '../../shared/pause.ts'
import { type BrokerOptions, openTransient, userProperty } from './connection.ts'

const RETRY_MS = 200
const NEVER = new AbortController().signal

type Listener = (payload: Buffer, traceparent?: string) => void

export interface LinkOptions {
  /** For brokers that identify a device by its client ID, such as AWS IoT Core. */
  readonly clientId?: string
}

/** A connection to the broker, which many devices of one tenant may share. */
export class DeviceLink {
  readonly #client: MqttClient
  readonly #version: 4 | 5
  readonly #listeners = new Map<string, Listener>()
  #isClosed = false

  private constructor(client: MqttClient, version: 4 | 5) {
    this.#client = client
    this.#version = version
    client.on('message', (topic, payload, { properties }) => {
      this.#listeners.get(topic)?.(payload, userProperty(properties?.userProperties?.[TRACEPARENT]))
    })
  }

  /**
   * Opens a connection.
   * @throws Error when the broker cannot be reached or refuses
   */
  static async open(broker: BrokerOptions, { clientId }: LinkOptions = {}): Promise<DeviceLink> {
    const client = openTransient(broker, clientId ?? `ecg-${randomUUID().slice(0, 18)}`)
    await new Promise<void>((resolve, reject) => {
      const fail = (error: Error) => {
        client.end(true)
        reject(error)
      }
      client.once('error', fail)
      client.once('connect', () => {
        // A broker that is away later is no reason to give up.
        client.off('error', fail)
        resolve()
      })
    })
    // From here on mqtt.js reconnects by itself, and resends unacknowledged messages.
    client.on('error', () => {})
    return new DeviceLink(client, broker.version)
  }

  async listen(topic: string, listener: Listener): Promise<void> {
    this.#listeners.set(topic, listener)
    await this.#untilDone(() => this.#client.subscribeAsync(topic, { qos: 1 }))
  }

  async unlisten(topic: string): Promise<void> {
    this.#listeners.delete(topic)
    await this.#untilDone(() => this.#client.unsubscribeAsync(topic))
  }

  /** Resolves when the broker has the message, however often the connection is lost meanwhile; a repeated frame is harmless. */
  async publish(topic: string, payload: Buffer, contentType: string, traceparent?: string): Promise<void> {
    const userProperties = traceparent === undefined ? {} : { userProperties: { [TRACEPARENT]: traceparent } }
    const properties = { contentType, ...userProperties }
    const options = { qos: 1, ...(this.#version === 5 ? { properties } : {}) } as const
    await this.#untilDone(() => this.#client.publishAsync(topic, payload, options))
  }

  async #untilDone(work: () => Promise<unknown>): Promise<void> {
    for (;;) {
      try {
        await work()
        return
      } catch (error) {
        // When the connection is lost again, mqtt.js drops messages that wait behind its own retransmissions.
        const isLost = error instanceof Error && error.message === 'Connection closed'
        if (!isLost || this.#isClosed) throw error
        await pause(RETRY_MS, NEVER)
      }
    }
  }

  close(): Promise<void> {
    this.#isClosed = true
    return this.#client.endAsync()
  }
}
