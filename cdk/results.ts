/**
 * The results topic and the queues that hear it: one a way back to those who asked.
 * @module
 */
import { Duration } from 'aws-cdk-lib'
import * as kms from 'aws-cdk-lib/aws-kms'
import * as sns from 'aws-cdk-lib/aws-sns'
import { SqsSubscription } from 'aws-cdk-lib/aws-sns-subscriptions'
import { Construct } from 'constructs'
import { type QueueWithDlq, queueWithDlq } from './queue.ts'

/** Consumers here are processes of our own that answer within seconds, so what one of them dropped comes again soon. */
const VISIBILITY = Duration.seconds(30)

export class Results extends Construct {
  readonly topic: sns.Topic
  readonly mqtt: QueueWithDlq
  readonly fhir: QueueWithDlq

  constructor(scope: Construct, id: string) {
    super(scope, id)
    this.topic = new sns.Topic(this, 'results', {
      enforceSSL: true,
      masterKey: kms.Alias.fromAliasName(this, 'SnsKey', 'alias/aws/sns'),
    })
    this.mqtt = queueWithDlq(this, 'results-mqtt', VISIBILITY)
    this.fhir = queueWithDlq(this, 'results-fhir', VISIBILITY)
    const toDevices = { origin: sns.SubscriptionFilter.stringFilter({ allowlist: ['mqtt'] }) }
    this.topic.addSubscription(
      new SqsSubscription(this.mqtt.queue, { rawMessageDelivery: true, filterPolicy: toDevices }),
    )
    this.topic.addSubscription(new SqsSubscription(this.fhir.queue, { rawMessageDelivery: true }))
  }
}
