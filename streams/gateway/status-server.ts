/**
 * Status of the gateway, on loopback only: `/healthz`, `/status`, `/metrics` (Prometheus), the last results, and the commands of the CLI.
 * @module
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { CONDITION_NAMES } from '../../shared/domain/conditions.ts'
import { parseEcgId } from '../../shared/domain/ecg-id.ts'
import { NOTICE, parseResult } from '../../shared/domain/result.ts'
import { CodedError, toCodedError } from '../../shared/errors.ts'
import { forThisMachine } from '../../shared/loopback.ts'
import type { Bundles } from './bundles.ts'
import { listen } from './listen.ts'

export interface GatewayStatus {
  readonly isHealthy: boolean
  readonly [name: string]: unknown
}

export interface StatusSource {
  status(): GatewayStatus
  /** Prometheus samples: name with its labels, and value. */
  metrics(): readonly (readonly [
    name: string,
    help: string,
    type: 'counter' | 'gauge',
    samples: readonly (readonly [labels: string, value: number])[],
  ])[]
  /** JSON of the last results, newest first. */
  lastResults(limit: number): readonly string[]
  resultOf(ecgId: string, version?: number): string | undefined
  erase(patient: string): Promise<number>
  retryDead(): number
  /** @param folder that does not exist yet */
  backup(folder: string): void
  readonly bundles: Pick<Bundles, 'list' | 'install' | 'rollBack'>
}

export interface StatusServer {
  readonly port: number
  close(): Promise<void>
}

const MAX_BODY = 4096
const LAST = 50

/** Header that keeps other pages in a browser on this machine away: it requires a CORS preflight request, which is never answered. */
const OURS = 'x-cardiacnets'

