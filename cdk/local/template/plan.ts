/**
 * What a template is turned into, and what each maker of resources is given.
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

export type Properties = Readonly<Record<string, unknown>>

/** What AWS does by itself, if the policy of what it does it to allows it. */
export interface Delivery {
  readonly service: string
  /** ARN of what it is done for. */
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

/** What any AWS client needs to talk to an emulator: as a role, or as the user of this machine. */
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

/** What tells a resource from others of the same name. */
export interface Identity {
  readonly logicalId: string
  /** Construct path within the stack. */
  readonly path: string
}

/** How one resource type is made. A property that is neither used nor knowingly ignored is an error. */
export interface Maker {
  readonly uses: readonly string[]
  /** Property → why it does not matter here. */
  readonly ignores: Readonly<Record<string, string>>
  make(name: string, properties: Properties, plan: Plan, identity: Identity): Promise<Resolved>
}

export const AT_REST = 'nothing is encrypted at rest here'

export const TAGS = { Tags: 'tags mean nothing here' }

/** Nothing is encrypted here, but each caller of the resource must be allowed its key, as in AWS. AWS' own keys let everybody. */
export function encrypt(permissions: Permissions, resource: string, key: unknown): void {
  if (key === undefined || String(key).includes('alias/aws/')) return
  permissions.encrypt(resource, String(key).startsWith('arn:') ? String(key) : keyArn(String(key)))
}

/** A service takes on a role, if the role trusts it. */
export function assuming(service: string, role: unknown, source: string): Delivery {
  return { service, source, needs: [{ action: 'sts:AssumeRole', resource: String(role) }], begin: () => {} }
}

export const sending = (queueArn: string): Need => ({ action: 'sqs:SendMessage', resource: queueArn })

export const keyArn = (id: string): string => `arn:aws:kms:${REGION}:${ACCOUNT}:key/${id}`

/** Of `arn:aws:iam::000000000000:role/{id}`. */
export const roleId = (arn: unknown): string | undefined =>
  arn === undefined ? undefined : String(arn).split('/').at(-1)

/** The access key of a process that has the role: what it signs with tells the emulators who it is. */
export function credentialsOf(role: unknown): Readonly<Record<string, string>> {
  const id = roleId(role)
  return id === undefined ? {} : { AWS_ACCESS_KEY_ID: id }
}

/** Makers by resource type. */
export type Makers = Readonly<Record<string, Maker>>

/** Where ECGs lie; others hold logs and the console. */
export function bucketOf({ bucketNames }: Deployment): string {
  const bucket = bucketNames.find((name) => name === 'raw') ?? bucketNames[0]
  if (bucket === undefined) throw new Error('the template has no bucket')
  return bucket
}
