/**
 * Turns a template's resources into what the local stack runs: queues, topics and buckets in fauxqs, tables in dynalite, and plans for
 * functions, event source mappings and routes. Anything it does not know is an error that names it.
 * @module
 */
import { join } from 'node:path'
import {
  CreateTableCommand,
  type CreateTableCommandInput,
  DescribeTableCommand,
  DynamoDBClient,
} from '@aws-sdk/client-dynamodb'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { CreateTopicCommand, SNSClient, SubscribeCommand } from '@aws-sdk/client-sns'
import { CreateQueueCommand, SetQueueAttributesCommand, SQSClient } from '@aws-sdk/client-sqs'
import { ACCOUNT, REGION } from '../account.ts'
import type { ExitRule, FailureRule, JobDefinition } from '../aws/batch.ts'
import type { Emulators } from '../aws/emulators.ts'
import type { EventSourceMapping } from '../aws/event-source.ts'
import type { Route } from '../aws/http-api.ts'
import { parseQuery, type RuleAction, type TopicRule } from '../aws/iot.ts'
import { rateMs, type Schedule } from '../aws/schedule.ts'
import { arnOf } from '../iam/aws-calls.ts'
import { type Need, type Permissions, roleArn } from '../iam/permissions.ts'
import { type FunctionSpec, functionArn, functionNameOf } from '../lambda/sandbox.ts'
import { type Resolved, resolveIntrinsics, type Template, type TemplateResource } from './intrinsics.ts'

/** Environment that points any AWS SDK at the emulators. */
export function emulatorEnvironment(emulators: Emulators): Readonly<Record<string, string>> {
  return {
    AWS_ENDPOINT_URL_SQS: emulators.endpoint,
    AWS_ENDPOINT_URL_SNS: emulators.endpoint,
    AWS_ENDPOINT_URL_S3: emulators.endpoint,
    AWS_ENDPOINT_URL_DYNAMODB: emulators.dynamoEndpoint,
    AWS_REGION: REGION,
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: 'local',
  }
}

/** `streams/mqtt` as a container of ECS. */
export interface AdapterTask {
  readonly environment: Readonly<Record<string, string>>
  readonly role: string | undefined
}

/** What came of a template. Names are the last part of a resource's construct path: `intake`, `intake-dlq`, `results`. */
export interface Deployment {
  readonly queueUrls: Readonly<Record<string, string>>
  readonly tableNames: readonly string[]
  readonly bucketNames: readonly string[]
  readonly functions: readonly FunctionSpec[]
  readonly mappings: readonly EventSourceMapping[]
  readonly routes: readonly Route[]
  readonly schedules: readonly Schedule[]
  /** ARNs of queues of AWS Batch. */
  readonly jobQueues: readonly string[]
  readonly jobDefinitions: readonly JobDefinition[]
  readonly failureRules: readonly FailureRule[]
  readonly topicRules: readonly TopicRule[]
  /** Adapters of the devices' broker, one a shard. */
  readonly adapters: readonly AdapterTask[]
  /** Names of functions with a URL that streams. */
  readonly streams: readonly string[]
  /** The template's outputs, as `cdk deploy --outputs-file` would write them. */
  readonly outputs: Readonly<Record<string, string>>
}

/** Where a template's resources go. */
export interface Place {
  readonly emulators: Emulators
  /** Learns the template's roles and policies. */
  readonly permissions: Permissions
  /** The cloud assembly, which holds the functions' bundles. */
  readonly assemblyDir: string
  readonly apiUrl: string
  /** Environment that says where other services are. */
  readonly endpoints: Readonly<Record<string, string>>
  /** Whom the API takes everybody for, where no provider signs tokens. */
  readonly tenant: string
  /** Who signs the tokens of the API's callers; absent where everybody is let in. */
  readonly identity?: LocalIdentity | undefined
}

/** An identity provider on this machine, which may speak plain http. */
export interface LocalIdentity {
  readonly issuer: string
  readonly audience: string
  readonly jwksUrl: string
  /** Whose tokens are taken. */
  readonly tenants: readonly string[]
}

