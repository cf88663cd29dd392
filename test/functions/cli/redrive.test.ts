import { CreateQueueCommand, ReceiveMessageCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Emulators, startEmulators } from '../../../cdk/local/aws/emulators.ts'
import { redrive } from '../../../shared/aws/dead-letters.ts'
import { messageAttributes } from '../../../shared/aws/queues.ts'

let emulators: Emulators
let sqs: SQSClient
let source: string
let target: string
let count = 0

beforeAll(async () => {
  emulators = await startEmulators()
  sqs = new SQSClient({
    endpoint: emulators.endpoint,
    region: 'eu-central-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  })
})

afterAll(() => emulators.stop())

beforeEach(async () => {
  const queue = async (name: string) =>
    (await sqs.send(new CreateQueueCommand({ QueueName: `${name}-${count}` }))).QueueUrl!
  count++
  source = await queue('dlq')
  target = await queue('queue')
  for (const [body, reason] of [
    ['a', 'payload-malformed'],
    ['b', 'schema-unsupported'],
    ['c', undefined],
  ] as const) {
    const MessageAttributes = reason === undefined ? undefined : messageAttributes({ reason })
    await sqs.send(new SendMessageCommand({ QueueUrl: source, MessageBody: body, MessageAttributes }))
  }
})

async function bodies(queueUrl: string): Promise<string[]> {
  const { Messages = [] } = await sqs.send(
    new ReceiveMessageCommand({ QueueUrl: queueUrl, MaxNumberOfMessages: 10, VisibilityTimeout: 0 }),
  )
  return Messages.map(({ Body }) => Body!).toSorted()
}

describe('redrive', () => {
  it('moves every message and counts the reasons', async () => {
    const { moved, counts } = await redrive(sqs, source, target, {})

    expect(moved).toBe(3)
    expect(Object.fromEntries(counts)).toEqual({
      'payload-malformed': 1,
      'schema-unsupported': 1,
      'too-many-attempts': 1,
    })
    expect(await bodies(target)).toEqual(['a', 'b', 'c'])
    expect(await bodies(source)).toEqual([])
  })

  it('keeps the trace of a message and removes the reason', async () => {
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    const MessageAttributes = messageAttributes({ reason: 'internal', traceparent })
    await sqs.send(new SendMessageCommand({ QueueUrl: source, MessageBody: 'd', MessageAttributes }))

    await redrive(sqs, source, target, { reason: 'internal' })

    const command = new ReceiveMessageCommand({ QueueUrl: target, MessageAttributeNames: ['All'] })
    const [message] = (await sqs.send(command)).Messages!
    expect(message!.MessageAttributes).toEqual({ traceparent: expect.objectContaining({ StringValue: traceparent }) })
  })

  it('moves only messages with the given reason', async () => {
    const { moved } = await redrive(sqs, source, target, { reason: 'schema-unsupported' })

    expect(moved).toBe(1)
    expect(await bodies(target)).toEqual(['b'])
  })

  it('leaves rejected device payloads, which are not messages of the queue', async () => {
    const payload = JSON.stringify({ schema: 1, kind: 'mqtt', topic: 'ecg/v1/t/d/frames', payload: null })
    await sqs.send(new SendMessageCommand({ QueueUrl: source, MessageBody: payload }))

    const { moved } = await redrive(sqs, source, target, {})

    expect(moved).toBe(3)
    expect(await bodies(target)).toEqual(['a', 'b', 'c'])
  })

  it('moves nothing in a dry run', async () => {
    const { moved, counts } = await redrive(sqs, source, target, { dryRun: true })

    expect(moved).toBe(0)
    expect(counts.size).toBe(3)
    expect(await bodies(target)).toEqual([])
    expect(await bodies(source)).toEqual(['a', 'b', 'c'])
  })
})
