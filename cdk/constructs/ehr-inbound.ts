/**
 * ECGs from the EHR: notifications, and a poll every five minutes, are read into the intake.
 * @module
 */
import { Duration } from 'aws-cdk-lib'
import * as events from 'aws-cdk-lib/aws-events'
import { SqsQueue } from 'aws-cdk-lib/aws-events-targets'
import type * as sqs from 'aws-cdk-lib/aws-sqs'
import { Construct } from 'constructs'
import type { SiteConfig } from '../../shared/config/site.ts'
import type { FhirInboundMessage } from '../../shared/messages.ts'
import { siteVariable } from '../site.ts'
import { type FunctionDefaults, lambdaFunction } from './lambda-function.ts'
import { acknowledge } from './nag.ts'
import { consume, grantSend, type QueueOptions, queueWithDlq, visibilityFor } from './queue.ts'
import { grantSecret } from './secrets.ts'
import type { Storage } from './storage.ts'

export interface EhrInboundProps {
  readonly defaults: FunctionDefaults
  readonly queues: QueueOptions
  readonly storage: Storage
  readonly intakeQueue: sqs.Queue
  readonly site: SiteConfig
}

/** Most concurrent batches of ten, to limit the load on the EHR. */
const MAX_CONCURRENCY = 5

const TIMEOUT = Duration.seconds(60)

export class EhrInbound extends Construct {
  readonly queue: sqs.Queue
  readonly dlq: sqs.Queue

  constructor(scope: Construct, id: string, { defaults, queues, storage, intakeQueue, site }: EhrInboundProps) {
    super(scope, id)
    // The function itself delays retries and then sends the message to the DLQ with its reason; SQS must not do so earlier.
    const { queue, dlq } = queueWithDlq(this, 'fhir-inbound', {
      ...queues,
      visibilityTimeout: visibilityFor(TIMEOUT),
      maxReceiveCount: 20,
    })
    this.queue = queue
    this.dlq = dlq

    const intake = lambdaFunction(this, defaults, {
      name: 'fhir-intake',
      bundle: 'fhir-intake',
      // An ECG with its attachments, as text and parsed.
      memoryMb: 1024,
      timeout: TIMEOUT,
      concurrency: MAX_CONCURRENCY,
      network: { outside: 'the EHR' },
      environment: {
        FHIR_INBOUND_QUEUE_URL: queue.queueUrl,
        FHIR_INBOUND_DLQ_URL: dlq.queueUrl,
        INTAKE_QUEUE_URL: intakeQueue.queueUrl,
        RAW_BUCKET: storage.bucket.bucketName,
        RESULTS_TABLE: storage.table.tableName,
        SITE_CONFIG: siteVariable(site),
      },
    })
    consume(intake, queue, MAX_CONCURRENCY)
    // The poll sends what it finds to this function's own queue.
    grantSend(queue, intake)
    grantSend(dlq, intake)
    grantSend(intakeQueue, intake)
    storage.grantPut(intake, 'raw/')
    storage.grantRows(intake, 'GetItem', 'PutItem')
    const { ehr } = site
    if (ehr?.auth.kind === 'smart-backend') grantSecret(intake, ehr.auth.key)

    const message: FhirInboundMessage = { schema: 1, tenant: ehr?.tenant ?? 'local', kind: 'poll' }
    const poll = new events.Rule(this, 'fhir-poll', {
      schedule: events.Schedule.rate(Duration.minutes(5)),
      targets: [new SqsQueue(queue, { message: events.RuleTargetInput.fromObject(message) })],
    })
    acknowledge(poll, { 'Serverless-EventBusDLQ': 'The next look, five minutes later, finds what this one would have' })
  }
}
