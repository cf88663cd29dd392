/**
 * Servers of the local stack with a configurable port: the API and others that claim one.
 * @module
 */
import { createServer, type RequestListener } from 'node:http'
import { forThisMachine } from '../../shared/loopback.ts'
import { closeServer, listen } from './http.ts'

/** The port is already in use. */
class PortTakenError extends Error {
  constructor(what: string, port: number, option: string) {
    super(`port ${port} (${what}) is taken: stop what listens there, or pass ${option} with another`)
    this.name = 'PortTakenError'
  }
}

export interface ApiServer {
  readonly url: string
  /** Sets the routes. */
  open(listener: RequestListener): void
  /** Removes the routes. */
  shut(): Promise<void>
  close(): Promise<unknown>
}

/** Starts the API's server, which answers 503 until it has its routes. */
export async function startApiServer(port: number): Promise<ApiServer> {
  const unavailable: RequestListener = (_request, response) => {
    response.writeHead(503, { 'content-type': 'application/json' }).end('{"message":"Service Unavailable"}')
  }
  let serve = unavailable
  const server = createServer(forThisMachine((request, response) => serve(request, response)))
  const address = await claimPort('API', '--port', port, (free) => listen(server, free))
  return {
    url: `http://127.0.0.1:${address.port}`,
    open: (listener: RequestListener) => {
      serve = listener
    },
    shut: async () => {
      serve = unavailable
    },
    close: () => closeServer(server),
  }
}

/** Starts a server. A port that is in use becomes an error with a readable message. */
export async function claimPort<T>(
  what: string,
  option: string,
  port: number,
  start: (port: number) => Promise<T>,
): Promise<T> {
  try {
    return await start(port)
  } catch (error) {
    const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
    throw isTaken ? new PortTakenError(what, port, option) : error
  }
}