/** Resource types that need nothing on one machine, and why. */
const SKIPPED: Readonly<Record<string, string>> = {
  'AWS::Logs::LogGroup': 'functions log to this process',
  'AWS::ApiGatewayV2::Authorizer': 'the local API is open, on 127.0.0.1 only',
  'AWS::Cognito::UserPool': 'the local API is open, on 127.0.0.1 only',
  'AWS::Cognito::UserPoolClient': 'the local API is open, on 127.0.0.1 only',
  'AWS::Cognito::UserPoolDomain': 'the local API is open, on 127.0.0.1 only',
  'AWS::Cognito::UserPoolGroup': 'the local API is open, on 127.0.0.1 only',
  'AWS::IoT::Policy': 'the local broker is open, on 127.0.0.1 only',
  'AWS::IoT::ThingType': 'the local broker knows no things',
  'AWS::IoT::ThingGroup': 'the local broker knows no things',
  'AWS::ApiGatewayV2::Stage': 'there is one stage, $default',
  'AWS::CloudWatch::Alarm': 'nothing is watched here',
  'AWS::CloudWatch::Dashboard': 'nothing is watched here',
  'AWS::CodeDeploy::Application': 'the local stack is replaced as a whole',
  'AWS::CodeDeploy::DeploymentGroup': 'the local stack is replaced as a whole',
  'AWS::Batch::ComputeEnvironment': 'batch jobs run on this machine',
  'AWS::IAM::InstanceProfile': 'batch jobs run on this machine',
  'AWS::EC2::LaunchTemplate': 'batch jobs run on this machine',
  'AWS::ECS::Cluster': 'the adapter runs as a process of this machine',
  'AWS::ECS::Service': 'the adapter runs as a process of this machine',
  'AWS::AutoScaling::AutoScalingGroup': 'the adapter runs as a process of this machine',
  'AWS::EC2::Volume': 'the journal is a file of this machine',
  'AWS::CloudFront::OriginAccessControl': 'the API serves the console here',
  'AWS::CloudFront::ResponseHeadersPolicy': 'the API serves the console here, and sets its headers',
  'AWS::SecretsManager::Secret': 'the front and the API are one process here',
  'AWS::WAFv2::WebACL': 'only this machine reaches it',
  'AWS::WAFv2::LoggingConfiguration': 'only this machine reaches it',
  'AWS::EC2::VPC': 'there is no network here',
  'AWS::EC2::Subnet': 'there is no network here',
  'AWS::EC2::RouteTable': 'there is no network here',
  'AWS::EC2::SubnetRouteTableAssociation': 'there is no network here',
  'AWS::EC2::Route': 'there is no network here',
  'AWS::EC2::InternetGateway': 'there is no network here',
  'AWS::EC2::VPCGatewayAttachment': 'there is no network here',
  'AWS::EC2::FlowLog': 'there is no network here',
  'AWS::EC2::VPCEndpoint': 'there is no network here',
  'AWS::EC2::SecurityGroup': 'there is no network here',
  'AWS::EC2::SecurityGroupEgress': 'there is no network here',
  'AWS::EC2::SecurityGroupIngress': 'there is no network here',
}

/** The stack's resources, made or found again where the emulators kept them. */
export async function deploy(template: Template, place: Place): Promise<Deployment> {
  const plan = newPlan(place)
  const made = new Map<string, Promise<Resolved>>()

  /** Makes a resource once, and before it whatever its properties refer to. */
  function lookup(logicalId: string): Promise<Resolved> {
    const known = made.get(logicalId)
    if (known !== undefined) return known
    const resource = template.Resources[logicalId]
    if (resource === undefined) throw new Error(`the template refers to ${logicalId}, which it does not have`)
    const making = make(logicalId, resource)
    made.set(logicalId, making)
    return making
  }

  async function make(logicalId: string, resource: TemplateResource): Promise<Resolved> {
    const maker = MAKERS[resource.Type]
    if (maker === undefined) {
      if (resource.Type in SKIPPED) return { ref: logicalId, attributes: { Arn: `arn:local:${logicalId}` } }
      throw new Error(`the local stack does not support ${resource.Type} (${logicalId}); see cdk/README.md`)
    }
    const given = resource.Properties ?? {}
    const unknown = Object.keys(given).find((name) => !maker.uses.includes(name) && !(name in maker.ignores))
    if (unknown !== undefined) {
      throw new Error(
        `the local stack does not support ${unknown} of ${resource.Type} (${logicalId}); see cdk/README.md`,
      )
    }
    // What is ignored may refer to what is not made.
    const used = Object.fromEntries(Object.entries(given).filter(([name]) => maker.uses.includes(name)))
    const properties = (await resolveIntrinsics(used, lookup)) as Properties // an object stays one
    return maker.make(nameOf(logicalId, resource), properties, plan, { logicalId, path: pathOf(logicalId, resource) })
  }

  await Promise.all(Object.keys(template.Resources).map(lookup))
  // Only now every policy is known. What no policy allows never begins, as nothing would come of it in AWS.
  for (const { service, source, needs, begin } of plan.deliveries) {
    if (place.permissions.refuseService(service, source, needs) === undefined) await begin()
  }
  for (const [name, { Value }] of Object.entries(template.Outputs ?? {})) {
    plan.outputs[name] = String(await resolveIntrinsics(Value, lookup))
  }
  for (const client of Object.values(plan.clients)) client.destroy()
  return plan
}

