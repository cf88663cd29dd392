/**
 * `cardiacnets redrive`: puts what failed back on its queue.
 * @module
 */
import {
  ChangeMessageVisibilityCommand,
  DeleteMessageCommand,
  type Message,
  ReceiveMessageCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs'
import { Command, InvalidArgumentError } from 'commander'
import { sendMessage } from '../../shared/aws/queues.ts'
import { outputOf, readOutputs, sqsFor } from '../../shared/aws/stack-outputs.ts'
import { TRACEPARENT } from '../../shared/observe/tracing.ts'

/** The queues with a dead-letter queue, and their names in the stack outputs. */
export const REDRIVABLE = {
  intake: 'Intake',
  screening: 'Screening',
  'results-mqtt': 'ResultsMqtt',
  'results-fhir': 'ResultsFhir',
  'fhir-inbound': 'FhirInbound',
  synthesis: 'Synthesis',
  upkeep: 'Upkeep',
} as const

/** Messages are held this long, so that none is met twice on the way round; what is left is let go at the end. */
const HOLD_S = 900

interface RedriveOptions {
  readonly outputs: string
  readonly reason?: string
  readonly dryRun?: boolean
}

export function redriveCommand(): Command {
  const names = Object.keys(REDRIVABLE).join(', ')
  return new Command('redrive')
    .description('put the messages of a dead-letter queue back on their queue')
    .argument('<queue>', names, (name) => {
      if (name in REDRIVABLE) return name
      throw new InvalidArgumentError(`one of ${names}`)
    })
    .option('--outputs <file>', "the stack's outputs (`cdk deploy --outputs-file`)", '.local/outputs.json')
    .option('--reason <code>', 'only messages that were given up for this reason')
    .option('--dry-run', 'say how many there are and why, and move none')
    .action(async (queue: keyof typeof REDRIVABLE, options: RedriveOptions) => {
      const { target, source } = await queueUrls(queue, options.outputs)
      const sqs = sqsFor(target)
      const { moved, counts } = await redrive(sqs, source, target, options)
      for (const [reason, count] of counts) process.stdout.write(`${String(count).padStart(6)}  ${reason}\n`)
      process.stdout.write(`${moved} put back on ${queue}\n`)
    })
}

/**
 * Moves the messages of `source` to `target`, once round the queue. What a device sent and the adapter refused stays.
 * @returns how many were moved, and how many were seen of each reason
 */
export async function redrive(
  sqs: SQSClient,
  source: string,
  target: string,
  { reason, dryRun = false }: Pick<RedriveOptions, 'reason' | 'dryRun'>,
): Promise<{ moved: number; counts: ReadonlyMap<string, number> }> {
  const seen = new Set<string>()
  const left: Message[] = []
  const counts = new Map<string, number>()
  let moved = 0
  for (;;) {
    const fresh = (await receive(sqs, source)).filter(({ MessageId }) => !seen.has(MessageId!))
    if (fresh.length === 0) break
    for (const message of fresh) {
      seen.add(message.MessageId!)
      // What SQS's own redrive policy moved carries no reason.
      const why = message.MessageAttributes?.reason?.StringValue ?? 'too-many-attempts'
      counts.set(why, (counts.get(why) ?? 0) + 1)
      if (dryRun || (reason !== undefined && reason !== why) || isDevicePayload(message.Body!)) {
        left.push(message)
        continue
      }
      const traceparent = message.MessageAttributes?.[TRACEPARENT]?.StringValue
      await sendMessage(sqs, target, message.Body!, traceparent === undefined ? {} : { [TRACEPARENT]: traceparent })
      await sqs.send(new DeleteMessageCommand({ QueueUrl: source, ReceiptHandle: message.ReceiptHandle! }))
      moved++
    }
  }
  for (const { ReceiptHandle } of left) {
    await sqs.send(new ChangeMessageVisibilityCommand({ QueueUrl: source, ReceiptHandle, VisibilityTimeout: 0 }))
  }
  return { moved, counts }
}

/**
 * A payload that the MQTT adapter refused (`DeadLetter` of streams/mqtt): kept as evidence of what a device sent. It is no message
 * of the queue, which would only refuse it again; the device has been told.
 */
function isDevicePayload(body: string): boolean {
  try {
    const message: unknown = JSON.parse(body)
    return typeof message === 'object' && message !== null && 'kind' in message && message.kind === 'mqtt'
  } catch {
    return false
  }
}

async function receive(sqs: SQSClient, queueUrl: string): Promise<readonly Message[]> {
  const { Messages = [] } = await sqs.send(
    new ReceiveMessageCommand({
      QueueUrl: queueUrl,
      MaxNumberOfMessages: 10,
      VisibilityTimeout: HOLD_S,
      WaitTimeSeconds: 1,
      MessageAttributeNames: ['All'],
    }),
  )
  return Messages
}

async function queueUrls(queue: keyof typeof REDRIVABLE, file: string): Promise<{ target: string; source: string }> {
  const outputs = await readOutputs(file)
  return {
    target: outputOf(outputs, `${REDRIVABLE[queue]}QueueUrl`),
    source: outputOf(outputs, `${REDRIVABLE[queue]}DlqUrl`),
  }
}