export async function startStatusServer(port: number, source: StatusSource): Promise<StatusServer> {
  const server = createServer(
    forThisMachine((request, response) => {
      answer(request, source).then(
        ({ status, type, body }) => {
          response.writeHead(status, {
            'content-type': type,
            'cache-control': 'no-store',
            'x-content-type-options': 'nosniff',
          })
          response.end(body)
        },
        (error: unknown) => refuse(response, toCodedError(error)),
      )
    }),
  )
  server.headersTimeout = 10_000
  server.requestTimeout = 10_000
  const listening = await listen(server, port, '127.0.0.1', 'gateway.status')
  return {
    port: listening,
    async close() {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

function refuse(response: ServerResponse, error: CodedError): void {
  response.writeHead(error.kind.status, { 'content-type': 'application/problem+json' })
  response.end(JSON.stringify({ code: error.code, ...error.detail }))
}

interface Answered {
  readonly status: number
  readonly type: string
  readonly body: string
}

const json = (document: unknown, status = 200): Answered => ({
  status,
  type: 'application/json',
  body: typeof document === 'string' ? document : JSON.stringify(document),
})

async function answer(request: IncomingMessage, source: StatusSource): Promise<Answered> {
  // In a DNS rebinding attack, a page that points its own name at 127.0.0.1 sends that name.
  if (!/^(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?$/.test(request.headers.host ?? '')) {
    throw new CodedError('origin-foreign', { field: 'host' })
  }
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://127.0.0.1')
  if (request.method === 'POST') return command(pathname, request, source)
  if (request.method !== 'GET') throw new CodedError('not-found', { field: 'method' })
  if (pathname === '/healthz') {
    const { isHealthy } = source.status()
    return json({ status: isHealthy ? 'ok' : 'failing' }, isHealthy ? 200 : 503)
  }
  if (pathname === '/status') return json(source.status())
  if (pathname === '/metrics') return { status: 200, type: 'text/plain; version=0.0.4', body: metricsText(source) }
  if (pathname === '/bundles') return json(await source.bundles.list())
  if (pathname === '/v1/ecgs') return json(`[${source.lastResults(LAST).join(',')}]`)
  const id = /^\/v1\/ecgs\/([^/]+)$/.exec(pathname)?.[1]
  const version = searchParams.get('version')
  const wanted = version === null ? undefined : Number(version)
  const found = id === undefined || parseEcgId(id) === undefined ? undefined : source.resultOf(id, wanted)
  if (found !== undefined) return json(found)
  if (pathname === '/') return { status: 200, type: 'text/html; charset=utf-8', body: page(source) }
  throw new CodedError('not-found', { field: 'path' })
}

async function command(path: string, request: IncomingMessage, source: StatusSource): Promise<Answered> {
  if (request.headers[OURS] === undefined) throw new CodedError('origin-foreign', { field: OURS })
  let text = ''
  for await (const chunk of request) {
    text += String(chunk)
    if (text.length > MAX_BODY) throw new CodedError('payload-too-large', { field: 'body', maxBytes: MAX_BODY })
  }
  const body = parseBody(text)
  if (path === '/erase') return json({ erased: await source.erase(field(body, 'patient')) })
  if (path === '/retry') return json({ retried: source.retryDead() })
  if (path === '/backup') {
    source.backup(field(body, 'path'))
    return json({ done: true })
  }
  if (path === '/bundles/install') {
    return json(await source.bundles.install(field(body, 'directory'), optionalField(body, 'site')))
  }
  if (path === '/bundles/rollback') return json(await source.bundles.rollBack())
  throw new CodedError('not-found', { field: 'path' })
}

function parseBody(text: string): unknown {
  try {
    return text === '' ? {} : JSON.parse(text)
  } catch {
    throw new CodedError('payload-malformed', { field: 'body' })
  }
}

function field(body: unknown, name: string): string {
  const value = optionalField(body, name)
  if (value === undefined) throw new CodedError('field-invalid', { field: name })
  return value
}

function optionalField(body: unknown, name: string): string | undefined {
  const value = typeof body === 'object' && body !== null ? (body as Record<string, unknown>)[name] : undefined
  if (value === undefined) return undefined
  if (typeof value !== 'string' || value === '') throw new CodedError('field-invalid', { field: name })
  return value
}

function metricsText(source: StatusSource): string {
  return source
    .metrics()
    .map(([name, help, type, samples]) =>
      [
        `# HELP cardiacnets_gateway_${name} ${help}`,
        `# TYPE cardiacnets_gateway_${name} ${type}`,
        ...samples.map(([labels, value]) => `cardiacnets_gateway_${name}${labels} ${value}`),
        '',
      ].join('\n'),
    )
    .join('')
}

/** The last results as a page, without patient data and without scripts. */
function page(source: StatusSource): string {
  const { isHealthy } = source.status()
  const rows = source.lastResults(LAST).map((text) => {
    const { ecgId, span, status, quality, findings, warnings, version } = parseResult(text)
    const verdict =
      status === 'refused'
        ? `refused: ${quality.reasons.join(', ')}`
        : findings
            .map(({ condition, flagged, probability, evidence, withheld }) => {
              const name = CONDITION_NAMES.get(condition) ?? condition
              const said =
                withheld === undefined ? (flagged ? 'flagged' : 'not flagged') : `withheld: ${withheld.reason}`
              return `${name} ${said} (${probability.toFixed(2)}, ${evidence})`
            })
            .join('; ')
    const warned = warnings.map(({ code }) => code).join(', ')
    const cells = [span.startedAt ?? 'time unknown', `<a href="/v1/ecgs/${ecgId}">${ecgId}</a>`, String(version)]
    return `<tr>${[...cells, escapeHtml(verdict), escapeHtml(warned)].map((cell) => `<td>${cell}</td>`).join('')}</tr>`
  })
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="10"><title>CardiacNets gateway</title>
<style>body{font:14px system-ui;margin:2rem}td,th{padding:.25rem .75rem;text-align:left;vertical-align:top;border-bottom:1px solid #8884}</style>
<h1>Gateway: ${isHealthy ? 'ok' : 'failing'}</h1><p>${NOTICE}</p><table><tr><th>Recorded</th><th>ECG</th><th>Version</th><th>Findings</th><th>Warnings</th></tr>
${rows.length === 0 ? '<tr><td colspan="5">No ECG yet.</td></tr>' : rows.join('\n')}</table></html>`
}

const escapeHtml = (text: string) => text.replace(/[&<>"]/g, (each) => `&#${each.charCodeAt(0)};`)