/** The construct path within the stack: `CardiacNets/Intake/intake-dlq/Resource` → `Intake/intake-dlq`. */
function pathOf(logicalId: string, resource: TemplateResource): string {
  const path = resource.Metadata?.['aws:cdk:path']
  const parts = typeof path === 'string' ? path.split('/').filter((part) => part !== 'Resource') : []
  return parts.slice(1).join('/') || logicalId
}

/** The last part of that path. */
function nameOf(logicalId: string, resource: TemplateResource): string {
  return pathOf(logicalId, resource).split('/').at(-1)!
}

type Properties = Readonly<Record<string, unknown>>

/** What AWS does by itself, if the policy of what it does it to allows it. */
interface Delivery {
  readonly service: string
  /** ARN of what it is done for. */
  readonly source: string
  readonly needs: readonly Need[]
  begin(): unknown
}

interface Plan extends Deployment, Place {
  readonly deliveries: Delivery[]
  readonly queueUrls: Record<string, string>
  readonly tableNames: string[]
  readonly bucketNames: string[]
  readonly functions: FunctionSpec[]
  readonly mappings: EventSourceMapping[]
  readonly routes: Route[]
  readonly schedules: Schedule[]
  readonly jobQueues: string[]
  readonly jobDefinitions: JobDefinition[]
  readonly failureRules: FailureRule[]
  readonly topicRules: TopicRule[]
  readonly adapters: AdapterTask[]
  readonly streams: string[]
  readonly outputs: Record<string, string>
  readonly clients: ReturnType<typeof newClients>
}

function newPlan(place: Place): Plan {
  return {
    ...place,
    queueUrls: {},
    tableNames: [],
    bucketNames: [],
    functions: [],
    mappings: [],
    routes: [],
    schedules: [],
    jobQueues: [],
    jobDefinitions: [],
    failureRules: [],
    topicRules: [],
    adapters: [],
    streams: [],
    outputs: {},
    deliveries: [],
    clients: newClients(place.emulators),
  }
}

/** What any AWS client needs to talk to an emulator: as a role, or as whoever runs this machine. */
export function clientOptions(endpoint: string, role = 'local') {
  return { endpoint, region: REGION, credentials: { accessKeyId: role, secretAccessKey: 'local' } }
}

function newClients({ endpoint, dynamoEndpoint }: Emulators) {
  return {
    sqs: new SQSClient(clientOptions(endpoint)),
    sns: new SNSClient(clientOptions(endpoint)),
    s3: new S3Client(clientOptions(endpoint)),
    dynamo: new DynamoDBClient(clientOptions(dynamoEndpoint)),
  }
}

/** There is no CloudWatch here: the API judges itself by what it sees. */
const NOT_HERE = { ALARMS_OF_STACK: '' }

/** Without a provider nobody signs tokens here, so the API lets everybody in; it does so only because its table is on this machine. */
function callersOf({ tenant, identity }: Pick<Place, 'tenant' | 'identity'>): Readonly<Record<string, string>> {
  if (identity === undefined) return { UNAUTHENTICATED_TENANT: tenant }
  const { issuer, audience, jwksUrl, tenants } = identity
  return { AUTH_ISSUER: issuer, AUTH_AUDIENCE: audience, AUTH_JWKS_URL: jwksUrl, AUTH_TENANTS: tenants.join() }
}

/** A table that was kept is used as it is, so it must have the indexes of today's template. */
async function checkKept(dynamo: DynamoDBClient, { TableName, GlobalSecondaryIndexes = [] }: CreateTableCommandInput) {
  const { Table } = await dynamo.send(new DescribeTableCommand({ TableName }))
  const kept = new Set(Table?.GlobalSecondaryIndexes?.map(({ IndexName }) => IndexName))
  if (GlobalSecondaryIndexes.every(({ IndexName }) => kept.has(IndexName))) return
  throw new Error(
    `the table ${TableName} was kept by an earlier version: start once with --fresh, which forgets what was kept`,
  )
}

/** What tells a resource from others of the same name. */
interface Identity {
  readonly logicalId: string
  /** Construct path within the stack. */
  readonly path: string
}

