/**
 * CMR synthesis on demand: queue → `synthesis-dispatch` → AWS Batch on GPU instances that exist only while cines are drawn.
 * @module
 */
import { Duration, Stack } from 'aws-cdk-lib'
import * as batch from 'aws-cdk-lib/aws-batch'
import * as ec2 from 'aws-cdk-lib/aws-ec2'
import * as ecrAssets from 'aws-cdk-lib/aws-ecr-assets'
import * as events from 'aws-cdk-lib/aws-events'
import { SqsQueue } from 'aws-cdk-lib/aws-events-targets'
import * as iam from 'aws-cdk-lib/aws-iam'
import type * as logs from 'aws-cdk-lib/aws-logs'
import { Construct } from 'constructs'
import type { SiteConfig } from '../../shared/config/site.ts'
import type { SynthesisRules } from '../../shared/config/synthesis-rules.ts'
import { codeVersion } from '../../shared/version.ts'
import { IMAGE_SOURCES } from '../build/synthesis-image.ts'
import { type FunctionDefaults, lambdaFunction } from './lambda-function.ts'
import { logGroup } from './log-group.ts'
import { acknowledge, acknowledgeWildcards, printedArn } from './nag.ts'
import type { Network } from './network.ts'
import { consume, grantSend, type QueueOptions, type QueueWithDlq, queueWithDlq, visibilityFor } from './queue.ts'
import type { Results } from './results.ts'
import type { Storage } from './storage.ts'

/** The image by URI, or the folder that it is built from at deployment. */
export type SynthesisImage = { readonly uri: string } | { readonly folder: string }

export interface SynthesisProps {
  readonly defaults: FunctionDefaults
  readonly queues: QueueOptions
  readonly network: Network
  readonly storage: Storage
  readonly results: Results
  readonly site: SiteConfig
  readonly rules: SynthesisRules
  readonly image: SynthesisImage
  /** Most cines that are drawn at the same time. */
  readonly maxGpus: number
}

/** Each has one GPU (NVIDIA L4 or A10G, 24 GB), four vCPUs and 16 GB. */
const INSTANCE_TYPES = ['g6.xlarge', 'g5.xlarge']
const VCPUS = 4
/** Memory of a 16 GB instance that ECS leaves to the container, MB. */
const MEMORY_MB = 14_000

/** A drawing takes seconds, the start of the container a few minutes. */
const ATTEMPT_TIMEOUT = Duration.hours(1)

/** Time for handing a job to AWS Batch. */
const DISPATCH_TIMEOUT = Duration.seconds(30)

/** When no spot machine is available for this long, the job fails, and a user can request it again. */
const CAPACITY_TIMEOUT = Duration.hours(6)

/** Reasons that AWS Batch gives for a job that it cannot place, which would otherwise wait for ever. */
const STUCK = [
  'CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY',
  'MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE',
  'MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT',
]

/** Endpoints that an instance, its container and the dispatcher need, beside those of the network. */
const ENDPOINTS = {
  batch: ec2.InterfaceVpcEndpointAwsService.BATCH,
  ecr: ec2.InterfaceVpcEndpointAwsService.ECR,
  'ecr-docker': ec2.InterfaceVpcEndpointAwsService.ECR_DOCKER,
  ecs: ec2.InterfaceVpcEndpointAwsService.ECS,
  'ecs-agent': ec2.InterfaceVpcEndpointAwsService.ECS_AGENT,
  'ecs-telemetry': ec2.InterfaceVpcEndpointAwsService.ECS_TELEMETRY,
  logs: ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
}

/** Most concurrent batches of ten. */
const DISPATCHERS = 2

export class Synthesis extends Construct {
  readonly queues: QueueWithDlq
  readonly rules: SynthesisRules

  constructor(scope: Construct, id: string, props: SynthesisProps) {
    super(scope, id)
    this.rules = props.rules
    this.#log = logGroup(this, 'synthesize-log', props.defaults.trail)
    // The dispatcher itself delays retries and then sends the message to the DLQ with its reason; SQS must not do so earlier.
    this.queues = queueWithDlq(this, 'synthesis', {
      ...props.queues,
      visibilityTimeout: visibilityFor(DISPATCH_TIMEOUT),
      maxReceiveCount: 20,
    })
    const { queue } = this.queues

    const jobQueue = this.#jobQueue(props)
    const definition = this.#jobDefinition(props)
    this.#dispatcher(props, jobQueue, definition)
    // Jobs that could not report their end themselves.
    const ended = new events.Rule(this, 'cmr-ended', {
      eventPattern: {
        source: ['aws.batch'],
        detailType: ['Batch Job State Change'],
        detail: { status: ['FAILED'], jobQueue: [jobQueue.ref] },
      },
      targets: [
        new SqsQueue(queue, {
          message: events.RuleTargetInput.fromObject({
            schema: 1,
            kind: 'ended',
            tenant: events.EventField.fromPath('$.detail.parameters.tenant'),
            jobId: events.EventField.fromPath('$.detail.parameters.jobId'),
            batchJobId: events.EventField.fromPath('$.detail.jobId'),
          }),
        }),
      ],
    })
    acknowledge(ended, {
      'Serverless-EventBusDLQ':
        'EventBridge tries for a day; a job whose end nobody heard of can be cancelled and asked for again',
    })
  }

