/**
 * fauxqs (SQS, SNS and S3) in this process: queues and topics in SQLite, objects as files.
 * @module
 */
import { findPackageJSON } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type BuildAppOptions, buildApp } from 'fauxqs'
import { emptiedFile, fileFault, isEmptied } from '../../../shared/data-files.ts'
import { CodedError } from '../../../shared/errors.ts'
import { namesThisMachine, pathOf } from '../../../shared/loopback.ts'
import { REGION } from '../account.ts'
import { whatFailed } from '../data-folder.ts'
import { emulatedProtocol, type Gate, type HttpCall, PROTOCOLS } from '../iam/aws-calls.ts'
import { type ObjectFiles, replaceWhole, setBrokenAside } from './object-files.ts'

type Stores = NonNullable<BuildAppOptions['stores']>

/** fauxqs' own store, which writes through to disk; absent from its public types. */
interface QueuePersistence {
  readonly db: {
    exec(sql: string): void
    prepare(sql: string): { run(...values: readonly string[]): unknown; get(): Record<string, unknown> | undefined }
  }
  loadSqsAndSns(sqs: Stores['sqsStore'], sns: Stores['snsStore']): void
  updateMessageInflight(...values: readonly unknown[]): void
  updateMessageReady(messageId: string): void
  close(): void
}

interface ObjectPersistence extends ObjectFiles {
  loadS3(s3: Stores['s3Store']): void
  close(): void
}

/**
 * Starts fauxqs from its parts. Its own `startFauxqs` binds 0.0.0.0, and `buildApp` alone neither persists data nor allows a choice of the
 * host in queue URLs.
 */
