/**
 * Results from SQS to the topics of the devices that they belong to.
 * @module
 */
import type { Message, SQSClient } from '@aws-sdk/client-sqs'
import type { MqttClient } from 'mqtt'
import { consume } from '../../shared/aws/queues.ts'
import { CodedError } from '../../shared/errors.ts'
import { parseMessage, ResultMessage } from '../../shared/messages.ts'
import { TRACEPARENT } from '../../shared/tracing.ts'
import { CONTENT_TYPES } from './frame-codec.ts'
import { buildTopic } from './topics.ts'

/** How long a broker holds a result for a device that is away, where MQTT 5 lets us say so. */
const EXPIRY_S = 24 * 3600

/** One receives while the other deletes. */
const CONSUMERS = 2

export interface ResultsOptions {
  readonly sqs: SQSClient
  readonly queueUrl: string
  readonly client: MqttClient
  readonly version: 4 | 5
  readonly signal: AbortSignal
  readonly onError: (error: unknown) => void
}

/** Publishes results until `signal` aborts. A result is deleted only when the broker has it; one that cannot be read is left to the redrive policy. */
export async function publishResults({ sqs, queueUrl, signal, onError, ...to }: ResultsOptions): Promise<void> {
  const publish = async (message: Message): Promise<Message | undefined> => {
    try {
      await publishResult(to.client, to.version, message, signal)
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

async function publishResult(client: MqttClient, version: 4 | 5, message: Message, signal: AbortSignal): Promise<void> {
  const { tenant, origin, result } = parseMessage(ResultMessage, message.Body ?? '')
  const traceparent = message.MessageAttributes?.[TRACEPARENT]?.StringValue
  if (origin.kind !== 'mqtt') throw new CodedError('field-invalid', { field: 'origin.kind' })
  const topic = buildTopic({ tenant, device: origin.device, channel: 'results' })
  const properties = {
    contentType: CONTENT_TYPES.json,
    messageExpiryInterval: EXPIRY_S,
    userProperties: { 'ecg-id': ecgIdOf(result), ...(traceparent === undefined ? {} : { [TRACEPARENT]: traceparent }) },
  }
  const published = client.publishAsync(topic, result, { qos: 1, ...(version === 5 ? { properties } : {}) })
  // Away from the broker, mqtt.js waits for ever; a shutdown must not.
  await unlessAborted(signal, published)
}

function ecgIdOf(result: string): string {
  try {
    return String(JSON.parse(result).ecgId)
  } catch {
    // The parser's text quotes the result.
    throw new CodedError('payload-malformed', { field: 'result' })
  }
}

/** What `work` resolves with; rejects when `signal` aborts first. Leaves nothing on the signal, which outlives millions of results. */
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
