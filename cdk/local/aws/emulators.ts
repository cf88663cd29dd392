/**
 * SQS, SNS and S3 (fauxqs) and DynamoDB (dynalite), in this process, on 127.0.0.1 only. A gate judges each call before it has an effect.
 * @module
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { findPackageJSON } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import dynalite from 'dynalite'
import { type BuildAppOptions, buildApp } from 'fauxqs'
import { forThisMachine, namesThisMachine, pathOf } from '../../../shared/loopback.ts'
import { REGION } from '../account.ts'
import { closeServer, listen } from '../http.ts'
import { emulatedProtocol, type Gate, type HttpCall, PROTOCOLS } from '../iam/aws-calls.ts'

export interface Emulators {
  /** SQS, SNS and S3. */
  readonly endpoint: string
  readonly dynamoEndpoint: string
  stop(): Promise<void>
}

const everybody: Gate = () => undefined

/** Starts both on ports of their own. With `dataDir` they keep what they are given there, else in memory. */
export async function startEmulators(dataDir?: string, gate: Gate = everybody): Promise<Emulators> {
  const fauxqs = await startFauxqs(gate, dataDir)
  const dynamo = await startDynalite(gate, dataDir)
  return {
    endpoint: fauxqs.endpoint,
    dynamoEndpoint: dynamo.endpoint,
    async stop() {
      await fauxqs.close()
      await dynamo.close()
    },
  }
}

type Stores = NonNullable<BuildAppOptions['stores']>

/** A store of fauxqs' own that writes through to disk; absent from its public types. */
interface Persistence {
  readonly db?: { exec(sql: string): void; prepare(sql: string): { run(...values: readonly string[]): unknown } }
  loadSqsAndSns(sqs: Stores['sqsStore'], sns: Stores['snsStore']): void
  loadS3(s3: Stores['s3Store']): void
  close(): void
}

/**
 * fauxqs' own `startFauxqs` binds 0.0.0.0, and `buildApp` alone neither persists nor lets the host of queue URLs be chosen,
 * so the parts that `startFauxqs` is made of are put together here.
 */
async function startFauxqs(gate: Gate, dataDir?: string) {
  const [{ SqsStore }, { SnsStore }, { S3Store }] = await Promise.all([
    fauxqsModule<{ SqsStore: new () => Stores['sqsStore'] }>('sqs/sqsStore.js'),
    fauxqsModule<{ SnsStore: new () => Stores['snsStore'] }>('sns/snsStore.js'),
    fauxqsModule<{ S3Store: new () => Stores['s3Store'] }>('s3/s3Store.js'),
  ])
  const stores: Stores = { sqsStore: new SqsStore(), snsStore: new SnsStore(), s3Store: new S3Store() }
  // Queue URLs then name 127.0.0.1, not sqs.us-east-1.localhost, which not every machine resolves.
  stores.sqsStore.host = ''
  const persistence = dataDir === undefined ? [] : await persist(stores, dataDir)

  const app = buildApp({ logger: false, defaultRegion: REGION, stores })
  // A consumer that dies while it waits must not swallow the message that would have gone to it.
  app.addHook('preSerialization', async (request, _reply, payload) => {
    const handles = request.raw.socket.destroyed ? receiptHandles(payload) : []
    const { QueueUrl } = (request.body ?? {}) as { QueueUrl?: string } // a ReceiveMessage, as it has handles
    for (const handle of handles) stores.sqsStore.getQueue(QueueUrl!)!.changeVisibility(handle, 0)
    return payload
  })
  app.addHook('onRequest', async ({ raw, headers }, reply) => {
    if (pathOf(raw.url)?.host === undefined && pathOf(raw.url) !== undefined && namesThisMachine(headers.host)) return
    return reply.code(400).send()
  })
  app.addHook('preHandler', async ({ method, raw, headers, body }, reply) => {
    const call: HttpCall = { method, url: raw.url ?? '/', headers, body }
    const protocol = emulatedProtocol(call)
    const refusal = protocol && gate(protocol, call)
    if (refusal === undefined) return
    return reply.code(refusal.status).headers(refusal.headers).serializer(String).send(refusal.body)
  })
  // Who may not list a bucket is not told that an object is missing.
  app.addHook('onSend', async ({ method, url, headers, body }, reply, payload) => {
    const isMissing = reply.statusCode === 404 && ['GET', 'HEAD'].includes(method)
    const list = { method: 'HEAD', url: `/${url.split('/')[1]}`, headers, body }
    const refusal = isMissing ? gate(PROTOCOLS.s3, list) : undefined
    if (refusal === undefined) return payload
    reply.code(refusal.status).headers(refusal.headers).removeHeader('content-length')
    return refusal.body
  })
  const endpoint = await app.listen({ host: '127.0.0.1', port: 0 })
  return {
    endpoint,
    async close() {
      await app.close()
      for (const store of persistence) store.close()
    },
  }
}

