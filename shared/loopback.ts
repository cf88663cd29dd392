/**
 * Servers on 127.0.0.1: what every one of ours checks of a request before anything reads it.
 * @module
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'

const HOSTS: readonly string[] = ['localhost', '127.0.0.1', '[::1]']

/** Whether a host (`localhost`, `[::1]`), without a port, is this machine. */
export const isLoopback = (hostname: string): boolean => HOSTS.includes(hostname.toLowerCase())

/**
 * Whether a `Host` header names this machine. A page of another site whose name was bound to 127.0.0.1 (DNS rebinding) names its own.
 */
export function namesThisMachine(host: string | undefined): boolean {
  const [, name, port] = /^([^:[\]]+|\[[\da-f:]+\])(?::(\d{1,5}))?$/i.exec(host ?? '') ?? []
  return name !== undefined && isLoopback(name) && Number(port ?? 80) <= 65_535
}

const BASE = 'http://localhost'

/**
 * A request's target as path and query; undefined for what is none. Absolute form names its host once more (RFC 9112, section 3.2.2).
 * `//x` and `/\\x` are no paths: a later parser reads a host, or throws.
 */
export function pathOf(target: string | undefined): { path: string; host?: string } | undefined {
  if (target?.startsWith('/')) return URL.parse(target, BASE)?.origin === BASE ? { path: target } : undefined
  const url = target !== undefined && /^https?:\/\//i.test(target) ? URL.parse(target) : null
  return url === null ? undefined : { path: url.pathname + url.search, host: url.host }
}

/** A listener that is given only requests for a path of this machine; others are answered with 400. */
export function forThisMachine(listener: RequestListener): RequestListener {
  return (request, response) => {
    if (admit(request, response)) listener(request, response)
  }
}

/** As `forThisMachine`, whatever the host: for a server that others reach by names of their own. */
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
