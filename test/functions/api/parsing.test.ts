import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createParsingPool, type ParsingPoolOptions } from '../../../functions/api/parsing/pool.ts'
import { serve } from '../../../functions/api/server.ts'
import { CodedError } from '../../../shared/errors.ts'
import { parseRecording } from '../../../streams/formats/index.ts'
import { ownSamples } from '../../helpers/format-samples.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'
import { startTestApi } from './helpers.ts'

function startPool(options: Partial<ParsingPoolOptions> = {}) {
  const pool = createParsingPool({ workers: 1, ...options })
  onTestFinished(pool.close)
  return pool
}

/** A worker of the test's own: `body` has `request` and `answer`. */
function workerScript(body: string): URL {
  const file = join(temporaryFolder(), 'worker.mjs')
  const code = `import { parentPort } from 'node:worker_threads'
    const answer = (it) => parentPort.postMessage(it)
    parentPort.on('message', (request) => { ${body} })`
  writeFileSync(file, code)
  return pathToFileURL(file)
}

/** Never done with a file whose format is said to be `csv`; of any other it says that it is none. */
const STUCK = `if (request.options.format === 'csv') for (;;) {}
  answer({ refusal: { code: 'format-unknown', detail: { field: 'file' } } })`

const codeOf = (parsed: Promise<unknown>) =>
  parsed.then(
    () => undefined,
    (error: unknown) => (error instanceof CodedError ? error.code : String(error)),
  )

const files = [{ name: 'x', bytes: Buffer.from('x') }]

describe('a pool of workers', () => {
  it('reads every format as it is read anywhere', { timeout: 60_000 }, async () => {
    const { parse } = startPool({ timeoutMs: 60_000 })

    for (const sample of ownSamples()) {
      const recording = await parse(sample.files, sample.options ?? {})

      expect(recording).toEqual(parseRecording(sample.files, sample.options))
    }
  })

  it('refuses with the code and field that the reader names', { timeout: 60_000 }, async () => {
    const { parse } = startPool({ timeoutMs: 60_000 })

    const error = await parse(files, { format: 'csv' }).catch((thrown: unknown) => thrown)

    expect(error).toMatchObject({ code: 'payload-empty', detail: { field: 'rows' } })
  })

  it('gives up a file that takes too long, and reads the next with another worker', { timeout: 60_000 }, async () => {
    const { parse } = startPool({ timeoutMs: 2000, script: workerScript(STUCK) })

    const stuck = codeOf(parse(files, { format: 'csv' }))
    const behind = codeOf(parse(files, {}))

    expect(await stuck).toBe('payload-too-large')
    expect(await behind).toBe('format-unknown')
  })

  it('survives a file that takes more memory than a worker has', { timeout: 60_000 }, async () => {
    const script = workerScript('const all = []; for (;;) all.push(new Array(10_000).fill({}))')
    const { parse } = startPool({ timeoutMs: 60_000, maxHeapMb: 32, script })

    expect(await codeOf(parse(files, {}))).toBe('payload-too-large')
  })

  it('lets only so many wait', { timeout: 60_000 }, async () => {
    const { parse } = startPool({ timeoutMs: 2000, maxWaiting: 1, script: workerScript(STUCK) })

    const codes = [1, 2, 3].map(() => codeOf(parse(files, { format: 'csv' })))

    expect(await codes[2]).toBe('unavailable')
    expect(await Promise.all(codes)).toEqual(['payload-too-large', 'payload-too-large', 'unavailable'])
  })
})

describe('an upload that takes long', () => {
  it('keeps no other caller waiting', { timeout: 60_000 }, async () => {
    const started = Promise.withResolvers<void>()
    const { parse } = startPool({ timeoutMs: 60_000, script: workerScript(STUCK) })
    const api = await startTestApi({
      parse(...request) {
        started.resolve()
        return parse(...request)
      },
    })
    onTestFinished(api.stop)
    const server = await serve(api.app, { port: 0, host: '127.0.0.1' })
    onTestFinished(server.close)
    const gone = new AbortController()
    const headers = { authorization: `Bearer ${await api.token()}` }

    const upload = fetch(`${server.url}/v1/ecgs?format=csv`, {
      method: 'POST',
      headers,
      body: 'x',
      signal: gone.signal,
    })
    upload.catch(() => {})
    await started.promise
    const health = await fetch(`${server.url}/healthz`)

    expect(health.status).toBe(200)
    gone.abort()
  })
})