/** Queues and topics in SQLite, objects as files; loaded before they are wired in, as fauxqs does, so that loading writes nothing. */
async function persist(stores: Stores, dataDir: string): Promise<readonly Persistence[]> {
  const { PersistenceManager } = await fauxqsModule<{ PersistenceManager: new (dir: string) => Persistence }>(
    'persistence.js',
  )
  const { FileS3Persistence } = await fauxqsModule<{ FileS3Persistence: new (dir: string) => Persistence }>(
    's3/fileS3Persistence.js',
  )
  const queues = new PersistenceManager(join(dataDir, 'queues'))
  const objects = new FileS3Persistence(join(dataDir, 'objects'))
  // No fsync a message: the process may be killed and loses nothing, the machine's power may cost the last messages.
  queues.db!.exec('PRAGMA synchronous = NORMAL')
  // fauxqs' own clears the count of receives as well, which its table refuses: a message that was given back would be lost.
  const giveBack = queues.db!.prepare(
    'UPDATE sqs_messages SET receipt_handle = NULL, visibility_deadline = NULL WHERE message_id = ?',
  )
  Object.assign(queues, { updateMessageReady: (messageId: string) => void giveBack.run(messageId) })
  queues.loadSqsAndSns(stores.sqsStore, stores.snsStore)
  objects.loadS3(stores.s3Store)
  for (const queue of stores.sqsStore.allQueues()) Object.assign(queue, { persistence: queues })
  Object.assign(stores.sqsStore, { persistence: queues })
  Object.assign(stores.snsStore, { persistence: queues })
  Object.assign(stores.s3Store, { persistence: objects })
  return [queues, objects]
}

/** fauxqs exports its entry point only; its other modules are reached by file. */
async function fauxqsModule<T>(path: string): Promise<T> {
  const manifest = pathToFileURL(findPackageJSON('fauxqs', import.meta.url)!)
  return (await import(new URL(`dist/${path}`, manifest).href)) as T // the shapes that fauxqs 2.4 has there
}

function receiptHandles(payload: unknown): readonly string[] {
  const { Messages = [] } = (payload ?? {}) as { Messages?: readonly { ReceiptHandle: string }[] } // SQS' own shape
  return Messages.map((message) => message.ReceiptHandle)
}

async function startDynalite(gate: Gate, dataDir?: string) {
  const server = dynalite({ createTableMs: 0, ...(dataDir === undefined ? {} : { path: join(dataDir, 'tables') }) })
  const [serve] = server.listeners('request') as [(request: IncomingMessage, response: ServerResponse) => void] // its one
  server.removeAllListeners('request').on(
    'request',
    forThisMachine((request: IncomingMessage, response: ServerResponse) => {
      const chunks: Buffer[] = []
      request.on('error', () => {}) // a client that dies in mid-request
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.once('end', () => {
        const bytes = Buffer.concat(chunks)
        const { method = '', url = '', headers } = request
        const refusal = gate(PROTOCOLS.dynamodb, { method, url, headers, body: json(bytes) })
        if (refusal !== undefined) {
          response.writeHead(refusal.status, refusal.headers).end(refusal.body)
          return
        }
        // It reads the request by these two events.
        request.removeAllListeners()
        serve(request, response)
        // By itself it throws, in this process, when a client dies.
        request.removeAllListeners('error').on('error', () => {})
        request.emit('data', bytes)
        request.emit('end')
      })
    }),
  )
  const { port } = await listen(server, 0)
  return {
    endpoint: `http://127.0.0.1:${port}`,
    close: () => closeServer(server),
  }
}

/** What is no JSON is dynalite's to refuse. */
function json(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch {
    return undefined
  }
}
