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

/** Short facts about a message that travel beside it: a reason, a trace. Never a patient's. */
export type Attributes = Readonly<Record<string, string>>

/** Longest time that SQS holds a message back. */
export const MAX_DELAY_S = 900

/** Sends one message, to be seen after `delayS`; resolves when SQS has it. */
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

/** SQS's own limit. */
const MAX_BATCH = 10

/**
 * Sends any number of messages; resolves when SQS has all of them.
 * @throws CodedError `unavailable` when it did not take some
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

/** As SQS and SNS take them, with the trace that this is a step of. */
export function messageAttributes(attributes: Attributes) {
  return Object.fromEntries(
    Object.entries({ ...traceHeaders(), ...attributes }).map(([name, value]) => [
      name,
      { DataType: 'String', StringValue: value },
    ]),
  )
}

/**
 * Hands the queue's messages to `handle`, a batch at a time, until `signal` aborts; what `handle` returns is deleted, the rest
 * comes again after the visibility timeout. Trouble in reaching SQS is reported and retried after a pause that doubles up to 30 s.
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
