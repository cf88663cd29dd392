/**
 * Serves the console's built files (`console/dist`) from our own server. In AWS, CloudFront serves them from S3.
 * @module
 */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Hono } from 'hono'
import { CONSOLE_CACHING, CONSOLE_HEADERS, consolePolicy } from '../../shared/config/console-headers.ts'

type Fetch = Hono['fetch']

interface File {
  readonly type: string
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly gzip: Uint8Array<ArrayBuffer> | undefined
  readonly etag: string
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
}

/** Paths of the API; all others belong to the console. */
const API_PATH = /^\/(v1|fhir)\/|^\/(healthz|openapi\.json|console\.json)$/

/**
 * Adds the console's files to the API, at every other path. The files are read once, so a path never reaches the file system.
 * @param folder `console/dist`; when it is missing, only the API is served
 * @param signInAt origins of the site's identity provider, which the page may also call
 */
export function withConsole(api: Fetch, folder: string | undefined, signInAt: readonly string[] = []): Fetch {
  const files = folder !== undefined && existsSync(join(folder, 'index.html')) ? readFiles(folder) : undefined
  if (files === undefined) return api
  return (request, ...rest) => {
    const { pathname } = new URL(request.url)
    return API_PATH.test(pathname) ? api(request, ...rest) : answer(files, pathname, request, signInAt)
  }
}

function answer(
  files: ReadonlyMap<string, File>,
  pathname: string,
  { method, headers }: Request,
  signInAt: readonly string[],
): Response {
  const common = { ...CONSOLE_HEADERS, 'content-security-policy': consolePolicy(signInAt) }
  if (method !== 'GET' && method !== 'HEAD') return new Response(null, { status: 405, headers: { allow: 'GET, HEAD' } })
  const file = files.get(pathname === '/' ? '/index.html' : pathname)
  if (file === undefined) return new Response('Not found', { status: 404, headers: common })
  const caching = CONSOLE_CACHING[pathname.startsWith('/assets/') ? 'assets' : 'page']
  const known = { ...common, etag: file.etag, vary: 'accept-encoding' }
  const cached = { ...known, 'cache-control': caching }
  if (headers.get('if-none-match') === file.etag) return new Response(null, { status: 304, headers: cached })
  const isGzip = file.gzip !== undefined && /\bgzip\b/.test(headers.get('accept-encoding') ?? '')
  return new Response(method === 'HEAD' ? null : isGzip ? file.gzip : file.bytes, {
    headers: { ...cached, 'content-type': file.type, ...(isGzip ? { 'content-encoding': 'gzip' } : {}) },
  })
}

function readFiles(folder: string): ReadonlyMap<string, File> {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return new Map(
    names.map(({ parentPath, name }) => {
      const path = join(parentPath, name)
      const bytes = Uint8Array.from(readFileSync(path))
      const type = TYPES[extname(name)] ?? 'application/octet-stream'
      const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`
      const gzip = /^text|json|svg/.test(type) ? Uint8Array.from(gzipSync(bytes)) : undefined
      return [`/${path.slice(folder.length + 1).replaceAll('\\', '/')}`, { type, bytes, gzip, etag }]
    }),
  )
}
