import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'

/** A server on a free port of this machine that closes each connection at once. */
export async function listening() {
  const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // it listens on a port
  return { server, port, close: () => new Promise<void>((done) => void server.close(() => done())) }
}
