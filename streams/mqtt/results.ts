/**
 * Publishes results from SQS to the topics of their devices.
 * @module
 */
import type { Message, SQSClient } from '@aws-sdk/client-sqs'
import type { MqttClient } from 'mqtt'
import { consume } from '../../shared/aws/queues.ts'
import type { DeviceResults } from '../../shared/domain/result-summary.ts'
import { parseMessage, ResultMessage } from '../../shared/messages.ts'
import { TRACEPARENT } from '../../shared/observe/tracing.ts'
import { resultPublication } from './result-publication.ts'

/** One receives while the other deletes. */
const CONSUMERS = 2

export interface ResultsOptions {
  readonly sqs: SQSClient
  readonly queueUrl: string
  readonly client: MqttClient
  readonly version: 4 | 5
  /** `whole` when absent. */
  readonly form?: DeviceResults | undefined
  readonly signal: AbortSignal
  readonly onError: (error: unknown) => void
}

/**
 * Publishes results until `signal` aborts. A result is deleted only when the broker has it; an unreadable one is left to the redrive
 * policy.
 */
export async function publishResults({ sqs, queueUrl, signal, onError, ...to }: ResultsOptions): Promise<void> {
  const publish = async (message: Message): Promise<Message | undefined> => {
    try {
      await publishResult(to, message, signal)
      return message
    } catch (error) {
      if (!signal.aborted) onError(error)
      return undefined
    }
  }
  const handle = async (messages: readonly Message[]) =>
    (await Promise.all(messages.map(publish))).filter((message) => message !== undefined)
  const consumers = Array.from({ length: CONSUMERS }, () => consume(sqs, queueUrl, handle, { signal, onError }))
  await Promise.all(consumers)
}

async function publishResult(
  { client, version, form }: Pick<ResultsOptions, 'client' | 'version' | 'form'>,
  message: Message,
  signal: AbortSignal,
): Promise<void> {
  const parsed = parseMessage(ResultMessage, message.Body ?? '')
  const traceparent = message.MessageAttributes?.[TRACEPARENT]?.StringValue
  const { topic, payload, contentType, expiryS, userProperties } = resultPublication(parsed, traceparent, form)
  const properties = { contentType, messageExpiryInterval: expiryS, userProperties: { ...userProperties } }
  const published = client.publishAsync(topic, payload, { qos: 1, ...(version === 5 ? { properties } : {}) })
  // Without a broker, mqtt.js waits for ever; a shutdown must not.
  await unlessAborted(signal, published)
}

/** Resolves like `work`; rejects when `signal` aborts first. Leaves no listener on the signal, which outlives millions of results. */
async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const abort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  if (signal.aborted) abort()
  try {
    return await Promise.race([work, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
