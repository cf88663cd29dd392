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

/** Never finishes a file with format `csv`, and refuses any other as no ECG. */
const STUCK = `if (request.options.format === 'csv') for (;;) {}
  answer({ refusal: { code: 'format-unknown', detail: { field: 'file' } } })`

const codeOf = (parsed: Promise<unknown>) =>
  parsed.then(
    () => undefined,
    (error: unknown) => (error instanceof CodedError ? error.code : String(error)),
  )

const files = [{ name: 'x', bytes: Buffer.from('x') }]

describe('the parser pool', () => {
  it('reads every format as without a pool', { timeout: 60_000 }, async () => {
    const { parse } = startPool({ timeoutMs: 60_000 })

    for (const sample of ownSamples()) {
      const recording = await parse(sample.files, sample.options ?? {})

      expect(recording).toEqual(parseRecording(sample.files, sample.options))
    }
  })

  it('refuses with the reader’s code and field', { timeout: 60_000 }, async () => {
    const { parse } = startPool({ timeoutMs: 60_000 })

    const error = await parse(files, { format: 'csv' }).catch((thrown: unknown) => thrown)

    expect(error).toMatchObject({ code: 'payload-empty', detail: { field: 'rows' } })
  })

  it('stops a file that takes too long, and reads the next in another worker', { timeout: 60_000 }, async () => {
    const { parse } = startPool({ timeoutMs: 2000, script: workerScript(STUCK) })

    const stuck = codeOf(parse(files, { format: 'csv' }))
    const behind = codeOf(parse(files, {}))

    expect(await stuck).toBe('payload-too-large')
    expect(await behind).toBe('format-unknown')
  })

  it('survives a file that exceeds a worker’s memory', { timeout: 60_000 }, async () => {
    const script = workerScript('const all = []; for (;;) all.push(new Array(10_000).fill({}))')
    const { parse } = startPool({ timeoutMs: 60_000, maxHeapMb: 32, script })

    expect(await codeOf(parse(files, {}))).toBe('payload-too-large')
  })

  it('limits the number of waiting files', { timeout: 60_000 }, async () => {
    const { parse } = startPool({ timeoutMs: 2000, maxWaiting: 1, script: workerScript(STUCK) })

    const codes = [1, 2, 3].map(() => codeOf(parse(files, { format: 'csv' })))

    expect(await codes[2]).toBe('unavailable')
    expect(await Promise.all(codes)).toEqual(['payload-too-large', 'payload-too-large', 'unavailable'])
  })
})

describe('a slow upload', () => {
  it('delays no other caller', { timeout: 60_000 }, async () => {
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
