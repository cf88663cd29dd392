/**
 * The function URL that streams events. Its app runs in a separate server, because a sandbox handles one request at a time and a stream
 * takes minutes. Started with the first request.
 * @module
 */
import { type ClientRequest, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { pipeline } from 'node:stream'
import { type Companion, startCompanion } from './companion.ts'
import type { FunctionSpec } from './lambda/sandbox.ts'

/** Path of the function URL's responses. Here it shares the local API's only address. */
export const EVENTS_PATH = '/v1/events'

const SCRIPT = 'functions/api/server.ts'

/** Separates the API from the console, as CloudFront does (`cdk/constructs/console.ts`). */
export const isApiPath = (pathname: string) => /^\/(v1|fhir)\/|^\/(healthz|openapi\.json|console\.json)$/.test(pathname)

export interface EventsServer {
  /** Forwards one request, and its response as it arrives. */
  answer(incoming: IncomingMessage, response: ServerResponse): Promise<void>
  stop(): Promise<void>
}

/** @param consoleDir the console's built files, which the same server serves at all other paths */
export function eventsServer(
  { environment }: FunctionSpec,
  log: (line: string) => void,
  consoleDir?: string,
): EventsServer {
  let companion: Companion | undefined
  let listening = Promise.withResolvers<string>()

  function start(): Companion {
    return startCompanion({
      script: SCRIPT,
      env: {
        ...environment,
        PORT: '0',
        HOST: '127.0.0.1',
        ...(consoleDir === undefined ? {} : { CONSOLE_DIR: consoleDir }),
      },
      onLine: (line) => {
        log(line)
        const url = /^listening on (\S+)$/.exec(line)?.[1]
        if (url === undefined) return
        // After a restart its address differs.
        listening.resolve(url)
        listening = Object.assign(Promise.withResolvers<string>(), { promise: Promise.resolve(url) })
      },
    })
  }

  return {
    async answer(incoming, response) {
      companion ??= start()
      const { port } = new URL(await listening.promise)
      // The client may have disconnected before the server started or answered.
      if (response.destroyed) return
      const { method, url: path, headers } = incoming
      const outgoing: ClientRequest = request({ host: '127.0.0.1', port, method, path, headers }, (answer) => {
        if (response.destroyed) return void outgoing.destroy()
        response.writeHead(answer.statusCode ?? 502, answer.headers)
        pipeline(answer, response, () => outgoing.destroy())
      })
      outgoing.on('error', () => response.destroy())
      response.on('close', () => outgoing.destroy())
      incoming.pipe(outgoing)
    },
    stop: async () => companion?.stop(),
  }
}
