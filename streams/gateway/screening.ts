/**
 * Local screening in a separate thread, so that doors stay responsive while a window is processed.
 * @module
 */
import { Worker } from 'node:worker_threads'
import { CodedError, type ErrorCode } from '../../shared/errors.ts'
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

/** Source of jobs. It is asked whenever the thread has little to do, so that only ids wait in memory. */
export interface ScreeningSource {
  next(after: number, limit: number): readonly ScreeningJob[]
  /** @throws CodedError `disk-full` when the result cannot be stored now */
  done(reply: ScreeningReply): void
}

/** Message after which the thread finishes its jobs and ends. */
export const STOP = 'stop'

/** Jobs in the thread at the same time: one that runs and one that follows. */
const UNDER_WAY = 2

/** Young generation of the thread's heap, MB. A window leaves some megabytes of garbage, which V8 would let grow to 48. */
const YOUNG_MB = 8

export class Screening {
  readonly #source: ScreeningSource
  readonly #failed = Promise.withResolvers<never>()
  #thread: ScreeningThread
  #last = 0
  #isStopping = false
  #isSwitching = false
  /** Resolves when the model is loaded; rejects when it cannot be. */
  readonly ready: Promise<void>
  /** Rejects when the thread ends by itself. */
  readonly failed: Promise<never>

  constructor(setup: ScreeningSetup, source: ScreeningSource) {
    this.#source = source
    this.failed = this.#failed.promise
    // The caller awaits both; an unhandled rejection would end the process without a message.
    this.failed.catch(() => {})
    this.#thread = this.#start(setup)
    this.ready = this.#thread.ready
    this.ready.then(
      () => this.wake(),
      () => {},
    )
  }

  /** Called when a new job may be waiting. */
  wake(): void {
    if (this.#isStopping || this.#isSwitching) return
    const room = UNDER_WAY - this.#thread.underWay
    if (room <= 0) return
    for (const job of this.#source.next(this.#last, room)) {
      this.#last = job.id
      this.#thread.give(job)
    }
  }

  /**
   * Loads another bundle beside the active one.
   * @throws CodedError `bundle-mismatch` when it cannot be loaded
   */
  async load(setup: ScreeningSetup): Promise<ScreeningThread> {
    const thread = this.#start(setup)
    await thread.ready.catch((cause: unknown) => {
      throw new CodedError('bundle-mismatch', { field: 'screen.onnx' }, { cause })
    })
    return thread
  }

  /** Switches to a loaded bundle when the previous thread has finished its jobs: in order, without duplicates or omissions. */
  async use(thread: ScreeningThread): Promise<void> {
    const before = this.#thread
    this.#isSwitching = true
    await before.whenIdle()
    this.#thread = thread
    this.#isSwitching = false
    this.wake()
    await before.stop()
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    await this.#thread.stop()
  }

  #start(setup: ScreeningSetup): ScreeningThread {
    const thread: ScreeningThread = new ScreeningThread(setup, (reply) => {
      if (this.#isStopping) return
      try {
        this.#source.done(reply)
      } catch (error) {
        // When the disk accepts no writes, the ECG is screened again with the next `wake` from outside.
        if (!(error instanceof CodedError) || error.code !== 'disk-full') throw error
        this.#last = Math.min(this.#last, reply.id - 1)
        return
      }
      this.wake()
    })
    thread.failed.catch((error: unknown) => {
      // A thread that was only tested does not end the gateway.
      if (thread === this.#thread) this.#failed.reject(error)
    })
    return thread
  }
}

/** One thread with one bundle. */
export class ScreeningThread {
  readonly #worker: Worker
  readonly #underWay = new Set<number>()
  readonly #exited = Promise.withResolvers<void>()
  #idle: (() => void) | undefined
  #isEnding = false
  readonly ready: Promise<void>
  readonly failed: Promise<never>

  constructor(setup: ScreeningSetup, onReply: (reply: ScreeningReply) => void) {
    this.#worker = new Worker(new URL('./screening-worker.ts', import.meta.url), {
      workerData: setup,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
    })
    const ready = Promise.withResolvers<void>()
    const failed = Promise.withResolvers<never>()
    this.ready = ready.promise
    this.failed = failed.promise
    this.ready.catch(() => {})
    this.failed.catch(() => {})
    this.#worker.on('message', (message: 'ready' | ScreeningReply) => {
      if (message === 'ready') ready.resolve()
      else {
        this.#underWay.delete(message.id)
        onReply(message)
        if (this.#underWay.size === 0) this.#idle?.()
      }
    })
    const end = (error: Error) => {
      ready.reject(error)
      if (!this.#isEnding) failed.reject(error)
    }
    this.#worker.on('error', end)
    this.#worker.on('exit', (code) => {
      this.#exited.resolve()
      end(new Error(`the screening thread ended with ${code}`))
    })
  }

  get underWay(): number {
    return this.#underWay.size
  }

  give(job: ScreeningJob): void {
    this.#underWay.add(job.id)
    this.#worker.postMessage(job)
  }

  /** Resolves when all its jobs are done; rejects when it ends earlier. */
  async whenIdle(): Promise<void> {
    const idle = new Promise<void>((resolve) => {
      this.#idle = resolve
      if (this.#underWay.size === 0) resolve()
    })
    await Promise.race([idle, this.failed])
  }

  /** Resolves when the thread has ended by itself. `terminate()` during a call of ONNX Runtime would abort the whole process. */
  async stop(): Promise<void> {
    this.#isEnding = true
    this.#worker.postMessage(STOP)
    await this.#exited.promise
  }
}
