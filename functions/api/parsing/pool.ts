/**
 * Parses uploads in worker threads, with limits on time and memory, so that no upload delays another caller.
 *
 * A Lambda handles one request per process, so there a file is parsed in place (`parseInline`); the function's timeout ends a file that
 * takes too long.
 * @module
 */
import { Worker } from 'node:worker_threads'
import type { Recording } from '../../../shared/domain/recording.ts'
import { CodedError, type ErrorCode, type ErrorDetail } from '../../../shared/errors.ts'
import { parseRecording, type ReadOptions, type SourceFile } from '../../../streams/formats/index.ts'

/** Rejects with the CodedErrors of `parseRecording`. */
export type ParseUpload = (files: readonly SourceFile[], options: ReadOptions) => Promise<Recording>

export const parseInline: ParseUpload = async (files, options) => parseRecording(files, options)

/** Request to a worker, and its answer. */
export interface ParseRequest {
  readonly files: readonly SourceFile[]
  readonly options: ReadOptions
}
export type ParseAnswer =
  | { readonly recording: Recording }
  | { readonly refusal: { readonly code: ErrorCode; readonly detail: ErrorDetail } }
  | { readonly failure: string }

export interface ParsingPoolOptions {
  /** Files that are parsed at the same time. */
  readonly workers: number
  /** Default: ten times what the slowest file of the formats' tests takes. */
  readonly timeoutMs?: number
  /** Heap of a worker. Default: twice what the largest upload takes. */
  readonly maxHeapMb?: number
  /** Most files that may wait for a worker. */
  readonly maxWaiting?: number
  /** Script of the workers, for tests. */
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
 * Makes a pool. Workers start with the first file; a worker that was terminated is replaced with the next file.
 *
 * `parse` rejects with `payload-too-large` for a file that exceeds the limits on time or memory, and with `unavailable` when too many files
 * wait.
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
    // An idle worker does not keep the process alive. One that exits while idle is only removed from the list.
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
