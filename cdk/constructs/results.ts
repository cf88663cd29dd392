/**
 * The results topic and its queues: one for each way in which results are returned.
 * @module
 */
import { Duration } from 'aws-cdk-lib'
import * as iam from 'aws-cdk-lib/aws-iam'
import type * as kms from 'aws-cdk-lib/aws-kms'
import * as sns from 'aws-cdk-lib/aws-sns'
import { SqsSubscription } from 'aws-cdk-lib/aws-sns-subscriptions'
import { Construct } from 'constructs'
import type { SiteConfig } from '../../shared/config/site.ts'
import { grantKey } from './keys.ts'
import { acknowledge } from './nag.ts'
import { type QueueWithDlq, queueWithDlq } from './queue.ts'

/** The adapter is our own process and answers within seconds, so a message that it lost should come again soon. */
const MQTT_VISIBILITY = Duration.seconds(30)

/**
 * Six times the timeout of `report`. The function itself delays retries, twelve times over four hours, and then sends the message to the
 * DLQ with its reason; SQS must not do so earlier.
 */
const FHIR = { visibilityTimeout: Duration.seconds(360), maxReceiveCount: 20 }

export interface ResultsProps {
  readonly site: SiteConfig
  readonly key: kms.IKey
}

export class Results extends Construct {
  readonly topic: sns.Topic
  readonly mqtt: QueueWithDlq
  readonly fhir: QueueWithDlq

  constructor(scope: Construct, id: string, { site, key }: ResultsProps) {
    super(scope, id)
    this.topic = new sns.Topic(this, 'results', { enforceSSL: true, masterKey: key })
    this.mqtt = queueWithDlq(this, 'results-mqtt', { key, visibilityTimeout: MQTT_VISIBILITY })
    this.fhir = queueWithDlq(this, 'results-fhir', { key, ...FHIR })
    const toDevices = { origin: sns.SubscriptionFilter.stringFilter({ allowlist: ['mqtt'] }) }
    this.topic.addSubscription(
      new SqsSubscription(this.mqtt.queue, { rawMessageDelivery: true, filterPolicy: toDevices }),
    )
    for (const { queue } of [this.mqtt, this.fhir]) {
      acknowledge(queue, { 'Serverless-SNSRedrivePolicy': 'To SQS, SNS tries for 23 days; the queue has a DLQ' })
    }
    // Without an EHR the subscription would only cost money.
    if (site.ehr !== undefined) {
      this.topic.addSubscription(new SqsSubscription(this.fhir.queue, { rawMessageDelivery: true }))
    }
  }

  /** Replaces the topic's own method, which allows using its key through any service. */
  grantPublish(grantee: iam.IGrantable): void {
    iam.Grant.addToPrincipal({ grantee, actions: ['sns:Publish'], resourceArns: [this.topic.topicArn] })
    grantKey(this.topic.masterKey!, grantee, 'sns')
  }
}
