/**
 * Follow-up work of requests: removal of deleted ECGs, release of results that waited for an association, attributions, and results that a
 * device's broker lost.
 * @module
 */
import { Duration } from 'aws-cdk-lib'
import type * as lambda from 'aws-cdk-lib/aws-lambda'
import type * as sqs from 'aws-cdk-lib/aws-sqs'
import { Construct } from 'constructs'
import { MODEL_DIR } from '../build/model-layer.ts'
import { type FunctionDefaults, lambdaFunction } from './lambda-function.ts'
import type { Network } from './network.ts'
import { consume, grantSend, type QueueOptions, queueWithDlq } from './queue.ts'
import type { Storage } from './storage.ts'
import type { Synthesis } from './synthesis.ts'

export interface UpkeepProps {
  readonly defaults: FunctionDefaults
  readonly queues: QueueOptions
  readonly network: Network
  readonly storage: Storage
  /** Layer of the bundle that screens. */
  readonly model: lambda.LayerVersion
  /** Queue of results to report to the EHR. */
  readonly reportQueue: sqs.IQueue
  /** Queue of results for devices. */
  readonly deviceQueue: sqs.IQueue
  /** Absent where nothing can be drawn. */
  readonly synthesis: Synthesis | undefined
}

/** For an ECG with thousands of drawings; interrupted work continues where it stopped. */
const TIMEOUT = Duration.seconds(120)

/** There is rarely any work, and no caller waits for it. */
const MAX_CONCURRENCY = 5

export class Upkeep extends Construct {
  readonly queue: sqs.Queue
  readonly dlq: sqs.Queue

  constructor(scope: Construct, id: string, props: UpkeepProps) {
    super(scope, id)
    const { defaults, queues, network, storage, model, reportQueue, deviceQueue, synthesis } = props
    // In a separate scope, because the function has the same name.
    const { queue, dlq } = queueWithDlq(new Construct(this, 'queues'), 'upkeep', {
      ...queues,
      visibilityTimeout: Duration.seconds(6 * TIMEOUT.toSeconds()),
      // More attempts than a live queue, because interrupted work continues where it stopped, also for a very large ECG.
      maxReceiveCount: 20,
    })
    this.queue = queue
    this.dlq = dlq
    const upkeep = lambdaFunction(this, defaults, {
      name: 'upkeep',
      bundle: 'upkeep',
      // One whole vCPU: the model runs on one thread, about 240 times per request.
      memoryMb: 1769,
      timeout: TIMEOUT,
      layers: [model],
      concurrency: MAX_CONCURRENCY,
      network,
      environment: {
        UPKEEP_QUEUE_URL: queue.queueUrl,
        UPKEEP_DLQ_URL: dlq.queueUrl,
        RESULTS_FHIR_QUEUE_URL: reportQueue.queueUrl,
        RESULTS_MQTT_QUEUE_URL: deviceQueue.queueUrl,
        RESULTS_TABLE: storage.table.tableName,
        RAW_BUCKET: storage.bucket.bucketName,
        ...storage.retention,
        MODEL_DIR,
        ...(synthesis === undefined ? {} : { SYNTHESIS_QUEUE_URL: synthesis.queues.queue.queueUrl }),
      },
    })
    consume(upkeep, queue, MAX_CONCURRENCY)
    grantSend(dlq, upkeep)
    // Upkeep sends the rest of a long list to its own queue.
    grantSend(queue, upkeep)
    grantSend(reportQueue, upkeep)
    grantSend(deviceQueue, upkeep)
    if (synthesis !== undefined) grantSend(synthesis.queues.queue, upkeep)
    storage.grantRows(upkeep, 'DeleteItem', 'GetItem', 'PutItem', 'Query', 'UpdateItem')
    storage.grantGet(upkeep, 'raw/')
    storage.grantRemove(upkeep)
  }
}
