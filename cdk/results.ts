/**
 * The results topic and the queues that hear it: one a way back to those who asked.
 * @module
 */
import { Duration } from 'aws-cdk-lib'
import * as kms from 'aws-cdk-lib/aws-kms'
import * as sns from 'aws-cdk-lib/aws-sns'
import { SqsSubscription } from 'aws-cdk-lib/aws-sns-subscriptions'
import { Construct } from 'constructs'
import type { SiteConfig } from '../shared/site-config.ts'
import { type QueueWithDlq, queueWithDlq } from './queue.ts'

/** The adapter is a process of our own that answers within seconds, so what it dropped comes again soon. */
const MQTT_VISIBILITY = Duration.seconds(30)

/**
 * Six times as long as `report` may run. It puts off what failed by itself, twelve times over four hours, and then gives it to the DLQ with
 * its reason: SQS must not be quicker.
 */
const FHIR = { visibilityTimeout: Duration.seconds(360), maxReceiveCount: 20 }

export interface ResultsProps {
  readonly site: SiteConfig
}

export class Results extends Construct {
  readonly topic: sns.Topic
  readonly mqtt: QueueWithDlq
  readonly fhir: QueueWithDlq

  constructor(scope: Construct, id: string, { site }: ResultsProps) {
    super(scope, id)
    this.topic = new sns.Topic(this, 'results', {
      enforceSSL: true,
      masterKey: kms.Alias.fromAliasName(this, 'SnsKey', 'alias/aws/sns'),
    })
    this.mqtt = queueWithDlq(this, 'results-mqtt', { visibilityTimeout: MQTT_VISIBILITY })
    this.fhir = queueWithDlq(this, 'results-fhir', FHIR)
    const toDevices = { origin: sns.SubscriptionFilter.stringFilter({ allowlist: ['mqtt'] }) }
    this.topic.addSubscription(
      new SqsSubscription(this.mqtt.queue, { rawMessageDelivery: true, filterPolicy: toDevices }),
    )
    // Without an EHR nobody would want them, and each would cost its way through the queue.
    if (site.ehr !== undefined) {
      this.topic.addSubscription(new SqsSubscription(this.fhir.queue, { rawMessageDelivery: true }))
    }
  }
}
