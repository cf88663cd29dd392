/** Real brokers for tests: aedes in this process, mosquitto as a child where it is installed. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Aedes } from 'aedes'
import { freePort } from '../../../../cdk/local/free-port.ts'

export interface Broker {
  readonly url: string
  close(): Promise<void>
}

export const MOSQUITTO = ['/usr/sbin/mosquitto', '/usr/local/sbin/mosquitto', '/opt/homebrew/sbin/mosquitto'].find(
  existsSync,
)

/** For the name of a suite that is skipped without mosquitto. */
export const NO_MOSQUITTO = MOSQUITTO === undefined ? ' (skipped: no mosquitto; Debian package mosquitto)' : ''

export async function startAedes(): Promise<Broker> {
  const aedes = await Aedes.createBroker()
  const server = createServer(aedes.handle)
  const port = await listen(server)
  return {
    url: `mqtt://127.0.0.1:${port}`,
    close: async () => {
      await new Promise<void>((resolve) => aedes.close(() => resolve()))
      server.close()
    },
  }
}

/**
 * @param lines more configuration, a line each
 * @param scheme `mqtts` where the lines ask for TLS
 */
export async function startMosquitto(
  lines: readonly string[] = ['allow_anonymous true'],
  scheme: 'mqtt' | 'mqtts' = 'mqtt',
): Promise<Broker> {
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'mosquitto-'))
  const config = join(folder, 'mosquitto.conf')
  // Without it, mosquitto drops what it acknowledged beyond 1000 messages while the adapter is away: 7 s of the fastest test.
  const queue = 'max_queued_messages 0'
  writeFileSync(config, [`listener ${port} 127.0.0.1`, queue, ...lines, ''].join('\n'))
  const child = spawn(MOSQUITTO!, ['-c', config], { stdio: ['ignore', 'ignore', 'pipe'] })
  const said: string[] = []
  for await (const line of createInterface({ input: child.stderr })) {
    said.push(line)
    if (line.includes('running')) break
  }
  if (!said.at(-1)?.includes('running')) throw new Error(`mosquitto has not started: ${said.join('; ')}`)
  return {
    url: `${scheme}://127.0.0.1:${port}`,
    close: async () => {
      child.kill()
      await once(child, 'exit')
      rmSync(folder, { recursive: true })
    },
  }
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  // A server that listens on a port has an address of this kind.
  return (server.address() as AddressInfo).port
}

/** The brokers and protocol versions that the adapter is for. aedes speaks 3.1.1 only. `missing`: see `NO_MOSQUITTO`. */
export const BROKERS = [
  { broker: 'aedes', version: 4, start: startAedes, missing: '' },
  { broker: 'mosquitto', version: 4, start: () => startMosquitto(), missing: NO_MOSQUITTO },
  { broker: 'mosquitto', version: 5, start: () => startMosquitto(), missing: NO_MOSQUITTO },
] as const
