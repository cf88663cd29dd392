/**
 * An event source mapping: passes a queue's messages to a function in batches, and deletes those that the function has handled.
 * @module
 */
import {
  DeleteMessageBatchCommand,
  type Message,
  type MessageAttributeValue,
  ReceiveMessageCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs'
import type { SQSEvent, SQSMessageAttribute, SQSRecord } from 'aws-lambda'
import { isRecord } from '../../../shared/is-record.ts'
import { pause } from '../../../shared/pause.ts'
import { REGION } from '../account.ts'
import type { LambdaFunction } from '../lambda/lambda.ts'

export interface EventSourceMapping {
  readonly queueUrl: string
  readonly queueArn: string
  readonly functionName: string
  /** 1 to 10, or to 10,000 with a batching window. */
  readonly batchSize: number
  /** Longest time to gather a batch, ms; 0 passes on the available messages at once. */
  readonly batchingWindowMs: number
  /** The function's response names the failed messages of a batch (`ReportBatchItemFailures`). */
  readonly reportsItemFailures: boolean
  readonly maximumConcurrency: number
}

export interface EventSource {
  /** Stops receiving. Resolves when batches in progress are handled. */
  stop(): Promise<void>
}

/** SQS returns at most ten messages per request, and waits at most 20 s for the first. */
const RECEIVE_LIMIT = 10
const LONGEST_WAIT_MS = 20_000

/**
 * Polls with as many loops as the function has sandboxes (and the mapping allows). A failed message is left in the queue: it comes again
 * after the visibility timeout, and SQS moves it to the DLQ after too many attempts.
 */
export function startEventSource(
  sqs: SQSClient,
  mapping: EventSourceMapping,
  fn: LambdaFunction,
  log: (line: string) => void,
): EventSource {
  const stopping = new AbortController()
  const { signal } = stopping

  async function receive(limit: number, waitMs: number): Promise<readonly Message[]> {
    const command = new ReceiveMessageCommand({
      QueueUrl: mapping.queueUrl,
      MaxNumberOfMessages: Math.min(limit, RECEIVE_LIMIT),
      WaitTimeSeconds: Math.min(Math.ceil(waitMs / 1000), 20),
      MessageSystemAttributeNames: ['All'],
      MessageAttributeNames: ['All'],
    })
    const { Messages = [] } = await sqs.send(command, { abortSignal: signal })
    return Messages
  }

  /** One batch: the result of the first receive, and what else arrives within the batching window. */
  async function gather(): Promise<readonly Message[]> {
    const batch = [...(await receive(mapping.batchSize, LONGEST_WAIT_MS))]
    if (batch.length === 0) return batch
    const closesAt = performance.now() + mapping.batchingWindowMs
    for (;;) {
      const remainingMs = closesAt - performance.now()
      if (batch.length >= mapping.batchSize || remainingMs <= 0) return batch
      batch.push(...(await receive(mapping.batchSize - batch.length, remainingMs)))
    }
  }

  async function remove(messages: readonly Message[]): Promise<void> {
    for (let from = 0; from < messages.length; from += RECEIVE_LIMIT) {
      const entries = messages.slice(from, from + RECEIVE_LIMIT)
      const command = new DeleteMessageBatchCommand({
        QueueUrl: mapping.queueUrl,
        Entries: entries.map((message, index) => ({ Id: String(index), ReceiptHandle: message.ReceiptHandle! })),
      })
      await sqs.send(command)
    }
  }

  async function poll(): Promise<void> {
    let removing: Promise<void> = Promise.resolve()
    while (!signal.aborted) {
      try {
        const batch = await gather()
        if (batch.length === 0) continue
        const failed = await deliver(batch)
        await removing
        // The next receive need not wait for it: when a delete is lost, the message only comes twice.
        removing = remove(batch.filter((message) => !failed.has(message.MessageId!))).catch(logError)
      } catch (error) {
        if (signal.aborted) break
        logError(error)
        await pause(1000, signal)
      }
    }
    await removing
  }

  function logError(error: unknown): void {
    log(`event source of ${mapping.functionName}: ${error instanceof Error ? error.name : 'unknown error'}`)
  }

  /** Ids of the failed messages. */
  async function deliver(batch: readonly Message[]): Promise<ReadonlySet<string>> {
    const event: SQSEvent = { Records: batch.map((message) => toRecord(message, mapping.queueArn)) }
    const all = new Set(batch.map((message) => message.MessageId!))
    try {
      const answer = await fn.invoke(JSON.stringify(event))
      return mapping.reportsItemFailures ? failedIds(answer, all) : new Set()
    } catch {
      return all
    }
  }

  const loops = Array.from({ length: Math.min(fn.concurrency, mapping.maximumConcurrency) }, poll)
  return {
    async stop() {
      stopping.abort()
      await Promise.all(loops)
    },
  }
}

/**
 * The messages that a partial batch response names. As in Lambda, nothing or an empty list means that all succeeded, and an invalid
 * response (an unknown or empty id) that all failed.
 */
export function failedIds(answer: string, all: ReadonlySet<string>): ReadonlySet<string> {
  const response: unknown = JSON.parse(answer)
  if (response === null) return new Set()
  if (!isRecord(response)) return all
  const failures = response.batchItemFailures ?? []
  if (!Array.isArray(failures)) return all
  const ids = failures.map((failure: unknown) => (isRecord(failure) ? failure.itemIdentifier : undefined))
  const isKnown = (id: unknown): id is string => typeof id === 'string' && all.has(id)
  return ids.every(isKnown) ? new Set(ids) : all
}

function toRecord(message: Message, queueArn: string): SQSRecord {
  const attributes = message.Attributes ?? {}
  return {
    messageId: message.MessageId!,
    receiptHandle: message.ReceiptHandle!,
    body: message.Body!,
    attributes: {
      ...attributes,
      ApproximateReceiveCount: attributes.ApproximateReceiveCount!,
      SentTimestamp: attributes.SentTimestamp!,
      SenderId: attributes.SenderId!,
      ApproximateFirstReceiveTimestamp: attributes.ApproximateFirstReceiveTimestamp!,
    },
    messageAttributes: Object.fromEntries(
      Object.entries(message.MessageAttributes ?? {}).map(([name, value]) => [name, toAttribute(value)]),
    ),
    md5OfBody: message.MD5OfBody!,
    eventSource: 'aws:sqs',
    eventSourceARN: queueArn,
    awsRegion: REGION,
  }
}

function toAttribute({ DataType, StringValue, BinaryValue }: MessageAttributeValue): SQSMessageAttribute {
  return {
    dataType: DataType!,
    ...(StringValue === undefined ? {} : { stringValue: StringValue }),
    ...(BinaryValue === undefined ? {} : { binaryValue: Buffer.from(BinaryValue).toString('base64') }),
  }
}
