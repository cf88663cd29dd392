/**
 * Reads uploads beside the event loop: in worker threads, within a time and a memory of their own, so that no upload keeps another caller waiting.
 *
 * A Lambda answers one request a process, so there a file is read where it came (`parseInline`): the function's timeout ends one that takes too long.
 * @module
 */
import { Worker } from 'node:worker_threads'
import type { Recording } from '../../../shared/domain/recording.ts'
import { CodedError, type ErrorCode, type ErrorDetail } from '../../../shared/errors.ts'
import { parseRecording, type ReadOptions, type SourceFile } from '../../../streams/formats/index.ts'

/** Rejects with a CodedError as `parseRecording` throws it. */
export type ParseUpload = (files: readonly SourceFile[], options: ReadOptions) => Promise<Recording>

export const parseInline: ParseUpload = async (files, options) => parseRecording(files, options)

/** What a worker is given, and what it answers. */
export interface ParseRequest {
  readonly files: readonly SourceFile[]
  readonly options: ReadOptions
}
export type ParseAnswer =
  | { readonly recording: Recording }
  | { readonly refusal: { readonly code: ErrorCode; readonly detail: ErrorDetail } }
  | { readonly failure: string }

export interface ParsingPoolOptions {
  /** Files that are read at once. */
  readonly workers: number
  /** The slowest file of the formats' tests takes a tenth of the default. */
  readonly timeoutMs?: number
  /** Heap of a worker. The largest upload takes half of the default. */
  readonly maxHeapMb?: number
  /** Files that may wait for a worker. */
  readonly maxWaiting?: number
  /** Of the workers, for tests. */
  readonly script?: URL
}

export interface ParsingPool {
  readonly parse: ParseUpload
  close(): Promise<void>
}

interface Task extends PromiseWithResolvers<Recording> {
  readonly request: ParseRequest
}

/**
 * Workers start with the first file, and one that was ended is replaced with the next.
 *
 * `parse` rejects with `payload-too-large` for a file that takes longer or more than the limits, `unavailable` where too many wait already.
 */
export function createParsingPool({
  workers,
  timeoutMs = 20_000,
  maxHeapMb = 1024,
  maxWaiting = 16,
  script = new URL('./worker.ts', import.meta.url),
}: ParsingPoolOptions): ParsingPool {
  const idle: Worker[] = []
  const all = new Set<Worker>()
  const waiting: Task[] = []

  function start(): Worker {
    const worker = new Worker(script, { resourceLimits: { maxOldGenerationSizeMb: maxHeapMb } })
    // An idle one keeps nothing alive, and one that ends while idle is only forgotten.
    worker.unref()
    worker.on('error', () => {})
    worker.once('exit', () => forget(worker))
    all.add(worker)
    return worker
  }

  function forget(worker: Worker): void {
    all.delete(worker)
    const at = idle.indexOf(worker)
    if (at >= 0) idle.splice(at, 1)
  }

  function next(): void {
    while (waiting.length > 0 && (idle.length > 0 || all.size < workers)) {
      run(idle.pop() ?? start(), waiting.shift()!)
    }
  }

  function run(worker: Worker, { request, resolve, reject }: Task): void {
    const tooMuch = new CodedError('payload-too-large', { field: 'file', maxSeconds: timeoutMs / 1000 })
    const timer = setTimeout(() => end(() => reject(tooMuch)), timeoutMs)
    const onAnswer = (answer: ParseAnswer) => {
      settle()
      if ('recording' in answer) resolve(answer.recording)
      else if ('refusal' in answer) reject(new CodedError(answer.refusal.code, answer.refusal.detail))
      else reject(new CodedError('internal', {}, { cause: new Error(answer.failure) }))
      idle.push(worker)
      next()
    }
    const onError = (error: Error & { code?: string }) =>
      end(() =>
        reject(
          error.code === 'ERR_WORKER_OUT_OF_MEMORY'
            ? new CodedError('payload-too-large', { field: 'file', maxMemoryMb: maxHeapMb })
            : new CodedError('internal', {}, { cause: error }),
        ),
      )
    const onExit = () => end(() => reject(new CodedError('unavailable', { field: 'file' })))

    function settle(): void {
      clearTimeout(timer)
      worker.off('message', onAnswer).off('error', onError).off('exit', onExit)
    }

    function end(say: () => void): void {
      settle()
      forget(worker)
      say()
      void worker.terminate()
      next()
    }

    worker.on('message', onAnswer).on('error', onError).on('exit', onExit)
    worker.postMessage(request)
  }

  return {
    parse(files, options) {
      if (waiting.length >= maxWaiting) return Promise.reject(new CodedError('unavailable', { field: 'file' }))
      const task: Task = { request: { files, options }, ...Promise.withResolvers<Recording>() }
      waiting.push(task)
      next()
      return task.promise
    },
    async close() {
      for (const { reject } of waiting.splice(0)) reject(new CodedError('unavailable', { field: 'file' }))
      await Promise.all([...all].map((worker) => worker.terminate()))
    },
  }
}
