import { globSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join, resolve } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startBatch } from '../../cdk/local/aws/batch.ts'
import { startEmulators } from '../../cdk/local/aws/emulators.ts'
import { httpApi } from '../../cdk/local/aws/http-api.ts'
import { startDataPlane } from '../../cdk/local/aws/iot.ts'
import { closeServer, listen } from '../../cdk/local/http.ts'
import { gateOf } from '../../cdk/local/iam/aws-calls.ts'
import { Permissions } from '../../cdk/local/iam/permissions.ts'
import { startRuntimeApi } from '../../cdk/local/lambda/runtime-api.ts'
import { startSandboxEhr } from '../../cdk/local/sandbox-ehr/index.ts'
import { createApi } from '../../functions/api/app.ts'
import { serve } from '../../functions/api/server.ts'
import { namesThisMachine, pathOf } from '../../shared/loopback.ts'
import { startStatusServer } from '../../streams/gateway/status-server.ts'
import { MALFORMED_REQUESTS, sendRaw, statusOf } from '../helpers/request-lines.ts'

const gate = gateOf(new Permissions(() => {}))
const portOf = (url: string) => Number(new URL(url).port)

/** Nothing behind it is reached without its own path. */
const app = () => createApi({ authenticate: async () => Promise.reject(new Error('not asked')) } as never)

/** Every server of ours that speaks HTTP; a new one belongs here. */
const SERVERS: Readonly<Record<string, () => Promise<{ port: number; close: () => Promise<unknown> }>>> = {
  async 'the API of the local stack'() {
    const server = createServer(
      httpApi([{ routeKey: '$default', functionName: 'api' }], async () => '{"statusCode":200}'),
    )
    return { port: (await listen(server, 0)).port, close: () => closeServer(server) }
  },
  async 'the API as a server of its own'() {
    const server = await serve(app(), { port: 0, host: '127.0.0.1' })
    return { port: portOf(server.url), close: server.close }
  },
  async 'the API that asks for no token'() {
    const server = await serve(app(), { port: 0, host: '127.0.0.1', isOpen: true })
    return { port: portOf(server.url), close: server.close }
  },
  async 'SQS, SNS and S3'() {
    const emulators = await startEmulators(undefined, gate)
    return { port: portOf(emulators.endpoint), close: emulators.stop }
  },
  async DynamoDB() {
    const emulators = await startEmulators(undefined, gate)
    return { port: portOf(emulators.dynamoEndpoint), close: emulators.stop }
  },
  async Batch() {
    const batch = await startBatch(gate)
    return { port: portOf(batch.endpoint), close: batch.stop }
  },
  async 'the data plane of IoT'() {
    const plane = await startDataPlane(gate, undefined)
    return { port: portOf(plane.endpoint), close: plane.stop }
  },
  async 'the Runtime API'() {
    const api = await startRuntimeApi()
    return { port: Number(api.address.split(':')[1]), close: api.close }
  },
  async 'the sandbox EHR'() {
    const ehr = await startSandboxEhr()
    return { port: portOf(ehr.baseUrl), close: ehr.stop }
  },
  async 'the status of the gateway'() {
    return startStatusServer(0, {
      status: () => ({ isHealthy: true }),
      metrics: () => [],
      lastResults: () => [],
      resultOf: () => undefined,
      erase: async () => 0,
      retryDead: () => 0,
      backup: () => {},
      bundles: {
        list: async () => [],
        install: () => Promise.reject(new Error('not asked for')),
        rollBack: () => Promise.reject(new Error('not asked for')),
      },
    })
  },
}

/** The file that creates each HTTP server above. A file that is missing here would create one that is not attacked. */
const MADE_IN: Readonly<Record<string, string>> = {
  'cdk/local/aws/batch.ts': 'Batch',
  'cdk/local/aws/iot.ts': 'the data plane of IoT',
  'cdk/local/ehr.ts': 'none: takes a port to see whether it is free, and answers nobody',
  'cdk/local/lambda/runtime-api.ts': 'the Runtime API',
  'cdk/local/ports.ts': 'the API of the local stack',
  'cdk/local/sandbox-ehr/index.ts': 'the sandbox EHR',
  'functions/api/server.ts': 'the API as a server of its own',
  'streams/gateway/status-server.ts': 'the status of the gateway',
}

