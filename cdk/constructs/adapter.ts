/**
 * The streaming adapter on ECS: one task per shard, on its own machine, with a volume for its journal that outlives both.
 *
 * It cannot run on Fargate, whose volumes are not attached to the next task and so cannot hold a journal. The broker is outside AWS or has
 * no private name, so the machines have internet addresses; no inbound traffic is allowed.
 * @module
 */
import { Duration, RemovalPolicy, Size, Stack, Tags } from 'aws-cdk-lib'
import * as autoscaling from 'aws-cdk-lib/aws-autoscaling'
import * as ec2 from 'aws-cdk-lib/aws-ec2'
import * as ecrAssets from 'aws-cdk-lib/aws-ecr-assets'
import * as ecs from 'aws-cdk-lib/aws-ecs'
import * as iam from 'aws-cdk-lib/aws-iam'
import * as kms from 'aws-cdk-lib/aws-kms'
import { Architecture } from 'aws-cdk-lib/aws-lambda'
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager'
import type * as sqs from 'aws-cdk-lib/aws-sqs'
import { Construct } from 'constructs'
import { type AdapterDeployment, adapterName, type Shard } from '../../shared/config/deployment.ts'
import type { DeviceResults } from '../../shared/domain/result-summary.ts'
import { type LogDefaults, logGroup } from './log-group.ts'
import { acknowledge, acknowledgeWildcards, printedArn } from './nag.ts'
import { HTTPS, type Network } from './network.ts'
import { grantReceive, grantSend, type QueueWithDlq } from './queue.ts'
import type { Storage } from './storage.ts'

export interface AdaptersProps {
  readonly adapter: AdapterDeployment
  /** Build context of the image, which is built at deployment. */
  readonly image: string
  readonly architecture: Architecture
  /** Whether another component reads the windows that devices collect. */
  readonly hearsWindows: boolean
  readonly deviceResults: DeviceResults
  readonly network: Network
  readonly key: kms.IKey
  readonly log: LogDefaults
  readonly storage: Storage
  readonly intake: QueueWithDlq
  readonly results: QueueWithDlq
  readonly upkeepQueue: sqs.IQueue
}

/** 200 devices take a sixth of a core and 260 MB (streams/mqtt/README.md). */
const MEMORY_MIB = 1024

/** Twice the journal's limit, because a write-ahead log may become as large as the database. */
const VOLUME = Size.gibibytes(16)
const JOURNAL_LIMIT_MB = 6144

/** User of the container (streams/mqtt/Dockerfile). */
const USER = '10001:10001'

/** Tag of a machine, its volume and its task. The rights to attach a volume apply only to resources with it. */
const TAG = 'ecg-adapter'

export class Adapters extends Construct {
  readonly #props: AdaptersProps
  readonly #cluster: ecs.CfnCluster
  readonly #image: ecs.ContainerImage
  readonly #group: ec2.SecurityGroup

