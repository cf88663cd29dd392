/**
 * dynalite (DynamoDB) in this process. Its own store leaks an iterator per read, ends the process when the disk is full, and notices a
 * damaged folder only with the first request. This layer between it and LevelDB corrects that.
 * @module
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import dynalite from 'dynalite'
import { fileFault } from '../../../shared/data-files.ts'
import { CodedError } from '../../../shared/errors.ts'
import { forThisMachine } from '../../../shared/loopback.ts'
import { whatFailed } from '../data-folder.ts'
import { closeServer, listen } from '../http.ts'
import { type Gate, PROTOCOLS } from '../iam/aws-calls.ts'

/** An iterator of abstract-level. dynalite ends it with `return`, which it does not have. */
interface Iterator {
  next(): Promise<unknown>
  close(): Promise<void>
}

type Callback = (error: Error | null, value?: unknown) => void

/** LevelDB as wrapped by dynalite. */
interface Level {
  readonly status: string
  open(): Promise<void>
  readonly close: { readonly _original: () => Promise<void> }
  keys(options?: object): Iterator
  values(options?: object): Iterator
  get(...args: readonly unknown[]): unknown
  put(...args: readonly unknown[]): unknown
  del(...args: readonly unknown[]): unknown
  batch(...args: readonly unknown[]): unknown
}

interface TableStore {
  readonly db: Level
}

/** dynalite exports only its server; its store is imported by path. */
const database = createRequire(import.meta.url)('dynalite/db') as { create(options: object): TableStore }

/** DynamoDB's response to an internal failure; its clients retry. */
const FAILED = {
  statusCode: 500,
  body: { __type: 'com.amazonaws.dynamodb.v20120810#InternalServerError', message: 'The tables cannot be used now.' },
}

/** Time between two attempts to reopen a failed store. */
const REOPEN_MS = 1000

/**
 * Starts dynalite.
 * @throws CodedError `data-corrupt`, `data-in-use` and others when the store cannot be opened
 */
