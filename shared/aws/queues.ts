/**
 * SQS: sending, and a consumer for processes that run on their own (a Lambda has its event source mapping).
 * @module
 */
import {
  DeleteMessageBatchCommand,
  type Message,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs'
import { CodedError } from '../errors.ts'
import { traceHeaders } from '../observe/tracing.ts'
import { pause } from '../pause.ts'

/** Short facts that travel with a message, such as a reason or a trace. Never patient data. */
export type Attributes = Readonly<Record<string, string>>

/** Longest delay of a message that SQS supports, s. */
export const MAX_DELAY_S = 900

/** Sends one message, which becomes visible after `delayS`. Resolves when SQS has accepted it. */
export async function sendMessage(
  sqs: SQSClient,
  queueUrl: string,
  body: string,
  attributes: Attributes = {},
  delayS?: number,
) {
  await sqs.send(
    new SendMessageCommand({
      QueueUrl: queueUrl,
      MessageBody: body,
      MessageAttributes: messageAttributes(attributes),
      ...(delayS === undefined ? {} : { DelaySeconds: delayS }),
    }),
  )
}

/** Most messages in one request (SQS's limit). */
const MAX_BATCH = 10

/**
 * Sends any number of messages. Resolves when SQS has accepted all of them.
 * @throws CodedError `unavailable` when SQS did not accept some of them
 */
export async function sendMessages(sqs: SQSClient, queueUrl: string, bodies: readonly string[]): Promise<void> {
  for (let at = 0; at < bodies.length; at += MAX_BATCH) {
    const Entries = bodies.slice(at, at + MAX_BATCH).map((MessageBody, index) => ({
      Id: String(index),
      MessageBody,
      MessageAttributes: messageAttributes({}),
    }))
    const { Failed = [] } = await sqs.send(new SendMessageBatchCommand({ QueueUrl: queueUrl, Entries }))
    if (Failed.length > 0) throw new CodedError('unavailable', { field: 'queue' })
  }
}

/** Attributes in the form that SQS and SNS expect, with the current trace added. */
export function messageAttributes(attributes: Attributes) {
  return Object.fromEntries(
    Object.entries({ ...traceHeaders(), ...attributes }).map(([name, value]) => [
      name,
      { DataType: 'String', StringValue: value },
    ]),
  )
}

/**
 * Passes the queue's messages to `handle` in batches until `signal` aborts. Messages that `handle` returns are deleted; the others come
 * again after the visibility timeout. When SQS cannot be reached, the error is reported and the request is repeated after a pause that
 * doubles up to 30 s.
 */
export async function consume(
  sqs: SQSClient,
  queueUrl: string,
  handle: (messages: readonly Message[]) => Promise<readonly Message[]>,
  options: { readonly signal: AbortSignal; readonly onError: (error: unknown) => void },
): Promise<void> {
  const { signal, onError } = options
  let pauseMs = 250
  while (!signal.aborted) {
    try {
      const { Messages = [] } = await sqs.send(
        new ReceiveMessageCommand({
          QueueUrl: queueUrl,
          MaxNumberOfMessages: 10,
          WaitTimeSeconds: 20,
          MessageAttributeNames: ['All'],
        }),
        { abortSignal: signal },
      )
      if (Messages.length === 0) continue
      const done = await handle(Messages)
      if (done.length > 0) {
        await sqs.send(
          new DeleteMessageBatchCommand({
            QueueUrl: queueUrl,
            Entries: done.map(({ ReceiptHandle }, index) => ({ Id: String(index), ReceiptHandle })),
          }),
        )
      }
      pauseMs = 250
    } catch (error) {
      if (signal.aborted) return
      onError(error)
      await pause(pauseMs, signal)
      pauseMs = Math.min(pauseMs * 2, 30_000)
    }
  }
}
