/**
 * Screening: clean windows arrive, results are stored and published.
 * @module
 */
import type * as lambda from 'aws-cdk-lib/aws-lambda'
import type * as sqs from 'aws-cdk-lib/aws-sqs'
import { Construct } from 'constructs'
import { codeVersion } from '../../shared/version.ts'
import { MODEL_DIR, type Model, modelLayer } from '../build/model-layer.ts'
import { type FunctionDefaults, lambdaFunction } from './lambda-function.ts'
import type { Network } from './network.ts'
import { consume, grantSend, LIVE_TIMEOUT, type QueueOptions, queueWithDlq } from './queue.ts'
import type { Results } from './results.ts'
import type { Storage } from './storage.ts'

export interface ScreeningProps {
  readonly defaults: FunctionDefaults
  readonly queues: QueueOptions
  readonly network: Network
  /** Concurrent batches of up to ten windows. */
  readonly concurrency: number
  readonly storage: Storage
  readonly results: Results
  readonly model: Model & { readonly folder: string }
}

export class Screening extends Construct {
  readonly queue: sqs.Queue
  readonly dlq: sqs.Queue
  /** Layer of the bundle, for every function that runs it. */
  readonly model: lambda.LayerVersion

  constructor(scope: Construct, id: string, props: ScreeningProps) {
    super(scope, id)
    const { defaults, network, concurrency, storage, results, model } = props
    const { queue, dlq } = queueWithDlq(this, 'screening', props.queues)
    this.queue = queue
    this.dlq = dlq
    this.model = modelLayer(this, model, model.folder)

    const screen = lambdaFunction(this, defaults, {
      name: 'screen',
      bundle: 'screen',
      // One whole vCPU, because the model runs on one thread.
      memoryMb: 1769,
      timeout: LIVE_TIMEOUT,
      layers: [this.model],
      concurrency,
      network,
      environment: {
        SCREENING_DLQ_URL: dlq.queueUrl,
        // Part of every result's provenance.
        CODE_VERSION: codeVersion(['functions/screen', 'shared']),
        RAW_BUCKET: storage.bucket.bucketName,
        RESULTS_TABLE: storage.table.tableName,
        RESULTS_TOPIC_ARN: results.topic.topicArn,
        ...storage.retention,
        MODEL_DIR,
      },
    })
    consume(screen, queue, concurrency)
    grantSend(dlq, screen)
    storage.grantGet(screen, 'clean/')
    // A repeated message about a deleted ECG must be cleaned up again.
    storage.grantRemove(screen)
    storage.grantRows(screen, 'DeleteItem', 'GetItem', 'PutItem', 'Query', 'UpdateItem')
    results.grantPublish(screen)
  }
}
