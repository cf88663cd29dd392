/**
 * A queue never stands without its dead-letter queue.
 * @module
 */
import { Duration } from 'aws-cdk-lib'
import type * as iam from 'aws-cdk-lib/aws-iam'
import type * as kms from 'aws-cdk-lib/aws-kms'
import type * as lambda from 'aws-cdk-lib/aws-lambda'
import { SqsEventSource } from 'aws-cdk-lib/aws-lambda-event-sources'
import * as sqs from 'aws-cdk-lib/aws-sqs'
import type { Construct } from 'constructs'
import { DATA_KEY_REUSE, grantKey } from './keys.ts'
import { acknowledge } from './nag.ts'

export interface QueueWithDlq {
  readonly queue: sqs.Queue
  readonly dlq: sqs.Queue
}

/**
 * Of the functions that live windows pass: `preprocess` and `screen`. A batch of ten windows takes them 0.1 s, the first one with its cold start 1 s
 * (docs/benchmarks.md); ten recordings of an hour, all of whose windows are refused, take 5 s.
 */
export const LIVE_TIMEOUT = Duration.seconds(10)

/**
 * Six times the function's timeout, as AWS advises (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html), and no more: for so long a
 * window waits whose function was killed. Also how long a failed message waits for its next try.
 */
export const visibilityFor = (timeout: Duration): Duration => Duration.seconds(6 * timeout.toSeconds())

/** With the visibility of a live queue a quarter of an hour: so long may S3 or DynamoDB be away before a message is in the DLQ. */
const MAX_RECEIVES = 15

export interface QueueOptions {
  readonly key: kms.IKey
  readonly visibilityTimeout?: Duration
  /** How often SQS hands a message out before it moves it to the DLQ itself. */
  readonly maxReceiveCount?: number
}

/** `id` and `{id}-dlq`. What fails fifteen times moves to the DLQ, and stays there for 14 days. */
export function queueWithDlq(
  scope: Construct,
  id: string,
  { key, visibilityTimeout = visibilityFor(LIVE_TIMEOUT), maxReceiveCount = MAX_RECEIVES }: QueueOptions,
): QueueWithDlq {
  const common = {
    encryption: sqs.QueueEncryption.KMS,
    encryptionMasterKey: key,
    dataKeyReuse: DATA_KEY_REUSE,
    enforceSSL: true,
  }
  const dlq = new sqs.Queue(scope, `${id}-dlq`, { ...common, retentionPeriod: Duration.days(14) })
  acknowledge(dlq, { 'Serverless-SQSRedrivePolicy': 'It is itself where messages end' })
  const queue = new sqs.Queue(scope, id, {
    ...common,
    visibilityTimeout,
    retentionPeriod: Duration.days(4),
    receiveMessageWaitTime: Duration.seconds(20),
    deadLetterQueue: { queue: dlq, maxReceiveCount },
  })
  return { queue, dlq }
}

/** Not the queue's own: that one may also ask for its attributes, and use its key by every way. */
export function grantSend(queue: sqs.IQueue, grantee: iam.IGrantable): void {
  queue.grant(grantee, 'sqs:SendMessage')
  grantKey(queue.encryptionMasterKey!, grantee, 'sqs')
}

export function grantReceive(queue: sqs.IQueue, grantee: iam.IGrantable): void {
  queue.grant(grantee, 'sqs:ReceiveMessage', 'sqs:DeleteMessage')
  grantKey(queue.encryptionMasterKey!, grantee, 'sqs')
}

/**
 * Feeds a function, failures reported message by message.
 * @param maxConcurrency at most as many at a time as are reserved for it
 * @param gather how long a batch may wait to be full, where latency matters less than what each request costs; whole seconds
 */
export function consume(fn: lambda.Alias, queue: sqs.Queue, maxConcurrency: number, gather?: Duration): void {
  fn.addEventSource(
    new SqsEventSource(queue, {
      batchSize: 10,
      reportBatchItemFailures: true,
      maxConcurrency,
      ...(gather && { maxBatchingWindow: gather }),
    }),
  )
  acknowledge(fn, { 'Serverless-LambdaEventSourceMappingDestination': 'SQS knows none; the queue has a DLQ' })
}
