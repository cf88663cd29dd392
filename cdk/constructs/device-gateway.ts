/**
 * AWS IoT Core as the devices' broker: topics that a device may use, destinations of its windows and status, and, where no adapter does so,
 * publication of its results.
 * @module
 */
import { Duration, Stack } from 'aws-cdk-lib'
import * as iam from 'aws-cdk-lib/aws-iam'
import * as iot from 'aws-cdk-lib/aws-iot'
import { Construct } from 'constructs'
import { adapterName, type Deployment, type Shard } from '../../shared/config/deployment.ts'
import { basicIngestPrefix, buildTopic, type Channel, topicFilter } from '../../streams/mqtt/topics.ts'
import { type FunctionDefaults, lambdaFunction } from './lambda-function.ts'
import { logGroup } from './log-group.ts'
import { acknowledgeWildcards, printedArn } from './nag.ts'
import { consume, grantSend, type QueueWithDlq } from './queue.ts'

export interface DeviceGatewayProps {
  readonly defaults: FunctionDefaults
  readonly deployment: Deployment
  readonly intake: QueueWithDlq
  /** Queue of results for devices. */
  readonly results: QueueWithDlq
}

/** Most concurrent batches of ten; IoT Core accepts a message in about 20 ms. */
const PUBLISHERS = 20

/** SQL version that supports binary payloads. */
const SQL_VERSION = '2016-03-23'

/** Identity of a thing: its name is the device, its attribute `tenant` the tenant. Only the registrant of things can set them. */
// biome-ignore lint/suspicious/noTemplateCurlyInString: variables of IoT's policies
const OWN = { tenant: '${iot:Connection.Thing.Attributes[tenant]}', device: '${iot:Connection.Thing.ThingName}' }

/** A binary payload does not survive as `*`, so it is base64. The topic contains the tenant and is not part of the payload. */
const ENVELOPE = "encode(*, 'base64') AS data, topic() AS topic, timestamp() AS receivedAtMs"

/**
 * Selects only the fields of `Status` (`streams/mqtt/ecg.proto`) from a device's status, and nothing else that the device may add. A rule
 * cannot read the status of a device that uses protobuf; for that one only the time is logged.
 */
const STATUS = [
  'cast(online AS Boolean) AS online',
  'cast(batteryPercent AS Decimal) AS batteryPercent',
  "regexp_substr(firmware, '^[A-Za-z0-9._-]{1,32}$') AS firmware",
  'topic() AS topic',
  'timestamp() AS receivedAtMs',
].join(', ')
const SENT = 'topic() AS topic, timestamp() AS receivedAtMs'

export class DeviceGateway extends Construct {
  constructor(scope: Construct, id: string, props: DeviceGatewayProps) {
    super(scope, id)
    const { gateway, tenants } = props.deployment
    const type = new iot.CfnThingType(this, 'ecg-device', {
      thingTypeProperties: { searchableAttributes: ['tenant'], thingTypeDescription: 'Sends ECGs' },
    })
    for (const tenant of tenants) {
      new iot.CfnThingGroup(this, `devices-${tenant}`, {
        thingGroupProperties: { thingGroupDescription: 'Devices of one tenant' },
      }).addResourceDependency(type)
    }
    const basicIngest = gateway.basicIngest ? basicIngestRule(props.deployment) : undefined
    this.#devicePolicy(basicIngest)
    for (const shard of gateway.adapter?.shards ?? []) this.#adapterPolicy(shard, tenants)
    this.#windowRule(props.intake, basicIngest)
    this.#statusRule(props)
    // An adapter has a connection to the broker anyway.
    if (gateway.adapter === undefined) this.#publisher(props)
  }

  /** One policy for all devices: policy variables limit each thing to its own topics. */
  #devicePolicy(basicIngest: string | undefined): void {
    const topics = (resource: string, ...channels: Channel[]) =>
      channels.map((channel) => this.#arn(`${resource}/${buildTopic({ ...OWN, channel })}`))
    new iot.CfnPolicy(this, 'device-policy', {
      policyDocument: document(
        statement(['iot:Connect'], [this.#arn(`client/${OWN.device}`)], {
          // Otherwise a variable would be empty or belong to another thing.
          Bool: { 'iot:Connection.Thing.IsAttached': ['true'] },
        }),
        statement(
          ['iot:Publish'],
          [
            ...topics('topic', 'frames', 'window', 'status'),
            // A device may publish to one rule, under its own topic. Nobody can subscribe to `$aws/rules`, even if a policy allows it.
            ...(basicIngest === undefined ? [] : topics(`topic/${basicIngestPrefix(basicIngest)}`, 'window')),
          ],
        ),
        // Status and last will are retained.
        statement(['iot:RetainPublish'], topics('topic', 'status')),
        statement(['iot:Subscribe'], topics('topicfilter', 'results', 'cmd')),
        statement(['iot:Receive'], topics('topic', 'results', 'cmd')),
      ),
    })
  }

