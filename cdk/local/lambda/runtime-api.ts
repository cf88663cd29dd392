/**
 * Lambda's Runtime API (2018-06-01) for one sandbox, from which a runtime client polls events and to which it responds.
 * https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
 * @module
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { forThisMachine } from '../../../shared/loopback.ts'
import { closeServer, listen } from '../http.ts'

/** An error of a handler, as its runtime reports it; or of a sandbox that could not report one. */
export class FunctionError extends Error {
  readonly type: string

  constructor(type: string, message: string) {
    super(message)
    this.name = 'FunctionError'
    this.type = type
  }
}

export interface Invocation {
  readonly requestId: string
  /** JSON. */
  readonly event: string
  readonly functionArn: string
  /** Milliseconds since the epoch. */
  readonly deadlineMs: number
}

export interface RuntimeApi {
  /** `host:port`, as in `AWS_LAMBDA_RUNTIME_API`. */
  readonly address: string
  /** Resolves at the first `next`, when the handler is loaded. Rejects with a FunctionError when loading failed. */
  readonly initialized: Promise<void>
  /** Passes on one event. Resolves with the handler's response (JSON) or rejects with a FunctionError. One at a time. */
  invoke(invocation: Invocation): Promise<string>
  /** Ends the current invocation with `error`. */
  fail(error: FunctionError): void
  close(): Promise<void>
}

const PREFIX = '/2018-06-01/runtime'

export async function startRuntimeApi(): Promise<RuntimeApi> {
  const init = Promise.withResolvers<void>()
  init.promise.catch(() => {}) // a failure that nobody awaits yet must not end the process
  let waiting: ServerResponse | undefined
  let offered: Invocation | undefined
  let running: ({ readonly requestId: string } & PromiseWithResolvers<string>) | undefined

  const server = createServer(
    forThisMachine((request, response) => {
      handle(request, response).catch(() => response.destroy())
    }),
  )
  // A runtime may wait any time for its next event.
  server.requestTimeout = 0
  server.keepAliveTimeout = 0
  const { port } = await listen(server, 0)

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url?.startsWith(PREFIX) ? request.url.slice(PREFIX.length) : ''
    if (request.method === 'GET' && path === '/invocation/next') {
      init.resolve()
      waiting = response
      offer()
      return
    }
    const body = await text(request)
    if (request.method !== 'POST') return answer(response, 404, { errorType: 'NotFound' })
    if (path === '/init/error') {
      init.reject(reported(body))
      return answer(response, 202, { status: 'OK' })
    }
    const [, requestId, outcome] = /^\/invocation\/([^/]+)\/(response|error)$/.exec(path) ?? []
    if (outcome === undefined) return answer(response, 404, { errorType: 'NotFound' })
    if (running === undefined || running.requestId !== requestId) {
      return answer(response, 400, { errorType: 'InvalidRequestID', errorMessage: 'no such invocation' })
    }
    const { resolve, reject } = running
    running = undefined
    answer(response, 202, { status: 'OK' })
    if (outcome === 'response') resolve(body)
    else reject(reported(body))
  }

  function offer(): void {
    if (waiting === undefined || offered === undefined) return
    const { requestId, event, functionArn, deadlineMs } = offered
    waiting.writeHead(200, {
      'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(event),
      'Lambda-Runtime-Aws-Request-Id': requestId,
      'Lambda-Runtime-Deadline-Ms': String(deadlineMs),
      'Lambda-Runtime-Invoked-Function-Arn': functionArn,
    })
    waiting.end(event)
    waiting = undefined
    offered = undefined
  }

  return {
    address: `127.0.0.1:${port}`,
    initialized: init.promise,
    invoke(invocation) {
      running = { requestId: invocation.requestId, ...Promise.withResolvers<string>() }
      offered = invocation
      offer()
      return running.promise
    },
    fail(error) {
      init.reject(error)
      running?.reject(error)
      running = undefined
    },
    close: () => closeServer(server),
  }
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
}

/** The error document of the Runtime API: `{errorType, errorMessage}`. */
function reported(body: string): FunctionError {
  try {
    const { errorType, errorMessage } = JSON.parse(body) as Record<string, unknown> // checked by String below
    return new FunctionError(String(errorType), String(errorMessage))
  } catch {
    return new FunctionError('Runtime.Unknown', 'the function failed without saying how')
  }
}

async function text(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer) // no encoding is set
  return Buffer.concat(chunks).toString()
}
