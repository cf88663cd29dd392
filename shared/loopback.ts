/**
 * Servers on 127.0.0.1: checks that each of them makes on a request before anything else reads it.
 * @module
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'

const HOSTS: readonly string[] = ['localhost', '127.0.0.1', '[::1]']

/** Whether a host name without a port (`localhost`, `[::1]`) is this machine. */
export const isLoopback = (hostname: string): boolean => HOSTS.includes(hostname.toLowerCase())

/**
 * Whether a `Host` header names this machine. In a DNS rebinding attack (a foreign name bound to 127.0.0.1) the header has the foreign
 * name.
 */
export function namesThisMachine(host: string | undefined): boolean {
  const [, name, port] = /^([^:[\]]+|\[[\da-f:]+\])(?::(\d{1,5}))?$/i.exec(host ?? '') ?? []
  return name !== undefined && isLoopback(name) && Number(port ?? 80) <= 65_535
}

const BASE = 'http://localhost'

/**
 * A request target as path and query; `undefined` for an invalid one. The absolute form also has a host (RFC 9112, section 3.2.2). `//x`
 * and `/\\x` are rejected, because a later parser would read a host from them or throw.
 */
export function pathOf(target: string | undefined): { path: string; host?: string } | undefined {
  if (target?.startsWith('/')) return URL.parse(target, BASE)?.origin === BASE ? { path: target } : undefined
  const url = target !== undefined && /^https?:\/\//i.test(target) ? URL.parse(target) : null
  return url === null ? undefined : { path: url.pathname + url.search, host: url.host }
}

/** Wraps a listener so that it gets only requests for a path on this machine. Others are answered with 400. */
export function forThisMachine(listener: RequestListener): RequestListener {
  return (request, response) => {
    if (admit(request, response)) listener(request, response)
  }
}

/** Like `forThisMachine`, but for any host: for a server that others reach under their own names. */
export function withPath(listener: RequestListener): RequestListener {
  return (request, response) => {
    const target = pathOf(request.url)
    if (target === undefined) return refuse(response, 'the target of a request is a path')
    request.url = target.path
    listener(request, response)
  }
}

function admit(request: IncomingMessage, response: ServerResponse): boolean {
  const target = pathOf(request.url)
  if (target === undefined) refuse(response, 'the target of a request is a path')
  else if (![request.headers.host, target.host ?? 'localhost'].every(namesThisMachine))
    refuse(response, 'this server is reached as localhost or 127.0.0.1 only')
  else {
    request.url = target.path
    return true
  }
  return false
}

function refuse(response: ServerResponse, message: string): void {
  response.writeHead(400, { 'content-type': 'application/json', connection: 'close' })
  response.end(JSON.stringify({ message: `Bad Request: ${message}` }))
}