/** How one resource type is made. A property that is neither used nor knowingly ignored is an error. */
interface Maker {
  readonly uses: readonly string[]
  /** Property → why it does not matter here. */
  readonly ignores: Readonly<Record<string, string>>
  make(name: string, properties: Properties, plan: Plan, identity: Identity): Promise<Resolved>
}

const AT_REST = 'nothing is encrypted at rest here'
const TAGS = { Tags: 'tags mean nothing here' }
const ONE_VERSION = 'a function has one version here, which all its names mean'

const QUEUE_ATTRIBUTES = [
  'DelaySeconds',
  'MaximumMessageSize',
  'MessageRetentionPeriod',
  'ReceiveMessageWaitTimeSeconds',
  'RedrivePolicy',
  'VisibilityTimeout',
]

/** A rule's target, as far as it is known here. */
interface Target {
  readonly Arn: string
  readonly Input?: string
  readonly InputTransformer?: {
    readonly InputPathsMap: Readonly<Record<string, string>>
    readonly InputTemplate: string
  }
}

/** The one pattern that is known: jobs of a queue of AWS Batch that failed. */
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

interface Container {
  readonly Command: readonly string[]
  readonly JobRoleArn?: string
  readonly Environment?: readonly { readonly Name: string; readonly Value: string }[]
}

const variablesOf = ({ Environment = [] }: Container): Readonly<Record<string, string>> =>
  Object.fromEntries(Environment.map(({ Name, Value }) => [Name, Value]))

const CONTAINER_PROPERTIES = [
  'Command',
  'Environment',
  // What the image holds runs here from source, as this user, on the processor, and logs to this process.
  'Image',
  'JobRoleArn',
  'LogConfiguration',
  'Privileged',
  'ReadonlyRootFilesystem',
  'ResourceRequirements',
]

interface Encryption {
  readonly ServerSideEncryptionConfiguration?: readonly {
    readonly ServerSideEncryptionByDefault?: { readonly KMSMasterKeyID?: string }
  }[]
}

/** Nothing is encrypted here, but whoever touches the resource must be allowed its key, as in AWS. AWS' own keys let everybody. */
function encrypt(permissions: Permissions, resource: string, key: unknown): void {
  if (key === undefined || String(key).includes('alias/aws/')) return
  permissions.encrypt(resource, String(key).startsWith('arn:') ? String(key) : keyArn(String(key)))
}

/** CloudFormation's form of a rule of AWS IoT. */
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

/** A service takes on a role, if the role trusts it. */
function assuming(service: string, role: unknown, source: string): Delivery {
  return { service, source, needs: [{ action: 'sts:AssumeRole', resource: String(role) }], begin: () => {} }
}

/** As a permission to invoke names it: of any method `*`, and of `$default` no path. */
function routeArn(api: string, routeKey: string): string {
  const [method = '', path = ''] = routeKey.split(' ')
  return `arn:aws:execute-api:${REGION}:${ACCOUNT}:${api}/$default/${method === 'ANY' ? '*' : method}${path}`
}

const sending = (queueArn: string): Need => ({ action: 'sqs:SendMessage', resource: queueArn })

const keyArn = (id: string): string => `arn:aws:kms:${REGION}:${ACCOUNT}:key/${id}`

/** Of `arn:aws:iam::000000000000:role/{id}`. */
const roleId = (arn: unknown): string | undefined => (arn === undefined ? undefined : String(arn).split('/').at(-1))

/** The access key of a process that has the role: what it signs with tells the emulators who it is. */
export function credentialsOf(role: unknown): Readonly<Record<string, string>> {
  const id = roleId(role)
  return id === undefined ? {} : { AWS_ACCESS_KEY_ID: id }
}

/** A policy that stands by itself, and the roles that have it. */
const POLICY: Maker = {
  uses: ['PolicyDocument', 'Roles'],
  ignores: { PolicyName: 'nobody asks for it', Description: 'nobody asks for it', Path: 'nobody asks for it' },
  async make(name, { PolicyDocument, Roles = [] }, { permissions }) {
    for (const role of Roles as readonly string[]) permissions.grant(role, PolicyDocument)
    return { ref: name, attributes: {} }
  },
}

/** Where the cloud assembly holds what CDK would upload: `asset.{hash}`. */
function assetFolder(assemblyDir: string, asset: unknown): string {
  const { S3Key } = asset as { S3Key?: string } // CDK gives every asset so
  return join(assemblyDir, `asset.${String(S3Key).replace(/\.zip$/, '')}`)
}

