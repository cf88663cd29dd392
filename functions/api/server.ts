#!/usr/bin/env node
/**
 * The API as a server process with event streams: `npm run -s node -- functions/api/server.ts`. Listens on `PORT` (0: any free port) of
 * `HOST`. Serves the console's files from `CONSOLE_DIR` if there are any.
 * @module
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { availableParallelism } from 'node:os'
import { getRequestListener } from '@hono/node-server'
import type { Hono } from 'hono'
import { signInOf } from '../../shared/config/sign-in.ts'
import { forThisMachine, withPath } from '../../shared/loopback.ts'
import { createLogger, logUncaught } from '../../shared/observe/logging.ts'
import { withConsole } from './console.ts'
import { apiFromEnvironment } from './environment.ts'
import { createParsingPool } from './parsing/pool.ts'

const STREAM = { pollMs: 500, heartbeatMs: 15_000, maxMs: 60 * 60_000 }

/** Most time for the headers and for a whole request. The limit for bodies is shorter. */
const TIMEOUTS = { headersTimeout: 10_000, requestTimeout: 90_000 }

export interface RunningServer {
  readonly url: string
  close(): Promise<void>
}

export interface ServerOptions {
  readonly port: number
  readonly host: string
  /**
   * True when no token is required. Then only host names of this machine are accepted, so that no page of another site can read from it.
   */
  readonly isOpen?: boolean
}

/** Serves an app. Rejects with the system's own error when the port is taken. */
export async function serve(
  app: Pick<Hono, 'fetch'>,
  { port, host, isOpen = false }: ServerOptions,
): Promise<RunningServer> {
  const answer = getRequestListener(app.fetch)
  const server = createServer(TIMEOUTS, isOpen ? forThisMachine(answer) : withPath(answer))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  const { port: taken } = server.address() as AddressInfo // a TCP server's address
  return {
    url: `http://${host}:${taken}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

if (import.meta.main) {
  logUncaught(createLogger('api'))
  const { PORT = '8080', HOST = '127.0.0.1', CONSOLE_DIR } = process.env
  const pool = createParsingPool({ workers: Math.max(1, availableParallelism() - 1) })
  const signInAt = signInOf(process.env)
  const fetch = withConsole(
    apiFromEnvironment(STREAM, pool.parse).fetch,
    CONSOLE_DIR,
    signInAt === undefined ? [] : [new URL(signInAt.issuer).origin],
  )
  const isOpen = process.env.UNAUTHENTICATED_TENANT !== undefined
  const server = await serve({ fetch }, { port: Number(PORT), host: HOST, isOpen })
  console.log(`listening on ${server.url}`)
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void server.close().then(pool.close))
}