it('every file that creates an HTTP server is attacked here', () => {
  const root = resolve(import.meta.dirname, '../..')
  const files = ['cdk', 'functions', 'shared', 'streams'].flatMap((folder) =>
    globSync(`${folder}/**/*.ts`, { cwd: root }),
  )
  const making = files.filter((file) =>
    /import \{[^}]*\bcreateServer\b[^}]*\} from 'node:https?'/.test(readFileSync(join(root, file), 'utf8')),
  )

  expect(making.toSorted()).toEqual(Object.keys(MADE_IN))
  for (const name of Object.values(MADE_IN)) expect(name in SERVERS || name.startsWith('none: ')).toBe(true)
})

/** Answers to any host name, because every caller has a token. */
const FOR_EVERYBODY = ['the API as a server of its own', 'the API of the local stack']

describe.each(Object.keys(SERVERS))('%s', (name) => {
  it(`survives ${MALFORMED_REQUESTS.length} malformed requests`, { timeout: 120_000 }, async () => {
    const { port, close } = await SERVERS[name]!()
    onTestFinished(async () => void (await close()))

    const answers = await inTurn(MALFORMED_REQUESTS, (bytes) => sendRaw(port, bytes))

    expect(answers).toHaveLength(MALFORMED_REQUESTS.length)
    const [line] = (
      await sendRaw(port, 'OPTIONS /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n')
    ).split('\r\n')
    expect(line).toMatch(/^HTTP\/1\.1 \d{3}/)
  })

  it('answers 400 to a request target that is not a path', async () => {
    const { port, close } = await SERVERS[name]!()
    onTestFinished(async () => void (await close()))

    const lines = ['GET // HTTP/1.1', 'GET http://x:99999/ HTTP/1.1']
    const answers = await Promise.all(
      lines.map((line) => sendRaw(port, `${line}\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`)),
    )

    expect(answers.map(statusOf)).toEqual([400, 400])
  })

  if (FOR_EVERYBODY.includes(name)) return

  it('answers only to host names of this machine', async () => {
    const { port, close } = await SERVERS[name]!()
    onTestFinished(async () => void (await close()))

    const hosts = ['evil.example', `evil.example:${port}`, '127.0.0.1.evil.example', '']
    const answers = await Promise.all(
      hosts.map((host) => sendRaw(port, `GET /x HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)),
    )

    expect(answers.map(statusOf)).toEqual([400, 400, 400, 400])
  })
})

describe('pathOf', () => {
  it.each([
    ['/', '/'],
    ['/v1/ecgs?limit=5', '/v1/ecgs?limit=5'],
    ['http://127.0.0.1:8080/healthz?x', '/healthz?x'],
    ['//', undefined],
    ['/\\', undefined],
    ['/\\evil.example/', undefined],
    ['http://x:99999/', undefined],
    ['*', undefined],
    [undefined, undefined],
  ])('maps %s to %s', (target, path) => {
    expect(pathOf(target)?.path).toBe(path)
  })
})

describe('namesThisMachine', () => {
  it.each(['localhost', 'LOCALHOST:8080', '127.0.0.1', '127.0.0.1:80', '[::1]:8080'])('accepts %s', (host) => {
    expect(namesThisMachine(host)).toBe(true)
  })

  it.each([
    undefined,
    '',
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1:99999',
    '127.0.0.2',
    '::1',
    'localhost:x',
  ])('refuses %s', (host) => {
    expect(namesThisMachine(host)).toBe(false)
  })
})

/** Twenty at a time. */
async function inTurn<T, R>(items: readonly T[], run: (item: T) => Promise<R>): Promise<R[]> {
  const waiting = [...items]
  const done: R[] = []
  const work = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) done.push(await run(item))
  }
  await Promise.all(Array.from({ length: 20 }, work))
  return done
}
