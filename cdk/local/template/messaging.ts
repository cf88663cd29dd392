/**
 * Queues, topics, subscriptions and rules.
 * @module
 */
import { CreateTopicCommand, SubscribeCommand } from '@aws-sdk/client-sns'
import { CreateQueueCommand, SetQueueAttributesCommand } from '@aws-sdk/client-sqs'
import { ACCOUNT, REGION } from '../account.ts'
import { parseQuery, type RuleAction } from '../aws/iot.ts'
import { rateMs } from '../aws/schedule.ts'
import { arnOf } from '../iam/aws-calls.ts'
import { AT_REST, assuming, encrypt, type Makers, roleId, sending, TAGS } from './plan.ts'

const QUEUE_ATTRIBUTES = [
  'DelaySeconds',
  'MaximumMessageSize',
  'MessageRetentionPeriod',
  'ReceiveMessageWaitTimeSeconds',
  'RedrivePolicy',
  'VisibilityTimeout',
]

/** Target of a rule, as far as it is supported. */
interface Target {
  readonly Arn: string
  readonly Input?: string
  readonly InputTransformer?: {
    readonly InputPathsMap: Readonly<Record<string, string>>
    readonly InputTemplate: string
  }
}

/** The only supported pattern: failed jobs of an AWS Batch queue. */
function failedJobQueue(name: string, pattern: unknown): string {
  const { source, detail, ...others } = (pattern ?? {}) as {
    source?: readonly string[]
    detail?: { status?: readonly string[]; jobQueue?: readonly string[] }
  }
  const { 'detail-type': _type, ...unknown } = others as Readonly<Record<string, unknown>>
  const [jobQueue] = detail?.jobQueue ?? []
  const isKnown = source?.join() === 'aws.batch' && detail?.status?.join() === 'FAILED' && jobQueue !== undefined
  if (!isKnown || Object.keys(unknown).length > 0) {
    throw new Error(`the local stack knows events of failed batch jobs only (${name})`)
  }
  return jobQueue
}

/** A rule of AWS IoT in CloudFormation's format. */
interface RulePayload {
  readonly Sql: string
  readonly AwsIotSqlVersion?: string
  readonly Description?: string
  readonly Actions: readonly RuleTarget[]
  readonly ErrorAction?: RuleTarget
}

type RuleTarget = Readonly<Record<string, Readonly<Record<string, unknown>>>>

function ruleAction(rule: string, { Sqs, CloudwatchLogs, ...others }: RuleTarget): RuleAction {
  const [unknown] = Object.keys(others)
  if (unknown === undefined && Sqs !== undefined && Sqs.UseBase64 !== true) {
    return { kind: 'sqs', queueUrl: String(Sqs.QueueUrl), role: roleId(Sqs.RoleArn)! }
  }
  if (unknown === undefined && CloudwatchLogs !== undefined) return { kind: 'log' }
  throw new Error(`the local stack does not know the action ${unknown ?? 'Sqs with UseBase64'} of a rule (${rule})`)
}