export async function startDynalite(gate: Gate, dataDir: string | undefined, say: (sentence: string) => void) {
  const folder = dataDir === undefined ? undefined : join(dataDir, 'tables')
  if (folder !== undefined) refuseDamaged(folder)
  const store = database.create({ createTableMs: 0, ...(folder === undefined ? {} : { path: folder }) })
  await store.db.open().catch((error: unknown) => {
    throw storeFault(folder ?? 'tables', error)
  })
  const tables = mended(store.db, folder ?? 'tables', say)
  const server = serverOf(store)
  const [serve] = server.listeners('request') as [(request: IncomingMessage, response: ServerResponse) => void] // its only one
  server.removeAllListeners('request').on(
    'request',
    forThisMachine((request: IncomingMessage, response: ServerResponse) => {
      const chunks: Buffer[] = []
      request.on('error', () => {}) // a client that dies in mid-request
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.once('end', async () => {
        const bytes = Buffer.concat(chunks)
        const { method = '', url = '', headers } = request
        const refusal = gate(PROTOCOLS.dynamodb, { method, url, headers, body: json(bytes) })
        if (refusal !== undefined) {
          response.writeHead(refusal.status, refusal.headers).end(refusal.body)
          return
        }
        if (tables.isBroken && !(await tables.reopen())) {
          response.writeHead(FAILED.statusCode, JSON_HEADERS).end(JSON.stringify(FAILED.body))
          return
        }
        // dynalite reads the request through these two events.
        request.removeAllListeners()
        serve(request, response)
        // Its own handler would throw in this process when a client dies.
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

const JSON_HEADERS = { 'content-type': 'application/x-amz-json-1.0' }

/** dynalite makes its store itself, with this function of its own module. */
function serverOf(store: TableStore): ReturnType<typeof dynalite> {
  const { create } = database
  try {
    database.create = () => store
    return dynalite({ createTableMs: 0 })
  } finally {
    database.create = create
  }
}

/**
 * LevelDB starts a new store when the file that names the parts of the old one is missing, and reads an emptied table only when its rows
 * are requested.
 */
function refuseDamaged(folder: string): void {
  if (!existsSync(folder)) return
  if (!statSync(folder).isDirectory()) throw new CodedError('data-foreign', fileOf(folder, 'a file'))
  const names = readdirSync(folder)
  const isUsed = names.some((name) => /^MANIFEST-|\.(ldb|sst)$/.test(name))
  const current = names.includes('CURRENT') ? readFileSync(join(folder, 'CURRENT'), 'utf8').trim() : undefined
  if (isUsed && (current === undefined || !names.includes(current))) {
    throw new CodedError('data-corrupt', fileOf(folder, current === undefined ? 'CURRENT' : current || 'CURRENT'))
  }
  const emptied = names.find((name) => /\.(ldb|sst)$/.test(name) && statSync(join(folder, name)).size === 0)
  if (emptied !== undefined) throw new CodedError('data-corrupt', fileOf(folder, emptied))
}

const fileOf = (folder: string, file: string) => ({ file, folder })

/** LevelDB's error as a fault of a file. For a damaged store this is mostly the MANIFEST, which is read first. */
function storeFault(folder: string, error: unknown): unknown {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : (error as Error)
  const { code } = cause as { code?: string }
  const [named] = /\d{6}\.(?:ldb|sst|log)|MANIFEST-\d{6}|CURRENT/.exec(cause.message) ?? []
  const detail = fileOf(folder, named ?? manifestOf(folder))
  if (code === 'LEVEL_LOCKED') return new CodedError('data-in-use', detail, { cause })
  if (code === 'LEVEL_CORRUPTION') return new CodedError('data-corrupt', detail, { cause })
  if (/no space left/i.test(cause.message)) return new CodedError('disk-full', detail, { cause })
  if (code === 'LEVEL_IO_ERROR') return new CodedError('data-unwritable', detail, { cause })
  return fileFault(folder, cause) ?? error
}

function manifestOf(folder: string): string {
  const names = existsSync(folder) && statSync(folder).isDirectory() ? readdirSync(folder) : []
  return names.filter((name) => name.startsWith('MANIFEST-')).at(-1) ?? 'MANIFEST'
}

/**
 * Closes each iterator with its stream. Turns a disk failure into a DynamoDB response, where dynalite would throw in this process. After a
 * failed write, LevelDB's log may end in a partial record that hides all later ones, so the store is reopened first.
 */
function mended(db: Level, folder: string, say: (sentence: string) => void) {
  const told = new Set<string>()
  let isBroken = false
  let triedAt = Number.NEGATIVE_INFINITY
  let opening: Promise<boolean> | undefined

  const failure = (error: Error, isWrite: boolean): Error => {
    if (isWrite) isBroken = true
    if (!told.has(error.message))
      say(`${folder} cannot be used: ${whatFailed(error)}. Calls are answered with 500 until it can be.`)
    told.add(error.message)
    return Object.assign(error, FAILED)
  }

  for (const name of ['get', 'put', 'del', 'batch'] as const) {
    const call = db[name].bind(db)
    db[name] = (...args: readonly unknown[]) => {
      const done = args.at(-1) as Callback // dynalite always passes one
      const isWrite = name !== 'get'
      const answer: Callback = (error, value) => {
        if (error) done(failure(error, isWrite))
        // It may be after the partial record of a failed write.
        else if (isWrite && isBroken) done(Object.assign(new Error('written to a log that is broken'), FAILED))
        else done(null, value)
      }
      return call(...args.slice(0, -1), answer)
    }
  }
  for (const name of ['keys', 'values'] as const) {
    const open = db[name].bind(db)
    db[name] = (options) => {
      const iterator = open(options)
      const next = iterator.next.bind(iterator)
      return Object.assign(iterator, {
        next: () => next().catch((error: Error) => Promise.reject(failure(error, false))),
        return: () => iterator.close(),
      })
    }
  }

  async function openAgain(): Promise<boolean> {
    try {
      await db.close._original()
      await db.open()
      isBroken = false
      told.clear()
      say(`${folder} is open again.`)
      return true
    } catch {
      return false
    }
  }
  return {
    get isBroken() {
      return isBroken
    },
    /** @returns whether the store can be used */
    reopen(): Promise<boolean> {
      if (opening !== undefined) return opening
      if (performance.now() - triedAt < REOPEN_MS) return Promise.resolve(false)
      triedAt = performance.now()
      opening = openAgain().finally(() => {
        opening = undefined
      })
      return opening
    },
  }
}

/** dynalite itself rejects what is not JSON. */
function json(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch {
    return undefined
  }
}
