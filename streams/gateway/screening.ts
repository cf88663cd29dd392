/**
 * Screening on the spot, in a thread of its own: doors stay quick while a window is read.
 * @module
 */
import { Worker } from 'node:worker_threads'
import type { ErrorCode } from '../../shared/errors.ts'
import type { Envelope } from './stored-ecg.ts'

export interface ScreeningSetup {
  readonly bundleDirectory: string
  readonly siteFile?: string | undefined
  readonly codeVersion: string
}

export interface ScreeningJob {
  readonly id: number
  readonly envelope: Envelope
  readonly packed: Uint8Array
}

export type ScreeningReply =
  | { readonly id: number; readonly json: string }
  | { readonly id: number; readonly code: ErrorCode }

/** Where jobs come from: asked whenever the thread has little to do, so that nothing but ids waits in memory. */
export interface ScreeningSource {
  next(after: number, limit: number): readonly ScreeningJob[]
  done(reply: ScreeningReply): void
}

/** Jobs that the thread has at once: one that runs and one that follows. */
const UNDER_WAY = 2

/** Of the thread's heap: a window leaves some megabytes of garbage, which V8 would let grow to 48. */
const YOUNG_MB = 8

export class Screening {
  readonly #worker: Worker
  readonly #source: ScreeningSource
  readonly #underWay = new Set<number>()
  #last = 0
  #isStopping = false
  /** Resolves when the model is loaded, rejects when it cannot be. */
  readonly ready: Promise<void>
  /** Rejects when the thread ends by itself. */
  readonly failed: Promise<never>

  constructor(setup: ScreeningSetup, source: ScreeningSource) {
    this.#source = source
    this.#worker = new Worker(new URL('./screening-worker.ts', import.meta.url), {
      workerData: setup,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
    })
    const ready = Promise.withResolvers<void>()
    const failed = Promise.withResolvers<never>()
    this.ready = ready.promise
    this.failed = failed.promise
    // Whoever starts a gateway waits for both; an unawaited rejection would end the process without a word.
    this.ready.catch(() => {})
    this.failed.catch(() => {})
    this.#worker.on('message', (message: 'ready' | ScreeningReply) => {
      if (message === 'ready') ready.resolve()
      else this.#finish(message)
    })
    const end = (error: Error) => {
      ready.reject(error)
      if (!this.#isStopping) failed.reject(error)
    }
    this.#worker.on('error', end)
    this.#worker.on('exit', (code) => end(new Error(`the screening thread ended with ${code}`)))
    this.ready.then(
      () => this.wake(),
      () => {},
    )
  }

  /** Something new may wait. */
  wake(): void {
    if (this.#isStopping) return
    const room = UNDER_WAY - this.#underWay.size
    if (room <= 0) return
    for (const job of this.#source.next(this.#last, room)) {
      this.#underWay.add(job.id)
      this.#last = job.id
      this.#worker.postMessage(job)
    }
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    await this.#worker.terminate()
  }

  #finish(reply: ScreeningReply): void {
    if (this.#isStopping) return
    this.#underWay.delete(reply.id)
    this.#source.done(reply)
    this.wake()
  }
}
