/**
 * `cardiacnets redrive`: puts what failed back on its queue.
 * @module
 */
import { readFile } from 'node:fs/promises'
import {
  ChangeMessageVisibilityCommand,
  DeleteMessageCommand,
  type Message,
  ReceiveMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs'
import { Command, InvalidArgumentError } from 'commander'
import { sendMessage } from '../../shared/aws/queues.ts'
import { CodedError } from '../../shared/errors.ts'

/** The queues that have a dead-letter queue, and what the stack's outputs call them. */
const QUEUES = {
  intake: 'Intake',
  screening: 'Screening',
  'results-mqtt': 'ResultsMqtt',
  'results-fhir': 'ResultsFhir',
} as const

/** Messages are held this long, so that none is met twice on the way round; what is left is let go at the end. */
const HOLD_S = 900

interface RedriveOptions {
  readonly outputs: string
  readonly reason?: string
  readonly dryRun?: boolean
}

export function redriveCommand(): Command {
  const names = Object.keys(QUEUES).join(', ')
  return new Command('redrive')
    .description('put the messages of a dead-letter queue back on their queue')
    .argument('<queue>', names, (name) => {
      if (name in QUEUES) return name
      throw new InvalidArgumentError(`one of ${names}`)
    })
    .option('--outputs <file>', "the stack's outputs (`cdk deploy --outputs-file`)", '.local/outputs.json')
    .option('--reason <code>', 'only messages that were given up for this reason')
    .option('--dry-run', 'say how many there are and why, and move none')
    .action(async (queue: keyof typeof QUEUES, options: RedriveOptions) => {
      const { target, source } = await queueUrls(queue, options.outputs)
      const sqs = new SQSClient(
        target.startsWith('http://127.0.0.1') ? { ...LOCAL, endpoint: new URL(target).origin } : {},
      )
      const { moved, counts } = await redrive(sqs, source, target, options)
      for (const [reason, count] of counts) process.stdout.write(`${String(count).padStart(6)}  ${reason}\n`)
      process.stdout.write(`${moved} put back on ${queue}\n`)
    })
}

/** What the local stack takes for credentials; AWS itself never sees them. */
const LOCAL = { region: 'eu-central-1', credentials: { accessKeyId: 'local', secretAccessKey: 'local' } }

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
      await sendMessage(sqs, target, message.Body!)
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

async function queueUrls(queue: keyof typeof QUEUES, file: string): Promise<{ target: string; source: string }> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new CodedError('file-not-found', { field: file }, { cause })
  })
  // CDK writes one object a stack; there is one.
  const [outputs] = Object.values(JSON.parse(text) as Record<string, Record<string, string>>)
  const target = outputs?.[`${QUEUES[queue]}QueueUrl`]
  const source = outputs?.[`${QUEUES[queue]}DlqUrl`]
  if (target === undefined || source === undefined) {
    throw new CodedError('field-invalid', { field: `${QUEUES[queue]}DlqUrl` })
  }
  return { target, source }
}
