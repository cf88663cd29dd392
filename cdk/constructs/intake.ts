/**
 * Intake: windows and recordings arrive, clean windows leave.
 * @module
 */
import type * as sqs from 'aws-cdk-lib/aws-sqs'
import { Construct } from 'constructs'
import { type FunctionDefaults, lambdaFunction } from './lambda-function.ts'
import type { Network } from './network.ts'
import { consume, grantSend, LIVE_TIMEOUT, type QueueOptions, queueWithDlq } from './queue.ts'
import type { Storage } from './storage.ts'

export interface IntakeProps {
  readonly defaults: FunctionDefaults
  readonly queues: QueueOptions
  readonly network: Network
  /** Concurrent batches of up to ten windows. */
  readonly concurrency: number
  readonly storage: Storage
  readonly screeningQueue: sqs.Queue
}

export class Intake extends Construct {
  readonly queue: sqs.Queue
  readonly dlq: sqs.Queue

  constructor(scope: Construct, id: string, props: IntakeProps) {
    super(scope, id)
    const { defaults, network, concurrency, storage, screeningQueue } = props
    const { queue, dlq } = queueWithDlq(this, 'intake', props.queues)
    this.queue = queue
    this.dlq = dlq

    const preprocess = lambdaFunction(this, defaults, {
      name: 'preprocess',
      bundle: 'preprocess',
      memoryMb: 1024,
      timeout: LIVE_TIMEOUT,
      concurrency,
      network,
      environment: {
        INTAKE_DLQ_URL: dlq.queueUrl,
        SCREENING_QUEUE_URL: screeningQueue.queueUrl,
        RAW_BUCKET: storage.bucket.bucketName,
        RESULTS_TABLE: storage.table.tableName,
      },
    })
    consume(preprocess, queue, concurrency)
    grantSend(dlq, preprocess)
    grantSend(screeningQueue, preprocess)
    storage.grantGet(preprocess, 'raw/')
    storage.grantPut(preprocess, 'raw/')
    storage.grantPut(preprocess, 'clean/')
    storage.grantRows(preprocess, 'GetItem')
  }
}