  #dispatcher(
    { defaults, network, storage }: SynthesisProps,
    jobQueue: batch.CfnJobQueue,
    definition: batch.CfnJobDefinition,
  ) {
    const { queue, dlq } = this.queues
    const dispatch = lambdaFunction(this, defaults, {
      name: 'synthesis-dispatch',
      bundle: 'synthesis-dispatch',
      memoryMb: 256,
      timeout: DISPATCH_TIMEOUT,
      concurrency: DISPATCHERS,
      network,
      environment: {
        SYNTHESIS_QUEUE_URL: queue.queueUrl,
        SYNTHESIS_DLQ_URL: dlq.queueUrl,
        RESULTS_TABLE: storage.table.tableName,
        BATCH_JOB_QUEUE: jobQueue.ref,
        BATCH_JOB_DEFINITION: definition.ref,
      },
    })
    consume(dispatch, queue, DISPATCHERS)
    grantSend(dlq, dispatch)
    storage.grantRows(dispatch, 'GetItem', 'UpdateItem')
    grant(dispatch, ['batch:SubmitJob'], [jobQueue.ref, definition.ref])
    grant(dispatch, ['batch:TerminateJob'], [this.#arn('batch', 'job/*')])
    acknowledgeWildcards(dispatch, [printedArn('batch', 'job/*')], 'A job has its id from Batch, when it is submitted')
  }

  /** GPU machines; none while nothing is drawn. */
  #jobQueue({ network, maxGpus }: SynthesisProps): batch.CfnJobQueue {
    const machines = this.#machineGroup(network)
    const launchTemplate = new ec2.LaunchTemplate(this, 'cmr-machine', {
      requireImdsv2: true,
      // A container is one network hop farther than the machine and must not get the machine's rights.
      httpPutResponseHopLimit: 1,
      // The image takes 5 GB.
      blockDevices: [
        {
          deviceName: '/dev/xvda',
          volume: ec2.BlockDeviceVolume.ebs(60, { encrypted: true, volumeType: ec2.EbsDeviceVolumeType.GP3 }),
        },
      ],
    })
    const profile = new iam.CfnInstanceProfile(this, 'cmr-machine-profile', { roles: [this.#machineRole().roleName] })
    const environment = new batch.CfnComputeEnvironment(this, 'cmr-machines', {
      type: 'MANAGED',
      computeResources: {
        type: 'SPOT',
        allocationStrategy: 'SPOT_PRICE_CAPACITY_OPTIMIZED',
        minvCpus: 0,
        maxvCpus: maxGpus * VCPUS,
        instanceTypes: INSTANCE_TYPES,
        instanceRole: profile.attrArn,
        ec2Configuration: [{ imageType: 'ECS_AL2023_NVIDIA' }],
        launchTemplate: { launchTemplateId: launchTemplate.launchTemplateId!, version: '$Latest' },
        subnets: network.vpc.isolatedSubnets.map(({ subnetId }) => subnetId),
        securityGroupIds: [machines.securityGroupId],
        updateToLatestImageVersion: true,
      },
      replaceComputeEnvironment: false,
    })
    return new batch.CfnJobQueue(this, 'cmr-jobs', {
      priority: 1,
      computeEnvironmentOrder: [{ order: 1, computeEnvironment: environment.ref }],
      jobStateTimeLimitActions: STUCK.map((reason) => ({
        action: 'CANCEL',
        state: 'RUNNABLE',
        reason,
        maxTimeSeconds: CAPACITY_TIMEOUT.toSeconds(),
      })),
    })
  }

  #machineGroup(network: Network): ec2.SecurityGroup {
    const machines = network.group('cmr-machine-group', 'Machines of CMR synthesis')
    network.letToAws(machines)
    // In one zone only: each has a cost per hour, and a job that is lost with the zone can be requested again.
    const [subnet] = network.vpc.isolatedSubnets
    for (const [name, service] of Object.entries(ENDPOINTS)) network.endpoint(name, service, [subnet!])
    return machines
  }

  /** Rights of the ECS agent. Replaces the managed policy, which can change clusters and tags of the whole account. */
  #machineRole(): iam.Role {
    const role = new iam.Role(this, 'cmr-machine-role', { assumedBy: new iam.ServicePrincipal('ec2.amazonaws.com') })
    grant(
      role,
      ['ecs:DeregisterContainerInstance', 'ecs:RegisterContainerInstance', 'ecs:SubmitAttachmentStateChanges'],
      [this.#arn('ecs', 'cluster/*')],
    )
    grant(role, ['ecs:SubmitContainerStateChange', 'ecs:SubmitTaskStateChange'], [this.#arn('ecs', 'cluster/*')])
    grant(
      role,
      ['ecs:Poll', 'ecs:StartTelemetrySession', 'ecs:UpdateContainerInstancesState'],
      [this.#arn('ecs', 'container-instance/*')],
    )
    grant(
      role,
      ['ecr:BatchCheckLayerAvailability', 'ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer'],
      [this.#arn('ecr', 'repository/*')],
    )
    // These two actions do not support resources.
    grant(role, ['ecr:GetAuthorizationToken', 'ecs:DiscoverPollEndpoint'], ['*'])
    acknowledgeWildcards(
      role,
      [
        '*',
        printedArn('ecs', 'cluster/*'),
        printedArn('ecs', 'container-instance/*'),
        printedArn('ecr', 'repository/*'),
      ],
      'Batch names its cluster, and the image may come from any repository of the account; two actions know no resource',
    )
    this.#log.grantWrite(role)
    return role
  }

  readonly #log: logs.LogGroup

  #jobDefinition({ storage, results, site, image }: SynthesisProps): batch.CfnJobDefinition {
    const { queue } = this.queues
    const role = new iam.Role(this, 'synthesize-role', {
      assumedBy: new iam.ServicePrincipal('ecs-tasks.amazonaws.com'),
    })
    storage.grantRows(role, 'GetItem', 'Query', 'UpdateItem')
    storage.grantGet(role, 'raw/')
    // Artifacts are read back after writing.
    storage.grantGet(role, 'artifacts/')
    storage.grantPut(role, 'artifacts/')
    storage.grantRemove(role, ['artifacts/'])
    // The worker returns a job to the queue when it is stopped.
    grantSend(queue, role)
    const isReported = site.ehr !== undefined
    const { region } = Stack.of(this)
    if (isReported) grantSend(results.fhir.queue, role)
    const environment: Readonly<Record<string, string>> = {
      RESULTS_TABLE: storage.table.tableName,
      RAW_BUCKET: storage.bucket.bucketName,
      SYNTHESIS_QUEUE_URL: queue.queueUrl,
      ...(isReported ? { RESULTS_FHIR_QUEUE_URL: results.fhir.queue.queueUrl } : {}),
      CODE_VERSION: codeVersion(IMAGE_SOURCES),
      // Batch does not set a region, and the machine's metadata are out of a container's reach. It has only the rights of its own role.
      AWS_REGION: region,
      AWS_EC2_METADATA_DISABLED: 'true',
    }
    return new batch.CfnJobDefinition(this, 'synthesize', {
      type: 'container',
      platformCapabilities: ['EC2'],
      parameters: { tenant: '', jobId: '' },
      timeout: { attemptDurationSeconds: ATTEMPT_TIMEOUT.toSeconds() },
      // A machine that was reclaimed is replaced. The exit status of the container is final; 143 means that the job was given back.
      retryStrategy: {
        attempts: 3,
        evaluateOnExit: [
          { action: 'RETRY', onStatusReason: 'Host EC2*' },
          { action: 'EXIT', onReason: '*' },
        ],
      },
      containerProperties: {
        image: 'uri' in image ? image.uri : this.#builtImage(image.folder),
        // Argument of the image's `node`; its folder has the layout of this repository.
        command: ['functions/synthesize/main.ts'],
        jobRoleArn: role.roleArn,
        resourceRequirements: [
          { type: 'VCPU', value: String(VCPUS) },
          { type: 'MEMORY', value: String(MEMORY_MB) },
          { type: 'GPU', value: '1' },
        ],
        readonlyRootFilesystem: true,
        privileged: false,
        environment: Object.entries(environment).map(([name, value]) => ({ name, value })),
        logConfiguration: {
          logDriver: 'awslogs',
          options: {
            'awslogs-group': this.#log.logGroupName,
            'awslogs-region': region,
            'awslogs-stream-prefix': 'synthesize',
          },
        },
      },
    })
  }

  #builtImage(directory: string): string {
    return new ecrAssets.DockerImageAsset(this, 'synthesize-image', {
      directory,
      platform: ecrAssets.Platform.LINUX_AMD64,
    }).imageUri
  }

  #arn(service: string, resource: string): string {
    return Stack.of(this).formatArn({ service, resource })
  }
}

function grant(grantee: iam.IGrantable, actions: string[], resourceArns: string[]): void {
  iam.Grant.addToPrincipal({ grantee, actions, resourceArns })
}
