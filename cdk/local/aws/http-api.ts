/**
 * API Gateway's HTTP API for local Lambdas: payload format 2.0, `$default` stage.
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
 * @module
 */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { APIGatewayProxyEventV2 } from 'aws-lambda'
import { isRecord } from '../../../shared/is-record.ts'
import { withPath } from '../../../shared/loopback.ts'

export interface Route {
  /** `METHOD /path`, with `ANY`, `{name}` and `{name+}`; or `$default`. */
  readonly routeKey: string
  readonly functionName: string
}

export type Invoke = (functionName: string, event: string) => Promise<string>

/** API Gateway's own limit, bytes. */
const BODY_LIMIT = 10 * 1024 * 1024

/**
 * A body of these types reaches the function as text; of any other type, or without one, as base64. Measured against AWS, whose
 * documentation does not state it (ministackorg/ministack#766). A file that is sent as text and is not UTF-8 arrives damaged.
 */
const TEXT_TYPES = /^(text\/|application\/(json|xml|javascript)\b)/i

/** Responds like the deployed API, except for authorizers. */
export function httpApi(routes: readonly Route[], invoke: Invoke): RequestListener {
  const table = routes.map(compile).sort((a, b) => b.precedence - a.precedence)
  return withPath((request, response) => {
    respond(request, response).catch(() => fail(response, 500, 'Internal Server Error'))
  })

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://localhost')
    const found = match(table, request.method ?? 'GET', url.pathname)
    if (found === undefined) return fail(response, 404, 'Not Found')
    const body = await read(request)
    if (body === undefined) return fail(response, 413, 'Request Too Long')
    const event = toEvent(request, url, body, found.route.routeKey, found.parameters)
    send(response, JSON.parse(await invoke(found.route.functionName, JSON.stringify(event))))
  }
}

interface CompiledRoute {
  readonly route: Route
  readonly method: string
  readonly pattern: RegExp
  /** As API Gateway chooses: a full match before a greedy one, a method before `ANY`, `$default` last. */
  readonly precedence: number
}

function compile(route: Route): CompiledRoute {
  if (route.routeKey === '$default') return { route, method: 'ANY', pattern: /^/, precedence: 0 }
  const [method, path] = route.routeKey.split(' ') as [string, string] // the form of every other route key
  const source = path
    .split('/')
    .map((part) =>
      part.replace(/^\{(\w+)(\+?)\}$|[.*+?^${}()|[\]\\]/g, (whole, name?: string, greedy?: string) =>
        name === undefined ? `\\${whole}` : `(?<${name}>${greedy ? '.+' : '[^/]+'})`,
      ),
    )
    .join('/')
  const precedence = (path.includes('+}') ? 1 : 3) + (method === 'ANY' ? 0 : 1)
  return { route, method, pattern: new RegExp(`^${source}$`), precedence }
}

function match(table: readonly CompiledRoute[], method: string, path: string) {
  for (const { route, method: accepted, pattern } of table) {
    if (accepted !== 'ANY' && accepted !== method) continue
    const found = pattern.exec(path)
    if (found) return { route, parameters: found.groups }
  }
  return undefined
}

function toEvent(
  request: IncomingMessage,
  url: URL,
  body: Buffer,
  routeKey: string,
  parameters: Readonly<Record<string, string>> | undefined,
): APIGatewayProxyEventV2 {
  const { cookie, ...others } = request.headers
  const headers = Object.entries(others).map(([name, value]) => [name, String(value)] as const)
  const query = [...new Set(url.searchParams.keys())].map(
    (name) => [name, url.searchParams.getAll(name).join(',')] as const,
  )
  const isText = TEXT_TYPES.test(request.headers['content-type'] ?? '')
  const now = new Date()
  return {
    version: '2.0',
    routeKey,
    rawPath: url.pathname,
    rawQueryString: url.search.slice(1),
    ...(cookie === undefined ? {} : { cookies: cookie.split('; ') }),
    headers: Object.fromEntries(headers),
    ...(query.length === 0 ? {} : { queryStringParameters: Object.fromEntries(query) }),
    ...(parameters === undefined ? {} : { pathParameters: { ...parameters } }),
    requestContext: {
      accountId: 'anonymous',
      apiId: 'local',
      domainName: request.headers.host ?? 'localhost',
      domainPrefix: 'local',
      http: {
        method: request.method ?? 'GET',
        path: url.pathname,
        protocol: `HTTP/${request.httpVersion}`,
        sourceIp: request.socket.remoteAddress ?? '127.0.0.1',
        userAgent: request.headers['user-agent'] ?? '',
      },
      requestId: randomUUID(),
      routeKey,
      stage: '$default',
      time: now.toISOString(),
      timeEpoch: now.getTime(),
    },
    ...(body.length === 0 ? {} : { body: body.toString(isText ? 'utf8' : 'base64') }),
    isBase64Encoded: body.length > 0 && !isText,
  }
}

/** Sends the function's response: with a `statusCode` it is the whole response, otherwise it is a JSON body. */
function send(response: ServerResponse, answer: unknown): void {
  if (!isRecord(answer) || answer.statusCode === undefined) {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
    return
  }
  const { statusCode, headers, cookies, body, isBase64Encoded } = answer
  if (isRecord(headers)) for (const [name, value] of Object.entries(headers)) response.setHeader(name, String(value))
  if (Array.isArray(cookies)) response.setHeader('set-cookie', cookies.map(String))
  response.statusCode = Number(statusCode)
  response.end(Buffer.from(body === undefined ? '' : String(body), isBase64Encoded === true ? 'base64' : 'utf8'))
}

function fail(response: ServerResponse, status: number, message: string): void {
  if (response.headersSent) return
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ message }))
}

/** The body, or `undefined` when it is too long. */
async function read(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request) {
    bytes += (chunk as Buffer).length // no encoding is set
    if (bytes > BODY_LIMIT) return undefined
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks)
}