export const MESSAGING: Makers = {
  'AWS::SQS::Queue': {
    uses: [...QUEUE_ATTRIBUTES, 'KmsMasterKeyId'],
    ignores: { KmsDataKeyReusePeriodSeconds: AT_REST, SqsManagedSseEnabled: AT_REST, ...TAGS },
    async make(name, properties, { clients, emulators, permissions, queueUrls }) {
      const attributes = Object.entries(properties)
        .filter(([key]) => QUEUE_ATTRIBUTES.includes(key))
        .map(([key, value]) => [key, typeof value === 'object' ? JSON.stringify(value) : String(value)])
      // A kept queue is found by its name alone, whatever the template's attributes were then.
      await clients.sqs.send(new CreateQueueCommand({ QueueName: name }))
      const url = `${emulators.endpoint}/${ACCOUNT}/${name}`
      await clients.sqs.send(
        new SetQueueAttributesCommand({ QueueUrl: url, Attributes: Object.fromEntries(attributes) }),
      )
      queueUrls[name] = url
      const arn = arnOf.queue(name)
      encrypt(permissions, arn, properties.KmsMasterKeyId)
      return { ref: url, attributes: { Arn: arn, QueueName: name } }
    },
  },

  'AWS::SNS::Topic': {
    uses: ['KmsMasterKeyId'],
    ignores: TAGS,
    async make(name, { KmsMasterKeyId }, { clients, permissions }) {
      const { TopicArn } = await clients.sns.send(new CreateTopicCommand({ Name: name }))
      encrypt(permissions, TopicArn!, KmsMasterKeyId)
      return { ref: TopicArn!, attributes: { TopicArn: TopicArn!, TopicName: name } }
    },
  },

  'AWS::SNS::Subscription': {
    uses: ['Endpoint', 'FilterPolicy', 'FilterPolicyScope', 'Protocol', 'RawMessageDelivery', 'TopicArn'],
    ignores: {},
    async make(name, { TopicArn, Protocol, Endpoint, ...attributes }, { clients, deliveries }) {
      // For alarms, which do not exist here.
      if (Protocol === 'email') return { ref: name, attributes: {} }
      if (Protocol !== 'sqs') throw new Error(`the local stack delivers to sqs only, not to ${Protocol}`)
      const Attributes = Object.fromEntries(
        Object.entries(attributes).map(([key, value]) => [
          key,
          typeof value === 'object' ? JSON.stringify(value) : String(value),
        ]),
      )
      const subscription = { TopicArn: String(TopicArn), Protocol, Endpoint: String(Endpoint), Attributes }
      deliveries.push({
        service: 'sns.amazonaws.com',
        source: subscription.TopicArn,
        needs: [sending(subscription.Endpoint)],
        begin: () => clients.sns.send(new SubscribeCommand(subscription)),
      })
      return { ref: name, attributes: {} }
    },
  },

  'AWS::Events::Rule': {
    uses: ['EventPattern', 'ScheduleExpression', 'Targets'],
    ignores: { State: 'no rule of ours is disabled', ...TAGS },
    async make(name, { EventPattern, ScheduleExpression, Targets }, plan) {
      const source = `arn:aws:events:${REGION}:${ACCOUNT}:rule/${name}`
      for (const { Arn, Input, InputTransformer } of Targets as readonly Target[]) {
        // CloudFormation's format
        const queueUrl = `${plan.emulators.endpoint}/${ACCOUNT}/${Arn.split(':').at(-1)}`
        const deliver = (begin: () => void) =>
          plan.deliveries.push({ service: 'events.amazonaws.com', source, needs: [sending(Arn)], begin })
        const isSqs = Arn.startsWith('arn:aws:sqs:')
        if (isSqs && EventPattern === undefined && Input !== undefined) {
          const schedule = { everyMs: rateMs(String(ScheduleExpression)), queueUrl, body: Input }
          deliver(() => plan.schedules.push(schedule))
        } else if (isSqs && InputTransformer !== undefined) {
          const { InputPathsMap: paths, InputTemplate: template } = InputTransformer
          const rule = { jobQueue: failedJobQueue(name, EventPattern), queueUrl, paths, template }
          deliver(() => plan.failureRules.push(rule))
        } else throw new Error(`the local stack sends constant or transformed messages to SQS only (${name})`)
      }
      return { ref: name, attributes: { Arn: source } }
    },
  },

  'AWS::IoT::TopicRule': {
    uses: ['RuleName', 'TopicRulePayload'],
    ignores: TAGS,
    async make(construct, { RuleName, TopicRulePayload }, plan) {
      const name = RuleName === undefined ? construct : String(RuleName)
      const { Sql, Actions, ErrorAction, AwsIotSqlVersion, Description: _, ...others } = TopicRulePayload as RulePayload
      const [unknown] = Object.keys(others)
      if (unknown !== undefined) throw new Error(`the local stack does not support ${unknown} of a rule (${name})`)
      if (AwsIotSqlVersion !== '2016-03-23') {
        throw new Error(`the local stack knows IoT's SQL of 2016-03-23 only, not ${AwsIotSqlVersion} (${name})`)
      }
      plan.topicRules.push({
        name,
        query: parseQuery(Sql),
        actions: Actions.map((action) => ruleAction(name, action)),
        errorAction: ErrorAction && ruleAction(name, ErrorAction),
      })
      const arn = `arn:aws:iot:${REGION}:${ACCOUNT}:rule/${name}`
      for (const action of [...Actions, ...(ErrorAction === undefined ? [] : [ErrorAction])]) {
        for (const { RoleArn } of Object.values(action))
          plan.deliveries.push(assuming('iot.amazonaws.com', RoleArn, arn))
      }
      return { ref: name, attributes: { Arn: arn } }
    },
  },
}
