/**
 * Every queue has a dead-letter queue.
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
 * Timeout of `preprocess` and `screen`, which handle live windows. A batch of ten windows takes them 0.1 s, and 1 s with a cold start
 * (docs/benchmarks.md); ten recordings of an hour, all of whose windows are refused, take 5 s.
 */
export const LIVE_TIMEOUT = Duration.seconds(10)

/**
 * Six times the function's timeout, as AWS advises (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html), and no more:
 * a window waits this long when its function was killed. It is also the delay of a failed message before its next attempt.
 */
export const visibilityFor = (timeout: Duration): Duration => Duration.seconds(6 * timeout.toSeconds())

/**
 * With a live queue's visibility timeout this is a quarter of an hour: how long S3 or DynamoDB may be unavailable before a message goes to
 * the DLQ.
 */
const MAX_RECEIVES = 15

export interface QueueOptions {
  readonly key: kms.IKey
  readonly visibilityTimeout?: Duration
  /** How often SQS delivers a message before it moves it to the DLQ itself. */
  readonly maxReceiveCount?: number
}

/** Makes `id` and `{id}-dlq`. By default, a message that fails fifteen times moves to the DLQ and stays there for 14 days. */
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

/** Replaces the queue's own method, which also allows reading its attributes, and using its key through any service. */
export function grantSend(queue: sqs.IQueue, grantee: iam.IGrantable): void {
  queue.grant(grantee, 'sqs:SendMessage')
  grantKey(queue.encryptionMasterKey!, grantee, 'sqs')
}

export function grantReceive(queue: sqs.IQueue, grantee: iam.IGrantable): void {
  queue.grant(grantee, 'sqs:ReceiveMessage', 'sqs:DeleteMessage')
  grantKey(queue.encryptionMasterKey!, grantee, 'sqs')
}

/**
 * Connects a queue to a function, with failures reported per message.
 * @param maxConcurrency most concurrent batches; not above the function's reserved concurrency
 * @param gather longest wait for a full batch, where the cost per request matters more than latency; whole seconds
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
