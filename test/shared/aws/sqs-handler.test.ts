import { randomUUID } from 'node:crypto'
import { CreateQueueCommand, type Message, ReceiveMessageCommand, SendMessageCommand } from '@aws-sdk/client-sqs'
import type { Context, SQSRecord } from 'aws-lambda'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { sqsHandler } from '../../../shared/aws/sqs-handler.ts'
import { CodedError, type ErrorCode } from '../../../shared/errors.ts'
import { createMetrics } from '../../../shared/observe/metrics.ts'
import { startTestAws, type TestAws } from '../../helpers/aws.ts'
import { silentLogger } from '../../helpers/logs.ts'

let aws: TestAws
let queueUrl: string
let deadLetterQueueUrl: string

beforeAll(async () => {
  process.env.POWERTOOLS_METRICS_DISABLED = 'true'
  aws = await startTestAws()
})
afterAll(() => aws.stop())

beforeEach(async () => {
  const create = async (QueueName: string) => (await aws.sqs.send(new CreateQueueCommand({ QueueName }))).QueueUrl!
  queueUrl = await create(randomUUID())
  deadLetterQueueUrl = await create(randomUUID())
})

const context = { getRemainingTimeInMillis: () => 30_000 } as Context // all that is read of one

/** A handler that fails, with tries at 1 and 2 seconds and none after the third. */
function failing(code: ErrorCode) {
  const handler = sqsHandler(
    z.object({ schema: z.literal(1) }),
    {
      sqs: aws.sqs,
      deadLetterQueueUrl,
      logger: silentLogger(),
      audit: { action: 'result.report', of: () => ({ tenant: 'clinic' }) },
      metrics: createMetrics('report'),
      retry: { queueUrl, attempts: 3, firstDelayS: 1, longestDelayS: 2 },
    },
    async () => {
      throw new CodedError(code, { field: 'ehr' })
    },
  )
  return (message: Message, receiveCount: number) => handler({ Records: [record(message, receiveCount)] }, context)
}

function record({ MessageId, ReceiptHandle, Body }: Message, receiveCount: number): SQSRecord {
  return {
    messageId: MessageId!,
    receiptHandle: ReceiptHandle!,
    body: Body!,
    attributes: {
      ApproximateReceiveCount: String(receiveCount),
      SentTimestamp: '',
      SenderId: '',
      ApproximateFirstReceiveTimestamp: '',
    },
    messageAttributes: {},
    md5OfBody: '',
    eventSource: 'aws:sqs',
    eventSourceARN: 'arn:aws:sqs:eu-central-1:0:q',
    awsRegion: 'eu-central-1',
  }
}

/** As Lambda receives it: hidden for an hour unless the visibility is changed. */
async function receive(url = queueUrl, WaitTimeSeconds = 10): Promise<Message | undefined> {
  const command = new ReceiveMessageCommand({
    QueueUrl: url,
    VisibilityTimeout: 3600,
    WaitTimeSeconds,
    MessageAttributeNames: ['All'],
  })
  return (await aws.sqs.send(command)).Messages?.[0]
}
const send = () => aws.sqs.send(new SendMessageCommand({ QueueUrl: queueUrl, MessageBody: '{"schema":1}' }))

describe('sqsHandler on a temporary failure', () => {
  it('makes the message visible again after a short delay', async () => {
    await send()
    const message = (await receive())!

    const response = await failing('ehr-unavailable')(message, 1)
    const again = await receive()

    expect(response.batchItemFailures).toEqual([{ itemIdentifier: message.MessageId }])
    expect(again?.MessageId).toBe(message.MessageId)
    expect(await receive(deadLetterQueueUrl, 0)).toBeUndefined()
  })

  it('moves the message to the DLQ with its reason after the last attempt', async () => {
    await send()

    const response = await failing('ehr-unavailable')((await receive())!, 3)

    expect(response.batchItemFailures).toEqual([])
    const letter = await receive(deadLetterQueueUrl)
    expect(letter).toMatchObject({
      Body: '{"schema":1}',
      MessageAttributes: { reason: { StringValue: 'ehr-unavailable' }, field: { StringValue: 'ehr' } },
    })
  })
})

describe('sqsHandler on a permanent failure', () => {
  it('moves the message to the DLQ at once', async () => {
    await send()

    const response = await failing('ehr-refused')((await receive())!, 1)

    expect(response.batchItemFailures).toEqual([])
    const letter = await receive(deadLetterQueueUrl)
    expect(letter?.MessageAttributes?.reason?.StringValue).toBe('ehr-refused')
  })
})
