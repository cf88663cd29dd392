/**
 * KMS keys: one for ECGs, results, messages and secrets, and one for logs, which other people read.
 * @module
 */
import { Duration, Stack } from 'aws-cdk-lib'
import * as iam from 'aws-cdk-lib/aws-iam'
import * as kms from 'aws-cdk-lib/aws-kms'
import { Construct } from 'constructs'

/**
 * How long SQS reuses a data key. In each such period it calls KMS once for each queue and each sender or receiver, R = B / D × (2 P + C)
 * (AWS's formula). With fourteen queues, two senders and one receiver each that is 50,000 requests a month, 0.15 USD at 0.03 per 10,000,
 * however many messages pass. S3 has bucket keys; SNS and DynamoDB keep theirs for five minutes. A disabled key continues to work for this
 * long.
 */
export const DATA_KEY_REUSE = Duration.hours(1)

/** Key permissions of readers and writers, by service. */
const USES = {
  sqs: ['kms:Decrypt', 'kms:GenerateDataKey'],
  sns: ['kms:Decrypt', 'kms:GenerateDataKey'],
  s3: ['kms:Decrypt', 'kms:GenerateDataKey'],
  dynamodb: ['kms:Decrypt', 'kms:DescribeKey', 'kms:Encrypt', 'kms:GenerateDataKey'],
  secretsmanager: ['kms:Decrypt'],
} as const

/** Services of this account that send to our queues and topics: results, schedules and events, alarms. */
const SENDERS = ['cloudwatch.amazonaws.com', 'events.amazonaws.com', 'sns.amazonaws.com']

/** Both keys outlive the stack, like the data under them. */
export class Keys extends Construct {
  readonly data: kms.IKey
  readonly logs: kms.IKey

  constructor(scope: Construct, id: string) {
    super(scope, id)
    const { account, region } = Stack.of(this)
    this.data = this.#key('data', 'CardiacNets: ECGs, results, messages and secrets', {
      principals: SENDERS.map((name) => new iam.ServicePrincipal(name)),
      actions: ['kms:Decrypt', 'kms:GenerateDataKey*'],
      conditions: { StringEquals: { 'aws:SourceAccount': account } },
    })
    const groups = Stack.of(this).formatArn({ service: 'logs', resource: 'log-group:*' })
    this.logs = this.#key('logs', 'CardiacNets: logs', {
      principals: [new iam.ServicePrincipal(`logs.${region}.amazonaws.com`)],
      actions: ['kms:Decrypt', 'kms:DescribeKey', 'kms:Encrypt', 'kms:GenerateDataKey*', 'kms:ReEncrypt*'],
      conditions: { ArnLike: { 'kms:EncryptionContext:aws:logs:arn': groups } },
    })
  }

  /**
   * Refers to the key by ARN: otherwise its users would be written into the key's policy, which would then depend on its own dependents.
   */
  #key(id: string, description: string, use: iam.PolicyStatementProps): kms.IKey {
    const key = new kms.Key(this, id, { description, enableKeyRotation: true })
    key.addToResourcePolicy(new iam.PolicyStatement({ ...use, resources: ['*'] }))
    return kms.Key.fromKeyArn(this, `${id}-key`, key.keyArn)
  }
}

/** Grants the use of a key through one service, for which the grantee needs separate permissions. */
export function grantKey(key: kms.IKey, grantee: iam.IGrantable, service: keyof typeof USES): void {
  iam.Grant.addToPrincipal({
    grantee,
    actions: [...USES[service]],
    resourceArns: [key.keyArn],
    conditions: { StringEquals: { 'kms:ViaService': `${service}.${Stack.of(key).region}.amazonaws.com` } },
  })
}
