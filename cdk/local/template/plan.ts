/**
 * The plan that a template becomes, and the input of each maker of resources.
 * @module
 */
import { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { S3Client } from '@aws-sdk/client-s3'
import { SNSClient } from '@aws-sdk/client-sns'
import { SQSClient } from '@aws-sdk/client-sqs'
import { ACCOUNT, REGION } from '../account.ts'
import type { FailureRule, JobDefinition } from '../aws/batch.ts'
import type { Emulators } from '../aws/emulators.ts'
import type { EventSourceMapping } from '../aws/event-source.ts'
import type { Route } from '../aws/http-api.ts'
import type { TopicRule } from '../aws/iot.ts'
import type { Schedule } from '../aws/schedule.ts'
import type { Need, Permissions } from '../iam/permissions.ts'
import type { FunctionSpec } from '../lambda/sandbox.ts'
import type { Resolved } from './intrinsics.ts'

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

/** `streams/mqtt` as an ECS container. */
export interface AdapterTask {
  readonly environment: Readonly<Record<string, string>>
  readonly role: string | undefined
}

/** The deployed template. Names are the last part of a resource's construct path: `intake`, `intake-dlq`, `results`. */
export interface Deployment {
  readonly queueUrls: Readonly<Record<string, string>>
  readonly tableNames: readonly string[]
  readonly bucketNames: readonly string[]
  readonly functions: readonly FunctionSpec[]
  readonly mappings: readonly EventSourceMapping[]
  readonly routes: readonly Route[]
  readonly schedules: readonly Schedule[]
  /** ARNs of AWS Batch queues. */
  readonly jobQueues: readonly string[]
  readonly jobDefinitions: readonly JobDefinition[]
  readonly failureRules: readonly FailureRule[]
  readonly topicRules: readonly TopicRule[]
  /** Adapters of the devices' broker, one per shard. */
  readonly adapters: readonly AdapterTask[]
  /** Names of functions with a streaming URL. */
  readonly streams: readonly string[]
  /** The template's outputs, as `cdk deploy --outputs-file` would write them. */
  readonly outputs: Readonly<Record<string, string>>
}

/** Where a template is deployed. */
export interface Place {
  readonly emulators: Emulators
  /** Gets the template's roles and policies. */
  readonly permissions: Permissions
  /** The cloud assembly with the functions' bundles. */
  readonly assemblyDir: string
  readonly apiUrl: string
  /** Environment with the addresses of other services. */
  readonly endpoints: Readonly<Record<string, string>>
  /** Tenant of every caller, where no provider signs tokens. */
  readonly tenant: string
  /** Provider of the API's tokens; absent where every caller is accepted. */
  readonly identity?: LocalIdentity | undefined
}

/** An identity provider on this machine, which may speak plain http. */
export interface LocalIdentity {
  readonly issuer: string
  readonly audience: string
  readonly jwksUrl: string
  /** Tenants whose tokens are accepted. */
  readonly tenants: readonly string[]
}

export type Properties = Readonly<Record<string, unknown>>

/** An action of AWS itself, which the policy of its target must allow. */
export interface Delivery {
  readonly service: string
  /** ARN of the resource on whose behalf it acts. */
  readonly source: string
  readonly needs: readonly Need[]
  begin(): unknown
}

export interface Plan extends Deployment, Place {
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

export function newPlan(place: Place): Plan {
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

/** Options of an AWS client for an emulator: as a role, or as this machine's user. */
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

/** Distinguishes resources of the same name. */
export interface Identity {
  readonly logicalId: string
  /** Construct path within the stack. */
  readonly path: string
}

/** How a resource type is created. A property that is neither used nor explicitly ignored is an error. */
export interface Maker {
  readonly uses: readonly string[]
  /** Property → why it has no effect here. */
  readonly ignores: Readonly<Record<string, string>>
  make(name: string, properties: Properties, plan: Plan, identity: Identity): Promise<Resolved>
}

export const AT_REST = 'nothing is encrypted at rest here'

export const TAGS = { Tags: 'tags mean nothing here' }

/** Nothing is encrypted here, but each caller of the resource needs permission for its key, as in AWS. AWS-managed keys allow everybody. */
export function encrypt(permissions: Permissions, resource: string, key: unknown): void {
  if (key === undefined || String(key).includes('alias/aws/')) return
  permissions.encrypt(resource, String(key).startsWith('arn:') ? String(key) : keyArn(String(key)))
}

/** A service assumes a role, if the role trusts it. */
export function assuming(service: string, role: unknown, source: string): Delivery {
  return { service, source, needs: [{ action: 'sts:AssumeRole', resource: String(role) }], begin: () => {} }
}

export const sending = (queueArn: string): Need => ({ action: 'sqs:SendMessage', resource: queueArn })

export const keyArn = (id: string): string => `arn:aws:kms:${REGION}:${ACCOUNT}:key/${id}`

/** Id in `arn:aws:iam::000000000000:role/{id}`. */
export const roleId = (arn: unknown): string | undefined =>
  arn === undefined ? undefined : String(arn).split('/').at(-1)

/** Access key of a process with the role. Its signature tells the emulators which role it has. */
export function credentialsOf(role: unknown): Readonly<Record<string, string>> {
  const id = roleId(role)
  return id === undefined ? {} : { AWS_ACCESS_KEY_ID: id }
}

/** Makers by resource type. */
export type Makers = Readonly<Record<string, Maker>>

/** The bucket of ECGs; others hold logs and the console. */
export function bucketOf({ bucketNames }: Deployment): string {
  const bucket = bucketNames.find((name) => name === 'raw') ?? bucketNames[0]
  if (bucket === undefined) throw new Error('the template has no bucket')
  return bucket
}
