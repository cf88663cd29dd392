/**
 * Listens on a port that the previous process may not have released yet.
 * @module
 */
import type { Server } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { CodedError } from '../../shared/errors.ts'

/** Retries while another process holds the port: a process that is stopping, or an outgoing connection that has the port by chance. */
const TRIES = { count: 20, pauseMs: 250 } as const

/**
 * Listens on a port.
 * @param field of the configuration, for the error
 * @returns the port
 * @throws CodedError `port-taken` when another process keeps the port, `site-config-invalid` when listening is not permitted or the address
 * is not ours
 */
export async function listen(
  server: Server,
  port: number,
  host: string,
  field: string,
  most: number = TRIES.count,
): Promise<number> {
  for (let tries = 1; ; tries++) {
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen(port, host, () => {
          server.off('error', reject)
          resolve()
        })
      })
      break
    } catch (cause) {
      const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
      if (code !== 'EADDRINUSE' || tries === most) {
        if (code === 'EADDRINUSE') throw new CodedError('port-taken', { field, port }, { cause })
        const expected = code === 'EACCES' ? 'a port that this user may listen on' : 'an address of this machine'
        throw new CodedError('site-config-invalid', { field: `${field}.port`, expected }, { cause })
      }
      await setTimeout(TRIES.pauseMs)
    }
  }
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : port
}