/** Lambda unpacks a layer into `/opt`; here a variable that points there is led into the layer's folder. */
function fromLayer(name: string, variables: Readonly<Record<string, string>>, layers: unknown = []) {
  const [folder, ...others] = layers as readonly string[] // each by its `Ref`
  if (folder === undefined) return variables
  if (others.length > 0) throw new Error(`the local stack gives a function one layer only (${name})`)
  return Object.fromEntries(
    Object.entries(variables).map(([key, value]) => [key, String(value).replace(/^\/opt(?=\/)/, () => folder)]),
  )
}

const MAKERS: Readonly<Record<string, Maker>> = {
  'AWS::IAM::Role': {
    uses: ['AssumeRolePolicyDocument', 'ManagedPolicyArns', 'Policies'],
    ignores: {
      Description: 'nobody asks for it',
      MaxSessionDuration: 'nothing expires here',
      RoleName: 'it is called by its logical id',
      ...TAGS,
    },
    async make(_name, { AssumeRolePolicyDocument, ManagedPolicyArns = [], Policies = [] }, plan, { logicalId, path }) {
      const { permissions } = plan
      permissions.addRole(logicalId, path)
      permissions.attach(roleArn(logicalId), AssumeRolePolicyDocument)
      for (const { PolicyDocument } of Policies as readonly { PolicyDocument: unknown }[]) {
        permissions.grant(logicalId, PolicyDocument)
      }
      for (const arn of ManagedPolicyArns as readonly string[]) permissions.grantUnknown(logicalId, arn)
      return { ref: logicalId, attributes: { Arn: roleArn(logicalId), RoleId: logicalId } }
    },
  },

  'AWS::IAM::Policy': POLICY,

  'AWS::SQS::QueuePolicy': {
    uses: ['PolicyDocument', 'Queues'],
    ignores: {},
    async make(name, { PolicyDocument, Queues }, { permissions }) {
      for (const url of Queues as readonly string[]) {
        permissions.attach(arnOf.queue(url.split('/').at(-1)!), PolicyDocument)
      }
      return { ref: name, attributes: {} }
    },
  },

  'AWS::SNS::TopicPolicy': {
    uses: ['PolicyDocument', 'Topics'],
    ignores: {},
    async make(name, { PolicyDocument, Topics }, { permissions }) {
      for (const arn of Topics as readonly string[]) permissions.attach(arn, PolicyDocument)
      return { ref: name, attributes: {} }
    },
  },

  'AWS::S3::BucketPolicy': {
    uses: ['Bucket', 'PolicyDocument'],
    ignores: {},
    async make(name, { Bucket, PolicyDocument }, { permissions }) {
      permissions.attach(arnOf.bucket(String(Bucket)), PolicyDocument)
      return { ref: name, attributes: {} }
    },
  },

  'AWS::KMS::Key': {
    uses: ['KeyPolicy'],
    ignores: {
      Description: 'nobody asks for it',
      EnableKeyRotation: AT_REST,
      PendingWindowInDays: 'nothing is deleted here',
      RotationPeriodInDays: AT_REST,
      ...TAGS,
    },
    async make(_name, { KeyPolicy }, { permissions }, { logicalId }) {
      const arn = keyArn(logicalId)
      permissions.attach(arn, KeyPolicy)
      return { ref: logicalId, attributes: { Arn: arn, KeyId: logicalId } }
    },
  },

  'AWS::SQS::Queue': {
    uses: [...QUEUE_ATTRIBUTES, 'KmsMasterKeyId'],
    ignores: { KmsDataKeyReusePeriodSeconds: AT_REST, SqsManagedSseEnabled: AT_REST, ...TAGS },
    async make(name, properties, { clients, emulators, permissions, queueUrls }) {
      const attributes = Object.entries(properties)
        .filter(([key]) => QUEUE_ATTRIBUTES.includes(key))
        .map(([key, value]) => [key, typeof value === 'object' ? JSON.stringify(value) : String(value)])
      // The name alone finds a queue that was kept, whatever the template then said of it.
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
      // Of alarms, which nobody raises here.
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

  'AWS::S3::Bucket': {
    uses: ['BucketEncryption'],
    ignores: {
      LoggingConfiguration: 'nobody else asks here',
      OwnershipControls: 'everything is this process’s own',
      LifecycleConfiguration: 'nothing expires here',
      PublicAccessBlockConfiguration: 'only this machine reaches it',
      VersioningConfiguration: 'only the last version is kept here',
      ...TAGS,
    },
    async make(name, { BucketEncryption }, { clients, permissions, bucketNames }) {
      await clients.s3.send(new CreateBucketCommand({ Bucket: name }))
      bucketNames.push(name)
      const { ServerSideEncryptionConfiguration: [rule] = [] } = (BucketEncryption ?? {}) as Encryption
      encrypt(permissions, arnOf.bucket(name), rule?.ServerSideEncryptionByDefault?.KMSMasterKeyID)
      return { ref: name, attributes: { Arn: arnOf.bucket(name) } }
    },
  },

  'AWS::DynamoDB::Table': {
    uses: ['AttributeDefinitions', 'BillingMode', 'GlobalSecondaryIndexes', 'KeySchema', 'SSESpecification'],
    ignores: {
      PointInTimeRecoverySpecification: 'nothing is backed up here',
      DeletionProtectionEnabled: 'nobody deletes a table here',
      TimeToLiveSpecification: 'nothing expires here',
      ...TAGS,
    },
    async make(name, properties, { clients, permissions, tableNames }) {
      const { AttributeDefinitions, BillingMode, GlobalSecondaryIndexes, KeySchema } = properties
      // CloudFormation's words are the API's.
      const table = {
        TableName: name,
        AttributeDefinitions,
        BillingMode,
        GlobalSecondaryIndexes,
        KeySchema,
      } as CreateTableCommandInput
      try {
        await clients.dynamo.send(new CreateTableCommand(table))
      } catch (error) {
        if (!(error instanceof Error) || error.name !== 'ResourceInUseException') throw error
        await checkKept(clients.dynamo, table)
      }
      tableNames.push(name)
      const { KMSMasterKeyId } = (properties.SSESpecification ?? {}) as { KMSMasterKeyId?: string }
      encrypt(permissions, arnOf.table(name), KMSMasterKeyId)
      return { ref: name, attributes: { Arn: arnOf.table(name) } }
    },
  },

  'AWS::Lambda::Function': {
    uses: ['Code', 'Environment', 'Handler', 'Layers', 'MemorySize', 'Role', 'Runtime', 'Timeout'],
    ignores: {
      Architectures: 'the bundle is built for this machine',
      LoggingConfig: 'functions log to this process',
      ReservedConcurrentExecutions: 'sandboxes are as many as this machine has room for',
      VpcConfig: 'there is no network here',
      ...TAGS,
    },
    async make(name, properties, { functions, deliveries, assemblyDir, emulators, endpoints, tenant, identity }) {
      const { Runtime, Handler, Timeout = 3, MemorySize = 128 } = properties
      if (Runtime !== 'nodejs24.x') throw new Error(`the local stack runs nodejs24.x only, not ${Runtime} (${name})`)
      const { Variables = {} } = (properties.Environment ?? {}) as { Variables?: Readonly<Record<string, string>> }
      functions.push({
        name,
        folder: assetFolder(assemblyDir, properties.Code),
        handler: String(Handler),
        timeoutMs: Number(Timeout) * 1000,
        memoryMb: Number(MemorySize),
        environment: {
          ...emulatorEnvironment(emulators),
          ...endpoints,
          ...fromLayer(name, Variables, properties.Layers),
          ...callersOf({ tenant, identity }),
          ...credentialsOf(properties.Role),
          ...NOT_HERE,
        },
        role: roleId(properties.Role),
      })
      if (properties.Role !== undefined) {
        deliveries.push(assuming('lambda.amazonaws.com', properties.Role, functionArn(name)))
      }
      return { ref: name, attributes: { Arn: functionArn(name) } }
    },
  },

  'AWS::Lambda::LayerVersion': {
    uses: ['Content'],
    ignores: {
      CompatibleArchitectures: 'one that was made for this machine',
      CompatibleRuntimes: 'functions run on one runtime here',
      Description: 'nobody lists layers here',
    },
    async make(_name, { Content }, { assemblyDir }) {
      // What a function is given of it: its folder.
      return { ref: assetFolder(assemblyDir, Content), attributes: {} }
    },
  },

  'AWS::Lambda::Version': {
    uses: ['FunctionName'],
    ignores: {},
    async make(_name, { FunctionName }) {
      return { ref: `${functionArn(String(FunctionName))}:1`, attributes: { Version: '1' } }
    },
  },

  'AWS::Lambda::Alias': {
    uses: ['FunctionName', 'Name'],
    ignores: { FunctionVersion: ONE_VERSION },
    async make(_name, { FunctionName, Name }) {
      const ref = `${functionArn(String(FunctionName))}:${Name}`
      return { ref, attributes: { AliasArn: ref } }
    },
  },

  'AWS::Lambda::Permission': {
    uses: ['Action', 'FunctionName', 'Principal', 'SourceAccount', 'SourceArn'],
    ignores: {
      FunctionUrlAuthType: 'the local API is open, on 127.0.0.1 only',
      InvokedViaFunctionUrl: 'the local API is open, on 127.0.0.1 only',
    },
    async make(name, { Action, FunctionName, Principal, SourceAccount, SourceArn }, { permissions }) {
      const resource = String(FunctionName)
      const conditions = { 'aws:SourceArn': SourceArn, 'aws:SourceAccount': SourceAccount }
      const given = Object.entries(conditions).filter(([, value]) => value !== undefined)
      permissions.attach(resource.startsWith('arn:') ? resource : functionArn(resource), {
        Statement: {
          Effect: 'Allow',
          Principal: Principal === '*' ? '*' : { Service: Principal },
          Action,
          Condition: { ArnLike: Object.fromEntries(given) },
        },
      })
      return { ref: name, attributes: {} }
    },
  },

  'AWS::Lambda::EventSourceMapping': {
    uses: [
      'BatchSize',
      'EventSourceArn',
      'FunctionName',
      'FunctionResponseTypes',
      'MaximumBatchingWindowInSeconds',
      'ScalingConfig',
    ],
    ignores: TAGS,
    async make(name, properties, { mappings, emulators }) {
      const { BatchSize = 10, MaximumBatchingWindowInSeconds = 0, FunctionResponseTypes = [] } = properties
      const { MaximumConcurrency = Number.POSITIVE_INFINITY } = (properties.ScalingConfig ?? {}) as {
        MaximumConcurrency?: number
      }
      const queueArn = String(properties.EventSourceArn)
      if (!queueArn.startsWith('arn:aws:sqs:')) throw new Error(`the local stack polls SQS only, not ${queueArn}`)
      mappings.push({
        queueArn,
        queueUrl: `${emulators.endpoint}/${ACCOUNT}/${queueArn.split(':').at(-1)}`,
        functionName: functionNameOf(String(properties.FunctionName)),
        batchSize: Number(BatchSize),
        batchingWindowMs: Number(MaximumBatchingWindowInSeconds) * 1000,
        reportsItemFailures: (FunctionResponseTypes as readonly string[]).includes('ReportBatchItemFailures'),
        maximumConcurrency: MaximumConcurrency,
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
        // CloudFormation's form
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
    uses: ['TopicRulePayload'],
    ignores: { RuleName: 'it is called by its construct', ...TAGS },
    async make(name, { TopicRulePayload }, plan) {
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

  'AWS::ECS::TaskDefinition': {
    uses: ['ContainerDefinitions', 'TaskRoleArn'],
    ignores: {
      Cpu: 'the adapter runs as a process of this machine',
      ExecutionRoleArn: 'nothing is fetched here',
      Family: 'nobody asks for it',
      Memory: 'the adapter runs as a process of this machine',
      NetworkMode: 'the adapter runs as a process of this machine',
      RequiresCompatibilities: 'the adapter runs as a process of this machine',
      RuntimePlatform: 'the adapter runs as a process of this machine',
      Volumes: 'the journal is a file of this machine',
      ...TAGS,
    },
    async make(name, { ContainerDefinitions, TaskRoleArn }, { adapters, deliveries }) {
      const [container, ...others] = ContainerDefinitions as readonly (Container & { readonly Name: string })[]
      if (container?.Name !== 'adapter' || others.length > 0) {
        throw new Error(`the local stack knows tasks with the one container "adapter" only (${name})`)
      }
      adapters.push({ environment: variablesOf(container), role: roleId(TaskRoleArn) })
      const arn = `arn:aws:ecs:${REGION}:${ACCOUNT}:task-definition/${name}:1`
      if (TaskRoleArn !== undefined) deliveries.push(assuming('ecs-tasks.amazonaws.com', TaskRoleArn, arn))
      return { ref: arn, attributes: { TaskDefinitionArn: arn } }
    },
  },

  'AWS::CloudFront::Distribution': {
    uses: [],
    ignores: { DistributionConfig: 'the API serves the console here', ...TAGS },
    async make(name, _properties, { apiUrl }) {
      return { ref: name, attributes: { DomainName: new URL(apiUrl).host } }
    },
  },

  'AWS::Batch::JobQueue': {
    uses: [],
    ignores: {
      ComputeEnvironmentOrder: 'batch jobs run on this machine',
      JobStateTimeLimitActions: 'this machine is always there',
      Priority: 'there is one queue',
      State: 'no queue of ours is disabled',
      ...TAGS,
    },
    async make(name, _properties, { jobQueues }) {
      const ref = `arn:aws:batch:${REGION}:${ACCOUNT}:job-queue/${name}`
      jobQueues.push(ref)
      return { ref, attributes: { JobQueueArn: ref } }
    },
  },

  'AWS::Batch::JobDefinition': {
    uses: ['ContainerProperties', 'RetryStrategy', 'Timeout', 'Type'],
    ignores: {
      Parameters: 'a job brings its own',
      PlatformCapabilities: 'batch jobs run on this machine',
      ...TAGS,
    },
    async make(name, { Type, ContainerProperties, RetryStrategy, Timeout }, { deliveries, jobDefinitions }) {
      if (Type !== 'container') throw new Error(`the local stack runs containers only, not ${Type} (${name})`)
      const container = ContainerProperties as Container // CloudFormation's form
      const unknown = Object.keys(container).find((each) => !CONTAINER_PROPERTIES.includes(each))
      if (unknown !== undefined) {
        throw new Error(`the local stack does not support ContainerProperties.${unknown} (${name}); see cdk/README.md`)
      }
      const { Attempts = 1, EvaluateOnExit = [] } = (RetryStrategy ?? {}) as {
        Attempts?: number
        EvaluateOnExit?: readonly ExitRule[]
      }
      const { AttemptDurationSeconds = 86_400 } = (Timeout ?? {}) as { AttemptDurationSeconds?: number }
      const arn = `arn:aws:batch:${REGION}:${ACCOUNT}:job-definition/${name}:1`
      if (container.JobRoleArn !== undefined) {
        deliveries.push(assuming('ecs-tasks.amazonaws.com', container.JobRoleArn, arn))
      }
      jobDefinitions.push({
        arn,
        command: container.Command,
        environment: {
          ...variablesOf(container),
          ...credentialsOf(container.JobRoleArn),
        },
        attempts: Attempts,
        evaluateOnExit: EvaluateOnExit,
        timeoutMs: AttemptDurationSeconds * 1000,
      })
      return { ref: arn, attributes: {} }
    },
  },

  'AWS::Lambda::Url': {
    uses: ['InvokeMode', 'TargetFunctionArn'],
    ignores: { AuthType: 'the local API is open, on 127.0.0.1 only', Qualifier: ONE_VERSION },
    async make(name, { InvokeMode, TargetFunctionArn }, plan) {
      if (InvokeMode !== 'RESPONSE_STREAM')
        throw new Error(`the local stack knows streaming function URLs only (${name})`)
      plan.streams.push(functionNameOf(String(TargetFunctionArn)))
      return { ref: name, attributes: { FunctionUrl: `${plan.apiUrl}/` } }
    },
  },

  'AWS::ApiGatewayV2::Api': {
    uses: ['ProtocolType'],
    ignores: { Name: 'it has an address instead', ...TAGS },
    async make(name, { ProtocolType }, { apiUrl }) {
      if (ProtocolType !== 'HTTP')
        throw new Error(`the local stack serves HTTP APIs only, not ${ProtocolType} (${name})`)
      return { ref: name, attributes: { ApiEndpoint: apiUrl } }
    },
  },

  'AWS::ApiGatewayV2::Integration': {
    uses: ['IntegrationType', 'IntegrationUri', 'PayloadFormatVersion'],
    ignores: { ApiId: 'there is one API' },
    async make(name, { IntegrationType, IntegrationUri, PayloadFormatVersion }) {
      if (IntegrationType !== 'AWS_PROXY' || PayloadFormatVersion !== '2.0') {
        throw new Error(`the local stack knows AWS_PROXY with payload format 2.0 only (${name})`)
      }
      return { ref: String(IntegrationUri), attributes: {} }
    },
  },

  'AWS::ApiGatewayV2::Route': {
    uses: ['ApiId', 'RouteKey', 'Target'],
    ignores: {
      AuthorizationType: 'the local API is open, on 127.0.0.1 only',
      AuthorizerId: 'the local API is open, on 127.0.0.1 only',
    },
    async make(name, { ApiId, RouteKey, Target }, { deliveries, routes }) {
      const integration = String(Target).replace(/^integrations\//, '')
      const route = { routeKey: String(RouteKey), functionName: functionNameOf(integration) }
      deliveries.push({
        service: 'apigateway.amazonaws.com',
        source: routeArn(String(ApiId), route.routeKey),
        needs: [{ action: 'lambda:InvokeFunction', resource: integration }],
        begin: () => routes.push(route),
      })
      return { ref: name, attributes: {} }
    },
  },
}
