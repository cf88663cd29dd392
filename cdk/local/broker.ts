/**
 * The embedded MQTT broker: aedes (MQTT 3.1.1 only), plain TCP on 127.0.0.1. It keeps no sessions over a restart.
 * @module
 */
import { createServer } from 'node:net'
import { Aedes } from 'aedes'
import { listen } from './emulators.ts'

export interface Broker {
  readonly url: string
  /** Resolves once a client has subscribed to a topic that ends so. */
  subscribed(topicEnd: string): Promise<void>
  stop(): Promise<void>
}

/** Rejects with the system's own error (`EADDRINUSE`) when the port is taken; port 0 takes any. */
export async function startBroker(port: number): Promise<Broker> {
  const aedes = await Aedes.createBroker()
  const server = createServer(aedes.handle)
  const address = await listen(server, port)
  return {
    url: `mqtt://127.0.0.1:${address.port}`,
    subscribed: (topicEnd) =>
      new Promise((resolve) => {
        aedes.on('subscribe', (subscriptions) => {
          if (subscriptions.some(({ topic }) => topic.endsWith(topicEnd))) resolve()
        })
      }),
    async stop() {
      // The broker first: it hangs up on its clients, and the server waits for them.
      await new Promise<void>((resolve) => aedes.close(resolve))
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
