/**
 * Sends to one SQS queue indefinitely: several batches at the same time, each retried with increasing pauses until SQS has all of it.
 * @module
 */
import { SendMessageBatchCommand, type SendMessageBatchRequestEntry, type SQSClient } from '@aws-sdk/client-sqs'
import { type Attributes, messageAttributes } from '../../shared/aws/queues.ts'
import { pause } from '../../shared/pause.ts'

/** A message whose body is made when it is sent, so that a long queue holds no bodies. */
export interface OutboxItem {
  prepare(): Promise<{ readonly body: string; readonly attributes?: Attributes }>
  /** Called when SQS has it. */
  sent(): void
}

export interface OutboxOptions {
  readonly sqs: SQSClient
  readonly queueUrl: string
  /** Ends all attempts; unsent messages stay at their source. */
  readonly signal: AbortSignal
  readonly onError: (error: unknown) => void
}

/** Batches that are sent at the same time. */
const CONCURRENCY = 8

/** SQS's own limit; ten bodies of one billing unit each stay below its limit of a megabyte. */
const MAX_BATCH = 10

/** A request without a response is abandoned after this time, and repeated. */
const REQUEST_TIMEOUT_MS = 10_000

const PAUSE_MS = { first: 100, longest: 30_000 } as const

export class Outbox {
  readonly #options: OutboxOptions
  #waiting: OutboxItem[] = []
  /** When each item that SQS does not have yet was added, oldest first. */
  readonly #addedAtMs = new Map<OutboxItem, number>()
  #sent = 0
  readonly #underWay = new Set<Promise<void>>()

  constructor(options: OutboxOptions) {
    this.#options = options
  }

  /** Items that are neither sent nor being sent. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** Age of the oldest item that SQS does not have yet; 0 when it has all. */
  get oldestMs(): number {
    const [addedAtMs] = this.#addedAtMs.values()
    return addedAtMs === undefined ? 0 : performance.now() - addedAtMs
  }

  /** Number of items that SQS has accepted. */
  get sent(): number {
    return this.#sent
  }

  add(items: readonly OutboxItem[]): void {
    for (const item of items) this.#addedAtMs.set(item, performance.now())
    this.#waiting.push(...items)
    this.#start()
  }

  /** Resolves when nothing is waiting or being sent. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay)
  }

  #start(): void {
    const { signal } = this.#options
    while (this.#waiting.length > 0 && this.#underWay.size < CONCURRENCY && !signal.aborted) {
      // A burst is spread over all slots, so that its first message need not wait until ten are made.
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

  /** Sends a batch. Returns the items that could not be made or that SQS did not accept. */
  async #sendOnce(batch: readonly OutboxItem[]): Promise<readonly OutboxItem[]> {
    const { sqs, queueUrl, signal, onError } = this.#options
    const entries: SendMessageBatchRequestEntry[] = []
    // An item that cannot be made (S3 is unavailable) does not delay the others.
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
