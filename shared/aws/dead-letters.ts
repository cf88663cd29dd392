/**
 * Dead-letter queues: what lies in them and why, and the way back. A message's body is read to know whose it is, and goes nowhere but to its queue.
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

/** The queues that have one. */
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

/** Messages are held this long, so that none is met twice on the way round; what is left is let go at the end. */
const HOLD_S = { moving: 900, looking: 60 } as const

export interface RedriveOptions {
  /** Only those that were given up for this reason. */
  readonly reason?: string | undefined
  /** Counts, and moves none. */
  readonly dryRun?: boolean | undefined
  /** Only messages of this tenant: others are neither moved nor counted. All of them without. */
  readonly tenant?: string | undefined
  /** Looks at no more than so many. All of them without. */
  readonly most?: number | undefined
}

export interface Redriven {
  readonly moved: number
  /** How many were seen of each reason. */
  readonly counts: ReadonlyMap<string, number>
  /** There were more than `most`. */
  readonly isPartial: boolean
}

/**
 * Moves the messages of `source` to `target`, once round the queue. What a device sent and the adapter refused stays.
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
        // What SQS's own redrive policy moved carries no reason.
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

/** `ecg/v1/{tenant}/…`, of what came by AWS IoT Core and of what the adapter refused. */
const TOPIC = /^ecg\/v1\/([^/]+)\//

/**
 * Whose a message is. A payload that the MQTT adapter refused (`DeadLetter` of streams/mqtt) is kept as evidence of what a device sent. It is no
 * message of the queue, which would only refuse it again; the device has been told.
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