export async function startFauxqs(gate: Gate, dataDir: string | undefined, say: (sentence: string) => void) {
  const [{ SqsStore }, { SnsStore }, { S3Store }] = await Promise.all([
    fauxqsModule<{ SqsStore: new () => Stores['sqsStore'] }>('sqs/sqsStore.js'),
    fauxqsModule<{ SnsStore: new () => Stores['snsStore'] }>('sns/snsStore.js'),
    fauxqsModule<{ S3Store: new () => Stores['s3Store'] }>('s3/s3Store.js'),
  ])
  const stores: Stores = { sqsStore: new SqsStore(), snsStore: new SnsStore(), s3Store: new S3Store() }
  // Queue URLs then name 127.0.0.1 and not sqs.us-east-1.localhost, which not every machine resolves.
  stores.sqsStore.host = ''
  const persistence = dataDir === undefined ? undefined : await persist(stores, dataDir, say)

  const app = buildApp({ logger: false, defaultRegion: REGION, stores })
  // When a consumer dies while it waits, the message for it must not be lost.
  app.addHook('preSerialization', async (request, _reply, payload) => {
    const handles = request.raw.socket.destroyed ? receiptHandles(payload) : []
    const { QueueUrl } = (request.body ?? {}) as { QueueUrl?: string } // a ReceiveMessage, because there are handles
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
  // A caller that may not list a bucket is not told that an object is missing.
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
    setAside: persistence?.setAside ?? 0,
    async close() {
      await app.close()
      persistence?.close()
    },
  }
}

/** Queues and topics in SQLite, objects as files. Loaded before they are connected, as in fauxqs, so that loading writes nothing. */
async function persist(stores: Stores, dataDir: string, say: (sentence: string) => void) {
  const file = join(dataDir, 'queues', 'fauxqs.db')
  if (isEmptied(file)) say(emptiedFile(file))
  const queues = await openQueues(file, stores, say)
  const objects = await openObjects(join(dataDir, 'objects'))
  const { setAside } = loadObjects(objects, stores, say)
  for (const queue of stores.sqsStore.allQueues()) Object.assign(queue, { persistence: queues })
  Object.assign(stores.sqsStore, { persistence: queues })
  Object.assign(stores.snsStore, { persistence: queues })
  Object.assign(stores.s3Store, { persistence: objects })
  return {
    setAside,
    close() {
      queues.close()
      objects.close()
    },
  }
}

async function openQueues(file: string, stores: Stores, say: (sentence: string) => void): Promise<QueuePersistence> {
  const { PersistenceManager } = await fauxqsModule<{
    PersistenceManager: new (folder: string) => QueuePersistence
  }>('persistence.js')
  try {
    const queues = new PersistenceManager(join(file, '..'))
    // For fauxqs' size this takes milliseconds. Without it, a damaged page is noticed only when a message is lost.
    const verdict = queues.db.prepare('PRAGMA quick_check(1)').get()?.quick_check
    if (verdict !== 'ok') throw new CodedError('data-corrupt', { file: 'fauxqs.db', folder: join(file, '..') })
    // No fsync per message: nothing is lost when the process is killed, but a power failure may cost the last messages.
    queues.db.exec('PRAGMA synchronous = NORMAL')
    // fauxqs' own function also clears the receive count, which its table rejects, so a returned message would be lost.
    const giveBack = queues.db.prepare(
      'UPDATE sqs_messages SET receipt_handle = NULL, visibility_deadline = NULL WHERE message_id = ?',
    )
    const markInflight = queues.updateMessageInflight.bind(queues)
    // A failure to record who holds a message is not an error: the message is delivered once more after a restart. As an error, it would
    // hide the other messages of the same response until their timeout.
    // answer would be hidden until their timeout.
    const note = (write: () => void) => {
      try {
        write()
        isTold = false
      } catch (error) {
        if (!isTold)
          say(`${file} cannot be written: ${whatFailed(error)}. Messages are delivered again after a restart.`)
        isTold = true
      }
    }
    let isTold = false
    Object.assign(queues, {
      updateMessageReady: (messageId: string) => note(() => void giveBack.run(messageId)),
      updateMessageInflight: (...values: readonly unknown[]) => note(() => markInflight(...values)),
    })
    queues.loadSqsAndSns(stores.sqsStore, stores.snsStore)
    return queues
  } catch (error) {
    throw fileFault(file, error) ?? error
  }
}

async function openObjects(folder: string): Promise<ObjectPersistence> {
  const { FileS3Persistence } = await fauxqsModule<{
    FileS3Persistence: new (folder: string) => ObjectPersistence
  }>('s3/fileS3Persistence.js')
  try {
    return replaceWhole(new FileS3Persistence(folder), new FileS3Persistence(join(folder, '_incoming')))
  } catch (error) {
    throw fileFault(folder, error) ?? error
  }
}

/** A broken object must not prevent the others from being read. */
function loadObjects(
  objects: ObjectPersistence,
  { s3Store }: Stores,
  say: (sentence: string) => void,
): { readonly setAside: number } {
  const setAside = setBrokenAside(objects)
  try {
    objects.loadS3(s3Store)
  } catch (error) {
    throw fileFault(objects.bucketsDir, error) ?? error
  }
  if (setAside.length > 0) {
    const some = setAside.slice(0, 3).join(', ')
    const more = setAside.length > 3 ? ` and ${setAside.length - 3} more` : ''
    say(
      `${setAside.length} object${setAside.length === 1 ? '' : 's'} could not be read and ${
        setAside.length === 1 ? 'was' : 'were'
      } set aside: ${some}${more}. Put copies in their place, or remove them.`,
    )
  }
  return { setAside: setAside.length }
}

/** fauxqs exports only its entry point; its other modules are imported by path. */
async function fauxqsModule<T>(path: string): Promise<T> {
  const manifest = pathToFileURL(findPackageJSON('fauxqs', import.meta.url)!)
  return (await import(new URL(`dist/${path}`, manifest).href)) as T // as in fauxqs 2.4
}

function receiptHandles(payload: unknown): readonly string[] {
  const { Messages = [] } = (payload ?? {}) as { Messages?: readonly { ReceiptHandle: string }[] } // SQS's own format
  return Messages.map((message) => message.ReceiptHandle)
}
