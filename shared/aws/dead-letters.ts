/**
 * Dead-letter queues: counts their messages by reason, and moves them back. A body is read only to find its tenant, and is sent only to its
 * queue.
 * @module
 */
import {
  ChangeMessageVisibilityCommand,
  DeleteMessageCommand,
  type Message,
  ReceiveMessageCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs'
import { TRACEPARENT } from '../observe/tracing.ts'
import { sendMessage } from './queues.ts'

/** Queues that have a dead-letter queue. */
export const QUEUE_NAMES = [
  'intake',
  'screening',
  'results-mqtt',
  'results-fhir',
  'fhir-inbound',
  'synthesis',
  'upkeep',
] as const
export type QueueName = (typeof QUEUE_NAMES)[number]

/** Visibility timeout during one pass, s, so that no message is received twice. Messages that stay are released at the end. */
const HOLD_S = { moving: 900, looking: 60 } as const

export interface RedriveOptions {
  /** Only messages that were dead-lettered for this reason. */
  readonly reason?: string | undefined
  /** Counts messages and moves none. */
  readonly dryRun?: boolean | undefined
  /** Only messages of this tenant; others are neither moved nor counted. Absent: all tenants. */
  readonly tenant?: string | undefined
  /** Most messages to look at. Absent: no limit. */
  readonly most?: number | undefined
}

export interface Redriven {
  readonly moved: number
  /** Number of messages seen, by reason. */
  readonly counts: ReadonlyMap<string, number>
  /** True when the queue holds more than `most` messages. */
  readonly isPartial: boolean
}

/**
 * Moves the messages of `source` to `target` in one pass over the queue. Payloads that a device sent and the adapter refused stay.
 * @example
 * const { counts } = await redrive(sqs, dlqUrl, queueUrl, { dryRun: true, tenant, most: 100 })
 */
export async function redrive(
  sqs: SQSClient,
  source: string,
  target: string,
  { reason, dryRun = false, tenant, most = Number.POSITIVE_INFINITY }: RedriveOptions,
): Promise<Redriven> {
  const seen = new Set<string>()
  const left: Message[] = []
  const counts = new Map<string, number>()
  let moved = 0
  let isPartial = false
  try {
    for (;;) {
      isPartial = seen.size >= most
      if (isPartial) break
      const fresh = (await receive(sqs, source, dryRun ? HOLD_S.looking : HOLD_S.moving)).filter(
        ({ MessageId = '' }) => !seen.has(MessageId),
      )
      if (fresh.length === 0) break
      for (const message of fresh) {
        const { MessageId = '', Body = '', ReceiptHandle } = message
        seen.add(MessageId)
        left.push(message)
        const { tenant: owner, isDevicePayload } = whose(Body)
        if (tenant !== undefined && owner !== tenant) continue
        // A message that SQS's own redrive policy moved has no reason.
        const why = message.MessageAttributes?.reason?.StringValue ?? 'too-many-attempts'
        counts.set(why, (counts.get(why) ?? 0) + 1)
        if (dryRun || (reason !== undefined && reason !== why) || isDevicePayload) continue
        const traceparent = message.MessageAttributes?.[TRACEPARENT]?.StringValue
        await sendMessage(sqs, target, Body, traceparent === undefined ? {} : { [TRACEPARENT]: traceparent })
        await sqs.send(new DeleteMessageCommand({ QueueUrl: source, ReceiptHandle }))
        left.pop()
        moved++
      }
    }
  } finally {
    await letGo(sqs, source, left)
  }
  return { moved, counts, isPartial }
}

async function letGo(sqs: SQSClient, QueueUrl: string, messages: readonly Message[]): Promise<void> {
  await Promise.all(
    messages.map(({ ReceiptHandle }) =>
      sqs.send(new ChangeMessageVisibilityCommand({ QueueUrl, ReceiptHandle, VisibilityTimeout: 0 })),
    ),
  )
}

/** `ecg/v1/{tenant}/…`: the topic of a message that came through AWS IoT Core, or of a payload that the adapter refused. */
const TOPIC = /^ecg\/v1\/([^/]+)\//

/**
 * The tenant of a message, and whether it is a device's refused payload. The MQTT adapter keeps such payloads (`DeadLetter` of
 * streams/mqtt) as evidence. They are never moved: the queue's function would refuse them again, and the device has been told.
 */
function whose(body: string): { readonly tenant: string | undefined; readonly isDevicePayload: boolean } {
  const { tenant, topic, kind } = fieldsOf(body)
  const ofTopic = typeof topic === 'string' ? TOPIC.exec(topic)?.[1] : undefined
  return { tenant: typeof tenant === 'string' ? tenant : ofTopic, isDevicePayload: kind === 'mqtt' }
}

function fieldsOf(body: string): { readonly tenant?: unknown; readonly topic?: unknown; readonly kind?: unknown } {
  try {
    const message: unknown = JSON.parse(body)
    return typeof message === 'object' && message !== null ? message : {}
  } catch {
    return {}
  }
}

async function receive(sqs: SQSClient, queueUrl: string, holdS: number): Promise<readonly Message[]> {
  const { Messages = [] } = await sqs.send(
    new ReceiveMessageCommand({
      QueueUrl: queueUrl,
      MaxNumberOfMessages: 10,
      VisibilityTimeout: holdS,
      WaitTimeSeconds: 1,
      MessageAttributeNames: ['All'],
    }),
  )
  return Messages
}
