/**
 * Windows and recordings in, clean windows out.
 * @module
 */
import { Duration } from 'aws-cdk-lib'
import type * as sqs from 'aws-cdk-lib/aws-sqs'
import { Construct } from 'constructs'
import { type FunctionDefaults, lambdaFunction } from './lambda-function.ts'
import { consume, queueWithDlq } from './queue.ts'
import type { Storage } from './storage.ts'

export interface IntakeProps {
  readonly defaults: FunctionDefaults
  readonly storage: Storage
  readonly screeningQueue: sqs.Queue
}

export class Intake extends Construct {
  readonly queue: sqs.Queue
  readonly dlq: sqs.Queue

  constructor(scope: Construct, id: string, { defaults, storage, screeningQueue }: IntakeProps) {
    super(scope, id)
    const { queue, dlq } = queueWithDlq(this, 'intake')
    this.queue = queue
    this.dlq = dlq

    const preprocess = lambdaFunction(this, defaults, {
      name: 'preprocess',
      bundle: 'preprocess',
      memoryMb: 1024,
      timeout: Duration.seconds(30),
      environment: {
        INTAKE_DLQ_URL: dlq.queueUrl,
        SCREENING_QUEUE_URL: screeningQueue.queueUrl,
        RAW_BUCKET: storage.bucket.bucketName,
        RESULTS_TABLE: storage.table.tableName,
      },
    })
    consume(preprocess, queue)
    dlq.grantSendMessages(preprocess)
    screeningQueue.grantSendMessages(preprocess)
    storage.grantGet(preprocess, 'raw/')
    storage.grantPut(preprocess, 'raw/')
    storage.grantPut(preprocess, 'clean/')
    storage.table.grant(preprocess, 'dynamodb:GetItem')
  }
}