  constructor(scope: Construct, id: string, props: AdaptersProps) {
    super(scope, id)
    this.#props = props
    this.#cluster = new ecs.CfnCluster(this, 'adapters')
    acknowledge(this.#cluster, {
      'AwsSolutions-ECS4':
        'The adapter writes metrics of its own every minute, which alarms watch (shared/observe/metrics.ts)',
    })
    const isArm = props.architecture === Architecture.ARM_64
    this.#image = ecs.ContainerImage.fromDockerImageAsset(
      new ecrAssets.DockerImageAsset(this, 'adapter-image', {
        directory: props.image,
        platform: isArm ? ecrAssets.Platform.LINUX_ARM64 : ecrAssets.Platform.LINUX_AMD64,
      }),
    )
    this.#group = props.network.group('adapter-group', 'Machines of the streaming adapter')
    this.#group.addEgressRule(ec2.Peer.anyIpv4(), HTTPS, 'AWS')
    const { protocol, port } = new URL(props.adapter.brokerUrl)
    const brokerPort = Number(port || (protocol === 'wss:' ? 443 : 8883))
    this.#group.addEgressRule(ec2.Peer.anyIpv4(), ec2.Port.tcp(brokerPort), 'The broker')
    for (const shard of props.adapter.shards) this.#shard(new Construct(this, shard.id), shard, isArm)
  }

  #shard(scope: Construct, shard: Shard, isArm: boolean): void {
    const { network } = this.#props
    const [subnet] = network.vpc.publicSubnets
    const volume = new ec2.Volume(scope, 'journal', {
      availabilityZone: subnet!.availabilityZone,
      size: VOLUME,
      volumeType: ec2.EbsDeviceVolumeType.GP3,
      encrypted: true,
      encryptionKey: this.#props.key,
      removalPolicy: RemovalPolicy.RETAIN,
    })
    acknowledge(volume, {
      'HIPAA.Security-EC2EBSInBackupPlan':
        'What is in it leaves within a second, when SQS has it; a backup would keep ECGs that were erased',
    })
    const template = new ec2.LaunchTemplate(scope, 'machine', {
      instanceType: new ec2.InstanceType(isArm ? 't4g.small' : 't3.small'),
      machineImage: ecs.EcsOptimizedImage.amazonLinux2023(
        isArm ? ecs.AmiHardwareType.ARM : ecs.AmiHardwareType.STANDARD,
      ),
      role: this.#machineRole(scope, shard, volume),
      userData: ec2.UserData.custom(this.#userData(shard, volume.volumeId)),
      securityGroup: this.#group,
      associatePublicIpAddress: true,
      requireImdsv2: true,
      // A container is one network hop farther than the machine and must not get the machine's rights.
      httpPutResponseHopLimit: 1,
      blockDevices: [{ deviceName: '/dev/xvda', volume: ec2.BlockDeviceVolume.ebs(30, { encrypted: true }) }],
    })
    const machines = new autoscaling.AutoScalingGroup(scope, 'machines', {
      vpc: network.vpc,
      // The zone of the volume.
      vpcSubnets: { subnets: [subnet!] },
      launchTemplate: template,
      minCapacity: 1,
      maxCapacity: 1,
      // The volume can be attached to one machine only, so the old one stops first.
      updatePolicy: autoscaling.UpdatePolicy.rollingUpdate({ minInstancesInService: 0, maxBatchSize: 1 }),
    })
    acknowledge(machines, { 'AwsSolutions-AS3': 'It has one machine; a silent adapter raises an alarm of its own' })
    for (const each of [volume, machines]) Tags.of(each).add(TAG, shard.id)
    this.#service(scope, shard)
  }

  /** One task on this shard's machine only. The old one stops before the new one starts. */
  #service(scope: Construct, shard: Shard): void {
    const task = this.#task(scope, shard)
    new ecs.CfnService(scope, 'service', {
      cluster: this.#cluster.ref,
      taskDefinition: task.taskDefinitionArn,
      desiredCount: 1,
      launchType: 'EC2',
      deploymentConfiguration: {
        minimumHealthyPercent: 0,
        maximumPercent: 100,
        // A task that cannot start is not retried for hours: the previous task comes back.
        deploymentCircuitBreaker: { enable: true, rollback: true },
      },
      placementConstraints: [{ type: 'memberOf', expression: `attribute:${TAG} == ${shard.id}` }],
      enableEcsManagedTags: true,
      propagateTags: 'SERVICE',
    })
  }

  #task(scope: Construct, shard: Shard): ecs.TaskDefinition {
    const { adapter, hearsWindows, deviceResults, log, storage, intake, results, upkeepQueue } = this.#props
    const { auth } = adapter
    const secret = secretsmanager.Secret.fromSecretAttributes(scope, 'broker-secret', {
      secretCompleteArn: auth.secretArn,
      ...(auth.keyArn && { encryptionKey: kms.Key.fromKeyArn(scope, 'broker-secret-key', auth.keyArn) }),
    })
    const from = (field: string) => ecs.Secret.fromSecretsManager(secret, field)
    const task = new ecs.Ec2TaskDefinition(scope, 'task', {
      networkMode: ecs.NetworkMode.BRIDGE,
      volumes: [{ name: 'journal', host: { sourcePath: '/journal' } }],
    })
    const container = task.addContainer('adapter', {
      image: this.#image,
      memoryReservationMiB: MEMORY_MIB,
      user: USER,
      readonlyRootFilesystem: true,
      privileged: false,
      // The adapter sends what is complete for up to three seconds.
      stopTimeout: Duration.seconds(30),
      // ECS ignores the health check of the image (streams/mqtt/Dockerfile). A stalled task is restarted; its journal stays.
      healthCheck: {
        command: ['CMD', 'node', 'streams/mqtt/alive.ts'],
        interval: Duration.seconds(30),
        timeout: Duration.seconds(5),
        startPeriod: Duration.seconds(60),
        retries: 3,
      },
      environment: {
        MQTT_URL: adapter.brokerUrl,
        MQTT_VERSION: String(adapter.mqttVersion),
        MQTT_CLIENT_ID: adapterName(shard),
        MQTT_CONNECTIONS: String(adapter.connections),
        MQTT_TENANTS: shard.tenants.join(),
        MQTT_WINDOWS: hearsWindows ? 'on' : 'off',
        JOURNAL_LIMIT_MB: String(JOURNAL_LIMIT_MB),
        DEVICE_LIMITS: JSON.stringify(adapter.limits),
        INTAKE_QUEUE_URL: intake.queue.queueUrl,
        INTAKE_DLQ_URL: intake.dlq.queueUrl,
        RESULTS_MQTT_QUEUE_URL: results.queue.queueUrl,
        UPKEEP_QUEUE_URL: upkeepQueue.queueUrl,
        RAW_BUCKET: storage.bucket.bucketName,
        ...(deviceResults === 'whole' ? {} : { DEVICE_RESULTS: deviceResults }),
        AWS_REGION: Stack.of(this).region,
      },
      secrets:
        auth.kind === 'password'
          ? { MQTT_USERNAME: from('username'), MQTT_PASSWORD: from('password') }
          : { MQTT_CERT: from('certificate'), MQTT_KEY: from('key') },
      logging: ecs.LogDrivers.awsLogs({ logGroup: logGroup(scope, 'adapter-log', log), streamPrefix: 'adapter' }),
    })
    acknowledge(task, { 'AwsSolutions-ECS2': 'What stands there is no secret; those come from Secrets Manager' })
    acknowledgeWildcards(task.obtainExecutionRole(), ['*'], 'ecr:GetAuthorizationToken knows no resource')
    container.addMountPoints({ sourceVolume: 'journal', containerPath: '/journal', readOnly: false })
    grantSend(intake.queue, task.taskRole)
    grantSend(intake.dlq, task.taskRole)
    grantReceive(results.queue, task.taskRole)
    grantSend(upkeepQueue, task.taskRole)
    storage.grantPut(task.taskRole, 'raw/')
    storage.grantPut(task.taskRole, 'rejected/')
    return task
  }

  /** Rights of the ECS agent in this cluster, and the right to attach the journal. */
  #machineRole(scope: Construct, shard: Shard, volume: ec2.Volume): iam.Role {
    const stack = Stack.of(this)
    const role = new iam.Role(scope, 'machine-role', { assumedBy: new iam.ServicePrincipal('ec2.amazonaws.com') })
    const allow = (actions: string[], resources: string[], conditions?: iam.Conditions) =>
      role.addToPolicy(new iam.PolicyStatement({ actions, resources, ...(conditions && { conditions }) }))
    const instances = stack.formatArn({
      service: 'ecs',
      resource: 'container-instance',
      resourceName: `${this.#cluster.ref}/*`,
    })
    allow(
      [
        'ecs:DeregisterContainerInstance',
        'ecs:RegisterContainerInstance',
        'ecs:SubmitAttachmentStateChanges',
        'ecs:SubmitContainerStateChange',
        'ecs:SubmitTaskStateChange',
      ],
      [this.#cluster.attrArn],
    )
    allow(['ecs:Poll', 'ecs:StartTelemetrySession', 'ecs:UpdateContainerInstancesState'], [instances])
    // The rule names the cluster by logical id.
    acknowledgeWildcards(
      role,
      [
        '*',
        printedArn('ecs', `container-instance/<${stack.getLogicalId(this.#cluster)}>/*`),
        printedArn('ec2', 'instance/*'),
      ],
      'Machines have their ids when they start: those of this cluster, and with the tag of this shard; ecs:DiscoverPollEndpoint knows no resource',
    )
    // The action does not support resources.
    allow(['ecs:DiscoverPollEndpoint'], ['*'])
    allow(
      ['ec2:AttachVolume'],
      [
        stack.formatArn({ service: 'ec2', resource: 'volume', resourceName: volume.volumeId }),
        stack.formatArn({ service: 'ec2', resource: 'instance', resourceName: '*' }),
      ],
      { StringEquals: { [`aws:ResourceTag/${TAG}`]: shard.id } },
    )
    // EC2 opens the volume on behalf of the machine.
    allow(['kms:CreateGrant', 'kms:Decrypt'], [this.#props.key.keyArn], {
      StringEquals: { 'kms:ViaService': `ec2.${stack.region}.amazonaws.com` },
    })
    return role
  }

  /** Attaches the journal, and joins the cluster only after that. A machine that cannot attach it shuts down, and another one tries. */
  #userData(shard: Shard, volumeId: string): string {
    const metadata = 'http://169.254.169.254/latest'
    return [
      '#!/bin/bash',
      'set -euo pipefail',
      "trap 'shutdown -h now' ERR",
      'command -v aws || dnf install -y awscli-2',
      `volume=${volumeId}`,
      `token=$(curl -sfX PUT ${metadata}/api/token -H 'X-aws-ec2-metadata-token-ttl-seconds: 300')`,
      `instance=$(curl -sf -H "X-aws-ec2-metadata-token: $token" ${metadata}/meta-data/instance-id)`,
      // The previous machine may not have released it yet.
      `until aws ec2 attach-volume --region ${Stack.of(this).region} --volume-id $volume --instance-id $instance --device /dev/sdf; do sleep 5; done`,
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's
      'device=/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${volume/-/}',
      'until [ -e $device ]; do sleep 1; done',
      'blkid $device || mkfs.xfs $device',
      'mkdir -p /journal',
      'mount $device /journal',
      `chown ${USER} /journal`,
      `echo ECS_CLUSTER=${this.#cluster.ref} >> /etc/ecs/ecs.config`,
      `echo 'ECS_INSTANCE_ATTRIBUTES={"${TAG}":"${shard.id}"}' >> /etc/ecs/ecs.config`,
    ].join('\n')
  }
}
