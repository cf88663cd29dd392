/**
 * Sends to one SQS queue for ever: several batches under way at once, each retried with growing pauses until SQS has all of it.
 * @module
 */
import { SendMessageBatchCommand, type SendMessageBatchRequestEntry, type SQSClient } from '@aws-sdk/client-sqs'
import { type Attributes, messageAttributes } from '../../shared/aws/queues.ts'
import { pause } from '../../shared/pause.ts'

/** A message that is made when its turn comes, so that a long queue holds no bodies. */
export interface OutboxItem {
  prepare(): Promise<{ readonly body: string; readonly attributes?: Attributes }>
  /** SQS has it. */
  sent(): void
}

export interface OutboxOptions {
  readonly sqs: SQSClient
  readonly queueUrl: string
  /** Ends all trying; what was not sent stays where it came from. */
  readonly signal: AbortSignal
  readonly onError: (error: unknown) => void
}

/** Batches under way at once. */
const CONCURRENCY = 8

/** SQS's own limit; ten bodies of one billing unit each stay below its limit of a megabyte. */
const MAX_BATCH = 10

/** A request without an answer is given up after so long, and made again. */
const REQUEST_TIMEOUT_MS = 10_000

const PAUSE_MS = { first: 100, longest: 30_000 } as const

export class Outbox {
  readonly #options: OutboxOptions
  #waiting: OutboxItem[] = []
  /** When each that SQS does not have yet was added, the oldest first. */
  readonly #addedAtMs = new Map<OutboxItem, number>()
  #sent = 0
  readonly #underWay = new Set<Promise<void>>()

  constructor(options: OutboxOptions) {
    this.#options = options
  }

  /** Items that are neither sent nor under way. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** How long the oldest that SQS does not have yet has been here; 0 when it has all. */
  get oldestMs(): number {
    const [addedAtMs] = this.#addedAtMs.values()
    return addedAtMs === undefined ? 0 : performance.now() - addedAtMs
  }

  /** How many SQS has taken. */
  get sent(): number {
    return this.#sent
  }

  add(items: readonly OutboxItem[]): void {
    for (const item of items) this.#addedAtMs.set(item, performance.now())
    this.#waiting.push(...items)
    this.#start()
  }

  /** Resolves when nothing waits and nothing is under way. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay)
  }

  #start(): void {
    const { signal } = this.#options
    while (this.#waiting.length > 0 && this.#underWay.size < CONCURRENCY && !signal.aborted) {
      // A burst is spread over all places, so that its first message need not wait until ten are made.
      const size = Math.min(MAX_BATCH, Math.ceil(this.#waiting.length / CONCURRENCY))
      const sending = this.#send(this.#waiting.splice(0, size)).finally(() => {
        this.#underWay.delete(sending)
        this.#start()
      })
      this.#underWay.add(sending)
    }
  }

  async #send(batch: readonly OutboxItem[]): Promise<void> {
    const { signal, onError } = this.#options
    let remaining = batch
    let pauseMs: number = PAUSE_MS.first
    while (!signal.aborted) {
      try {
        remaining = await this.#sendOnce(remaining)
        if (remaining.length === 0) return
      } catch (error) {
        if (signal.aborted) return
        onError(error)
      }
      await pause(pauseMs, signal)
      pauseMs = Math.min(pauseMs * 2, PAUSE_MS.longest)
    }
  }

  /** Sends a batch and returns what could not be made or SQS did not take. */
  async #sendOnce(batch: readonly OutboxItem[]): Promise<readonly OutboxItem[]> {
    const { sqs, queueUrl, signal, onError } = this.#options
    const entries: SendMessageBatchRequestEntry[] = []
    // One that cannot be made (S3 is away) does not hold up the others.
    for (const [index, made] of (await Promise.allSettled(batch.map((item) => item.prepare()))).entries()) {
      if (made.status === 'rejected') {
        onError(made.reason)
        continue
      }
      const { body, attributes = {} } = made.value
      entries.push({ Id: String(index), MessageBody: body, MessageAttributes: messageAttributes(attributes) })
    }
    if (entries.length === 0) return batch
    const { Failed = [] } = await sqs.send(new SendMessageBatchCommand({ QueueUrl: queueUrl, Entries: entries }), {
      abortSignal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]),
    })
    if (Failed.length > 0) onError(new Error('SQS refused part of a batch'))
    const sent = new Set(entries.map(({ Id }) => Number(Id)))
    for (const { Id } of Failed) sent.delete(Number(Id))
    for (const index of sent) {
      const item = batch[index]!
      this.#addedAtMs.delete(item)
      item.sent()
    }
    this.#sent += sent.size
    return batch.filter((_, index) => !sent.has(index))
  }
}