  /** Policy of one adapter: it receives frames of its own tenants, and publishes to any device, because all results come from one queue. */
  #adapterPolicy(shard: Shard, all: readonly string[]): void {
    const { tenants: own } = shard
    const clientId = adapterName(shard)
    const anyDevice = (tenant: string, channel: Channel) =>
      this.#arn(`topic/${buildTopic({ tenant, device: '*', channel })}`)
    const filters = own.map((tenant) => topicFilter('frames', tenant))
    new iot.CfnPolicy(this, `adapter-${shard.id}-policy`, {
      policyDocument: document(
        statement(['iot:Connect'], [this.#arn(`client/${clientId}-*`), this.#arn(`client/${clientId}`)]),
        statement(
          ['iot:Subscribe'],
          filters.flatMap((filter) => [
            this.#arn(`topicfilter/${filter}`),
            this.#arn(`topicfilter/$share/${clientId}/${filter}`),
          ]),
        ),
        statement(
          ['iot:Receive'],
          own.map((tenant) => anyDevice(tenant, 'frames')),
        ),
        statement(
          ['iot:Publish'],
          all.flatMap((tenant) => [anyDevice(tenant, 'results'), anyDevice(tenant, 'cmd')]),
        ),
      ),
    })
  }

  #windowRule({ queue, dlq }: QueueWithDlq, ruleName: string | undefined): void {
    const role = this.#ruleRole('window-rule-role')
    grantSend(queue, role)
    grantSend(dlq, role)
    const send = (queueUrl: string) => ({ sqs: { queueUrl, roleArn: role.roleArn, useBase64: false } })
    new iot.CfnTopicRule(this, 'windows', {
      // Devices with Basic Ingest address the rule by name; it also takes windows by topic.
      ...(ruleName === undefined ? {} : { ruleName }),
      topicRulePayload: {
        awsIotSqlVersion: SQL_VERSION,
        description: 'Windows that devices collect, to the intake',
        sql: `SELECT ${ENVELOPE} FROM '${topicFilter('window')}'`,
        actions: [send(queue.queueUrl)],
        // This message contains topic and payload, so it can be redriven like all others.
        errorAction: send(dlq.queueUrl),
      },
    })
  }

  /** A device's last will, to find out why it is silent. */
  #statusRule({ defaults }: DeviceGatewayProps): void {
    const role = this.#ruleRole('status-rule-role')
    const group = logGroup(this, 'device-status', defaults.log)
    iam.Grant.addToPrincipal({
      grantee: role,
      actions: ['logs:CreateLogStream', 'logs:DescribeLogStreams', 'logs:PutLogEvents'],
      resourceArns: [group.logGroupArn],
    })
    const log = { cloudwatchLogs: { logGroupName: group.logGroupName, roleArn: role.roleArn } }
    const rule = (id: string, description: string, select: string) =>
      new iot.CfnTopicRule(this, id, {
        topicRulePayload: {
          awsIotSqlVersion: SQL_VERSION,
          description,
          sql: `SELECT ${select} FROM '${topicFilter('status')}'`,
          // No error action, because it would log the payload and whatever it contains.
          actions: [log],
        },
      })
    rule('status', 'Status of devices, to a log group', STATUS)
    rule('status-sent', 'When devices said their status, to a log group', SENT)
  }

  #publisher({ defaults, deployment, results: { queue, dlq } }: DeviceGatewayProps): void {
    const publish = lambdaFunction(this, defaults, {
      name: 'publish',
      bundle: 'publish',
      memoryMb: 256,
      timeout: Duration.seconds(5),
      concurrency: PUBLISHERS,
      network: { outside: 'the data plane of AWS IoT Core, whose endpoint has no private name' },
      environment: {
        RESULTS_MQTT_DLQ_URL: dlq.queueUrl,
        ...(deployment.gateway.results === 'whole' ? {} : { DEVICE_RESULTS: deployment.gateway.results }),
      },
    })
    consume(publish, queue, PUBLISHERS)
    grantSend(dlq, publish)
    const topics = deployment.tenants.map(
      (tenant) => `topic/${buildTopic({ tenant, device: '*', channel: 'results' })}`,
    )
    acknowledgeWildcards(
      publish,
      topics.map((topic) => printedArn('iot', topic)),
      'It publishes to whichever device a result is for',
    )
    iam.Grant.addToPrincipal({
      grantee: publish,
      actions: ['iot:Publish'],
      resourceArns: topics.map((topic) => this.#arn(topic)),
    })
  }

  #ruleRole(id: string): iam.Role {
    return new iam.Role(this, id, { assumedBy: new iam.ServicePrincipal('iot.amazonaws.com') })
  }

  #arn(resource: string): string {
    return Stack.of(this).formatArn({ service: 'iot', resource })
  }
}

/** Name of the rule, which devices need to know: letters, digits and `_` only. */
const basicIngestRule = ({ stack }: Pick<Deployment, 'stack'>): string => `${stack.replaceAll('-', '_')}_windows`

function statement(actions: readonly string[], resources: readonly string[], condition?: object) {
  return {
    Effect: 'Allow',
    Action: actions,
    Resource: resources,
    ...(condition === undefined ? {} : { Condition: condition }),
  }
}

function document(...statements: readonly object[]) {
  return { Version: '2012-10-17', Statement: statements }
}
