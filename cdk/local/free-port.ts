/**
 * A port for a server that starts later, or again.
 * @module
 */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { listen } from './http.ts'

const FIRST = 10_240

/** The first of the ports that Linux hands out itself, where it does not say. macOS has its own above. */
const FIRST_OF_SYSTEM = 32_768

/**
 * A port of 127.0.0.1 on which nothing listens, and which the system gives to no connection and no other server meanwhile: below those that it hands out.
 * One of those may be in use when the server wants it, and a client that tries one in vain may even connect to itself.
 */
export async function freePort(random: () => number = Math.random): Promise<number> {
  const end = firstOfSystem()
  for (;;) {
    const port = FIRST + Math.floor(random() * (end - FIRST))
    const server = createServer()
    const isFree = await listen(server, port).then(
      () => true,
      () => false,
    )
    if (!isFree) continue
    await new Promise((closed) => server.close(closed))
    return port
  }
}

function firstOfSystem(): number {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s+/)[0])
  } catch {
    return FIRST_OF_SYSTEM // not Linux
  }
}
