import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Match, Template } from 'aws-cdk-lib/assertions'
import { beforeAll, describe, expect, it } from 'vitest'
import { createApp } from '../../cdk/app.ts'
import { MEMORY_MB } from '../../cdk/cost/service.ts'
import { exampleSites, readSite } from '../../cdk/site.ts'
import { STACK_NAME } from '../../cdk/stack-name.ts'
import type { IdentityProvider } from '../../shared/config/deployment.ts'
import { SiteConfig } from '../../shared/config/site.ts'
import { temporaryFolder } from '../helpers/temporary-folder.ts'
import { functionFolder } from './helpers/assembly.ts'
import { type Bundles, bundlesIn, exampleTemplate, RULES, templateOf, WITH_EHR } from './helpers/templates.ts'

let bundles: Bundles
/** Of a site with an EHR. */
let template: Template

/** IAM knows no resource for these: of a machine of Batch, and of Lambda that plugs a function into a network. */
const FORCED = [
  'ecr:GetAuthorizationToken',
  'ecs:DiscoverPollEndpoint',
  'ec2:AssignPrivateIpAddresses',
  'ec2:CreateNetworkInterface',
  'ec2:DeleteNetworkInterface',
  'ec2:DescribeNetworkInterfaces',
  'ec2:DescribeSubnets',
  'ec2:UnassignPrivateIpAddresses',
]

const API_VARIABLES = [
  'ALARMS_OF_STACK',
  'API_LIMITS',
  'AUDIT_DAYS',
  'AUDIT_TABLE',
  'RESULTS_TABLE',
  'RAW_BUCKET',
  'SITE_CONFIG',
  'MODEL_NAME',
  'MODEL_SHA256',
  'SYNTHESIS_RULES',
  ...['INTAKE', 'SCREENING', 'RESULTS_MQTT', 'RESULTS_FHIR', 'FHIR_INBOUND', 'SYNTHESIS', 'UPKEEP'].flatMap((queue) => [
    `${queue}_QUEUE_URL`,
    `${queue}_DLQ_URL`,
  ]),
]

beforeAll(async () => {
  bundles = bundlesIn(await functionFolder('export const handler = async () => {}'))
  template = templateOf(WITH_EHR)
  for (const name of exampleSites()) exampleTemplate(name)
}, 300_000)

/** Typed as CDK types them: any CloudFormation value. */
function propertiesOf(type: string) {
  return Object.values(template.findResources(type)).map(({ Properties }) => Properties)
}

/** CDK writes `name:live` as a join of a piece of the alias's own ARN. */
const aliasOf = (functionName: unknown) => /"Ref":"(\w+)"/.exec(JSON.stringify(functionName))![1]!

describe('the stack', () => {
  it('gives every working queue a DLQ with 14 days of retention', () => {
    const queues = template.findResources('AWS::SQS::Queue')

    const working = Object.values(queues).filter(({ Properties }) => Properties.RedrivePolicy)

    expect(working).toHaveLength(7)
    for (const { Properties } of working) {
      const dlq = queues[Properties.RedrivePolicy.deadLetterTargetArn['Fn::GetAtt'][0]]
      expect(dlq?.Properties.MessageRetentionPeriod).toBe(14 * 24 * 3600)
      // `report` gives up after twelve tries by itself.
      expect([15, 20]).toContain(Properties.RedrivePolicy.maxReceiveCount)
    }
    expect(Object.keys(queues)).toHaveLength(2 * working.length)
  })

  it('refuses plain HTTP to queues, topic and bucket, and encrypts them', () => {
    const plainHttp = Match.objectLike({
      Effect: 'Deny',
      Condition: Match.objectLike({ Bool: { 'aws:SecureTransport': 'false' } }),
    })

    for (const type of ['AWS::SQS::QueuePolicy', 'AWS::SNS::TopicPolicy', 'AWS::S3::BucketPolicy']) {
      template.allResourcesProperties(type, { PolicyDocument: { Statement: Match.arrayWith([plainHttp]) } })
    }
    template.allResourcesProperties('AWS::SQS::Queue', {
      KmsMasterKeyId: Match.anyValue(),
      KmsDataKeyReusePeriodSeconds: 3600,
    })
    template.allResourcesProperties('AWS::SNS::Topic', { KmsMasterKeyId: Match.anyValue() })
    template.allResourcesProperties('AWS::S3::Bucket', { BucketEncryption: Match.anyValue() })
  })

  it('sends batches of ten, without delay except for reports, with partial failures', () => {
    template.resourceCountIs('AWS::Lambda::EventSourceMapping', 6)
    template.allResourcesProperties('AWS::Lambda::EventSourceMapping', {
      BatchSize: 10,
      FunctionResponseTypes: ['ReportBatchItemFailures'],
    })
    const windows = propertiesOf('AWS::Lambda::EventSourceMapping').map((each) => each.MaximumBatchingWindowInSeconds)
    expect(windows.filter((seconds) => seconds !== undefined)).toEqual([1])
    const concurrency = propertiesOf('AWS::Lambda::EventSourceMapping').map(
      (each) => each.ScalingConfig.MaximumConcurrency,
    )
    expect(concurrency.sort()).toEqual([2, 5, 5, 5, 50, 50])
  })

  it('hides a message for six times its function’s timeout', () => {
    const functions = template.findResources('AWS::Lambda::Function')
    const aliases = template.findResources('AWS::Lambda::Alias')
    const queues = template.findResources('AWS::SQS::Queue')

    for (const { FunctionName, EventSourceArn } of propertiesOf('AWS::Lambda::EventSourceMapping')) {
      const { Timeout } = functions[aliases[aliasOf(FunctionName)]!.Properties.FunctionName.Ref]!.Properties
      const { VisibilityTimeout } = queues[EventSourceArn['Fn::GetAtt'][0]]!.Properties
      expect(VisibilityTimeout).toBe(6 * Timeout)
    }
  })

  it('hides a live window for at most a minute after its function was killed', () => {
    const live = Object.entries(template.findResources('AWS::SQS::Queue')).filter(
      ([, { Properties }]) => Properties.RedrivePolicy?.maxReceiveCount === 15,
    )

    expect(live).toHaveLength(3)
    for (const [, { Properties }] of live) expect(Properties.VisibilityTimeout).toBeLessThanOrEqual(60)
  })

  it('delivers results to both queues raw, without the SNS envelope', () => {
    template.resourceCountIs('AWS::SNS::Subscription', 2)
    template.allResourcesProperties('AWS::SNS::Subscription', { Protocol: 'sqs', RawMessageDelivery: true })
  })

  it('has no result queue for an EHR without an EHR', () => {
    templateOf(SiteConfig.parse({})).resourceCountIs('AWS::SNS::Subscription', 1)
  })

  it('grants no function a wildcard or a managed policy', () => {
    const statements = propertiesOf('AWS::IAM::Policy').flatMap(({ PolicyDocument }) => PolicyDocument.Statement)

    expect(statements.length).toBeGreaterThan(0)
    for (const { Action, Resource } of statements) {
      const actions = [Action].flat()
      expect(actions.join()).not.toContain('*')
      if (actions.every((action: string) => FORCED.includes(action))) continue
      expect([Resource].flat()).not.toContain('*')
    }
    template.allResourcesProperties('AWS::IAM::Role', { ManagedPolicyArns: Match.absent() })
  })

  it('gives functions of the window path the memory that docs/scale.md assumes', () => {
    const given = propertiesOf('AWS::Lambda::Function').map(({ Environment, MemorySize }) => [
      Environment.Variables.POWERTOOLS_SERVICE_NAME,
      MemorySize,
    ])

    expect(Object.fromEntries(given)).toMatchObject(MEMORY_MB)
  })

  it('retains waveforms and results when it is deleted', () => {
    for (const type of ['AWS::S3::Bucket', 'AWS::DynamoDB::Table']) {
      template.allResources(type, { DeletionPolicy: 'Retain', UpdateReplacePolicy: 'Retain' })
    }
    template.hasResourceProperties('AWS::DynamoDB::Table', {
      BillingMode: 'PAY_PER_REQUEST',
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
      GlobalSecondaryIndexes: [Match.objectLike({ IndexName: 'byArrival' })],
    })
    template.hasResourceProperties('AWS::S3::Bucket', {
      VersioningConfiguration: { Status: 'Enabled' },
      PublicAccessBlockConfiguration: { BlockPublicAcls: true, RestrictPublicBuckets: true },
    })
  })

  it.each([
    ['preprocess', ['INTAKE_DLQ_URL', 'SCREENING_QUEUE_URL', 'RAW_BUCKET', 'RESULTS_TABLE']],
    ['screen', ['CODE_VERSION', 'SCREENING_DLQ_URL', 'RESULTS_TABLE', 'RESULTS_TOPIC_ARN', 'RAW_BUCKET', 'MODEL_DIR']],
    [
      'fhir-intake',
      [
        'FHIR_INBOUND_DLQ_URL',
        'FHIR_INBOUND_QUEUE_URL',
        'INTAKE_QUEUE_URL',
        'RAW_BUCKET',
        'RESULTS_TABLE',
        'SITE_CONFIG',
      ],
    ],
    ['report', ['RESULTS_FHIR_DLQ_URL', 'RESULTS_FHIR_QUEUE_URL', 'RESULTS_TABLE', 'RAW_BUCKET', 'SITE_CONFIG']],
    [
      'synthesis-dispatch',
      ['SYNTHESIS_QUEUE_URL', 'SYNTHESIS_DLQ_URL', 'RESULTS_TABLE', 'BATCH_JOB_QUEUE', 'BATCH_JOB_DEFINITION'],
    ],
    ['api', API_VARIABLES],
    ['events', API_VARIABLES],
  ])('sets the environment variables that %s reads', (name, variables) => {
    const common = ['LOG_LEVEL', 'POWERTOOLS_METRICS_NAMESPACE', 'POWERTOOLS_SERVICE_NAME']
    const given = propertiesOf('AWS::Lambda::Function')
      .map(({ Environment }) => Environment.Variables)
      .find((variables) => variables.POWERTOOLS_SERVICE_NAME === name)

    expect(Object.keys(given).sort()).toEqual([...common, ...variables].sort())
  })

  it('polls the EHR for new ECGs every five minutes', () => {
    template.hasResourceProperties('AWS::Events::Rule', {
      ScheduleExpression: 'rate(5 minutes)',
      Targets: [Match.objectLike({ Input: '{"schema":1,"tenant":"local","kind":"poll"}' })],
    })
  })

  it('runs Node 24 on arm64, with one whole vCPU for the model', () => {
    template.allResourcesProperties('AWS::Lambda::Function', { Runtime: 'nodejs24.x', Architectures: ['arm64'] })
    template.hasResourceProperties('AWS::Lambda::Function', { MemorySize: 1769, Timeout: 10 })
  })

  it('leaves the token check to the app without an identity provider, and never disables it', () => {
    const routes = propertiesOf('AWS::ApiGatewayV2::Route').map((route) => [route.RouteKey, route.AuthorizationType])

    expect(Object.fromEntries(routes)).toEqual({
      'ANY /{proxy+}': 'NONE',
      'ANY /fhir/{proxy+}': 'NONE',
      'ANY /v1/{proxy+}': 'NONE',
      'GET /': 'NONE',
    })
    expect(JSON.stringify(template.toJSON())).not.toContain('UNAUTHENTICATED')
  })

  it('checks tokens at the gateway too, throttles, and logs routes without callers or ECG IDs', () => {
    const stack = exampleTemplate('clinic')

    stack.hasResourceProperties('AWS::ApiGatewayV2::Route', { RouteKey: 'ANY /v1/{proxy+}', AuthorizationType: 'JWT' })
    stack.hasResourceProperties('AWS::ApiGatewayV2::Authorizer', {
      JwtConfiguration: { Audience: ['cardiacnets'], Issuer: 'https://id.clinic.example/' },
    })
    stack.hasResourceProperties('AWS::ApiGatewayV2::Stage', {
      DefaultRouteSettings: { ThrottlingRateLimit: 10, ThrottlingBurstLimit: 20 },
      // One throttle per route: unauthenticated requests do not use up the limit of callers with a token.
      RouteSettings: {
        'ANY /{proxy+}': { ThrottlingRateLimit: 10, ThrottlingBurstLimit: 20 },
        'ANY /fhir/{proxy+}': { ThrottlingRateLimit: 10, ThrottlingBurstLimit: 20 },
        'ANY /v1/{proxy+}': { ThrottlingRateLimit: 10, ThrottlingBurstLimit: 20 },
      },
      AccessLogSettings: { Format: Match.not(Match.stringLikeRegexp('context\\.(path|authorizer)')) },
    })
  })

  it('grants the events function exactly these rights: read the table, reserve a stream, append to the audit trail', () => {
    const policies = template.findResources('AWS::IAM::Policy')
    const [id] = Object.keys(policies).filter((name) => name.includes('eventsrole'))

    const statements: { Action: string | string[] }[] = policies[id!]!.Properties.PolicyDocument.Statement

    const actions = statements.flatMap(({ Action }) => Action).filter((action) => !action.startsWith('kms:'))
    expect([...new Set(actions)].sort()).toEqual([
      'dynamodb:DeleteItem',
      'dynamodb:GetItem',
      'dynamodb:PutItem',
      'dynamodb:Query',
      'logs:CreateLogStream',
      'logs:PutLogEvents',
    ])
  })
})

describe('the private network', () => {
  const functionOf = (of: Template, name: string) =>
    Object.values(of.findResources('AWS::Lambda::Function')).find(
      ({ Properties }) => Properties.Environment.Variables.POWERTOOLS_SERVICE_NAME === name,
    )!.Properties

  it('has no route to the internet and contains only functions that call nothing but AWS', () => {
    template.resourceCountIs('AWS::EC2::NatGateway', 0)
    template.resourceCountIs('AWS::EC2::InternetGateway', 0)
    for (const name of ['preprocess', 'screen', 'synthesis-dispatch']) {
      expect(functionOf(template, name).VpcConfig.SubnetIds).toHaveLength(2)
    }
    for (const name of ['report', 'fhir-intake', 'api', 'events']) {
      expect(functionOf(template, name)).not.toHaveProperty('VpcConfig')
    }
  })

  it('has VPC endpoints for the services that its functions call, in each zone of the site', () => {
    const subnets = (of: Template, service: string) =>
      Object.values(of.findResources('AWS::EC2::VPCEndpoint'))
        .filter(({ Properties }) => JSON.stringify(Properties.ServiceName).includes(`.${service}"`))
        .flatMap(({ Properties }) => Properties.SubnetIds)

    expect(subnets(template, 'sqs')).toHaveLength(2)
    expect(subnets(template, 'sns')).toHaveLength(2)
    expect(subnets(template, 'batch')).toHaveLength(1)
    expect(subnets(exampleTemplate('clinic'), 'sqs')).toHaveLength(1)
  })

  it('reserves for every function the concurrency of its queue', () => {
    for (const { FunctionName, ScalingConfig } of propertiesOf('AWS::Lambda::EventSourceMapping')) {
      const alias = template.findResources('AWS::Lambda::Alias')[aliasOf(FunctionName)]!
      const fn = template.findResources('AWS::Lambda::Function')[alias.Properties.FunctionName.Ref]!
      expect(fn.Properties.ReservedConcurrentExecutions).toBe(ScalingConfig.MaximumConcurrency)
    }
    template.allResourcesProperties('AWS::Lambda::Function', { ReservedConcurrentExecutions: Match.anyValue() })
  })
})

describe('AWS IoT Core', () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: variables of IoT's policies
  const THING = '${iot:Connection.Thing.ThingName}'
  // biome-ignore lint/suspicious/noTemplateCurlyInString: variables of IoT's policies
  const OWN = `ecg/v1/${'${iot:Connection.Thing.Attributes[tenant]}'}/${THING}`

  /** Of a policy, each action with the resources that it is allowed, without partition, region and account. */
  function allowed(of: Template, id: string) {
    const [policy] = Object.entries(of.findResources('AWS::IoT::Policy')).filter(([name]) => name.includes(id))
    const statements: { Action: string[]; Resource: { 'Fn::Join': [string, unknown[]] }[] }[] =
      policy![1].Properties.PolicyDocument.Statement
    return Object.fromEntries(
      statements.map(({ Action, Resource }) => [
        Action.join(),
        Resource.map((arn) => String(arn['Fn::Join'][1].at(-1)).replace(/^:/, '')),
      ]),
    )
  }

  it('lets a device publish and subscribe only to its own topics, as itself', () => {
    expect(allowed(exampleTemplate('clinic'), 'devicepolicy')).toEqual({
      'iot:Connect': [`client/${THING}`],
      'iot:Publish': [`topic/${OWN}/frames`, `topic/${OWN}/window`, `topic/${OWN}/status`],
      'iot:RetainPublish': [`topic/${OWN}/status`],
      'iot:Subscribe': [`topicfilter/${OWN}/results`, `topicfilter/${OWN}/cmd`],
      'iot:Receive': [`topic/${OWN}/results`, `topic/${OWN}/cmd`],
    })
  })

  it('lets devices publish windows directly to the rule, without a subscription, if the site allows it', () => {
    const fleet = exampleTemplate('wearable-fleet')
    const {
      'iot:Publish': publish,
      'iot:Subscribe': subscribe,
      'iot:Receive': receive,
    } = allowed(fleet, 'devicepolicy')

    expect(publish).toContain(`topic/$aws/rules/CardiacNets_Fleet_windows/${OWN}/window`)
    expect(publish!.filter((topic) => topic.includes('$aws'))).toHaveLength(1)
    expect([...subscribe!, ...receive!].filter((topic) => topic.includes('$aws'))).toEqual([])
    fleet.hasResourceProperties('AWS::IoT::TopicRule', {
      RuleName: 'CardiacNets_Fleet_windows',
      TopicRulePayload: Match.objectLike({ Sql: Match.stringLikeRegexp("FROM 'ecg/v1/\\+/\\+/window'$") }),
    })
  })

  it('sends summaries to devices if the site enables them', () => {
    const told = (of: Template) =>
      JSON.stringify(of.toJSON()).match(/"DEVICE_RESULTS":"\w+"|"Name":"DEVICE_RESULTS","Value":"\w+"/g)

    expect(told(exampleTemplate('clinic'))).toBe(null)
    expect(told(exampleTemplate('wearable-fleet'))).toEqual(['"DEVICE_RESULTS":"summary"'])
    expect(new Set(told(exampleTemplate('hospital')))).toEqual(new Set(['"Name":"DEVICE_RESULTS","Value":"summary"']))
  })

  it('lets an adapter receive the frames of its own tenants', () => {
    const { 'iot:Receive': receive, 'iot:Subscribe': subscribe } = allowed(exampleTemplate('hospital'), 'adaptericu')

    expect(receive).toEqual(['topic/ecg/v1/icu/*/frames'])
    expect(subscribe).toEqual(['topicfilter/ecg/v1/icu/+/frames', 'topicfilter/$share/ecg-icu/ecg/v1/icu/+/frames'])
  })

  it('sends windows with their topic to the intake, and failed ones to its DLQ', () => {
    const stack = exampleTemplate('clinic')

    const queue = (name: string) => ({
      Sqs: Match.objectLike({ QueueUrl: { Ref: Match.stringLikeRegexp(`^Intake${name}[0-9A-F]+$`) } }),
    })
    stack.hasResourceProperties('AWS::IoT::TopicRule', {
      TopicRulePayload: Match.objectLike({
        Sql: "SELECT encode(*, 'base64') AS data, topic() AS topic, timestamp() AS receivedAtMs FROM 'ecg/v1/+/+/window'",
        Actions: [queue('intake')],
        ErrorAction: queue('intakedlq'),
      }),
    })
  })

  it('publishes results itself when there is no adapter', () => {
    const publishers = (of: Template) =>
      JSON.stringify(of.findResources('AWS::Lambda::Function')).split('"POWERTOOLS_SERVICE_NAME":"publish"').length - 1

    expect(publishers(exampleTemplate('clinic'))).toBe(1)
    expect(publishers(exampleTemplate('hospital'))).toBe(0)
  })
})

describe('the audit trail', () => {
  it('can be appended to, and not read, changed or deleted by any function', () => {
    const [table] = Object.keys(template.findResources('AWS::DynamoDB::Table')).filter((id) => id.startsWith('Audit'))
    const statements: { Action: string | string[]; Resource: unknown }[] = propertiesOf('AWS::IAM::Policy').flatMap(
      ({ PolicyDocument }) => PolicyDocument.Statement,
    )

    const actions = statements
      .filter(({ Resource }) => JSON.stringify(Resource).includes(`"${table}"`))
      .flatMap(({ Action }) => Action)

    expect(new Set(actions)).toEqual(new Set(['dynamodb:PutItem']))
  })
})

describe('retention', () => {
  const of = (days: object) => templateOf(SiteConfig.parse({ deployment: { retentionDays: days } }))
  const rulesOf = (each: Template, prefix: string) =>
    Object.values(each.findResources('AWS::S3::Bucket'))
      .flatMap(({ Properties }) => Properties.LifecycleConfiguration?.Rules ?? [])
      .filter((rule) => rule.Prefix === prefix)

  it('follows the site for ECGs, and is unlimited by default', () => {
    const limited = of({ ecgs: 365 })
    const functionOf = (each: Template) =>
      Object.values(each.findResources('AWS::Lambda::Function')).map(
        ({ Properties }) => Properties.Environment.Variables,
      )

    for (const prefix of ['raw/', 'artifacts/']) {
      expect(rulesOf(limited, prefix)).toMatchObject([
        { ExpirationInDays: 365, NoncurrentVersionExpiration: { NoncurrentDays: 30 } },
      ])
      expect(rulesOf(template, prefix)[0]).not.toHaveProperty('ExpirationInDays')
    }
    // The functions that write rows of an ECG.
    const told = functionOf(limited).filter(({ ECG_DAYS }) => ECG_DAYS === '365')
    expect(told.map(({ POWERTOOLS_SERVICE_NAME: service }) => service).sort()).toEqual(['screen', 'upkeep'])
    expect(functionOf(template).filter(({ ECG_DAYS }) => ECG_DAYS !== undefined)).toEqual([])
  })

  it("equals the audit trail's for function logs, which contain it, and outlasts the stack", () => {
    const groups = template.findResources('AWS::Logs::LogGroup')
    const names = Object.values(template.findResources('AWS::Lambda::Function')).map(
      ({ Properties }) => Properties.LoggingConfig.LogGroup.Ref,
    )

    expect(names.length).toBeGreaterThan(5)
    for (const name of names) {
      expect(groups[name]).toMatchObject({ Properties: { RetentionInDays: 2192 }, DeletionPolicy: 'Retain' })
    }
  })
})

describe('CMR synthesis', () => {
  it('runs on GPU spot machines, and on none when idle', () => {
    template.hasResourceProperties('AWS::Batch::ComputeEnvironment', {
      Type: 'MANAGED',
      ComputeResources: Match.objectLike({
        Type: 'SPOT',
        MinvCpus: 0,
        InstanceTypes: ['g6.xlarge', 'g5.xlarge'],
        Ec2Configuration: [{ ImageType: 'ECS_AL2023_NVIDIA' }],
      }),
    })
    template.hasResourceProperties('AWS::Batch::JobQueue', {
      JobStateTimeLimitActions: Match.arrayWith([
        {
          Action: 'CANCEL',
          State: 'RUNNABLE',
          Reason: 'CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY',
          MaxTimeSeconds: 21600,
        },
      ]),
    })
    template.resourceCountIs('AWS::EC2::NatGateway', 0)
  })

  it('uses an image built at deployment when none is named', () => {
    const outdir = temporaryFolder()
    const site = SiteConfig.parse({})
    const app = createApp({ outdir, target: 'linux-arm64', bundles, site, synthesis: RULES })
    const built = Template.fromJSON(app.synth().getStackArtifact(STACK_NAME).template)
    const { dockerImages } = JSON.parse(readFileSync(join(outdir, `${STACK_NAME}.assets.json`), 'utf8'))

    const [image] = Object.values<{ source: { directory: string; platform: string } }>(dockerImages)

    expect(image!.source.platform).toBe('linux/amd64')
    for (const file of ['Dockerfile', 'package-lock.json', 'functions/synthesize/main.ts', 'model/manifest.json']) {
      expect(existsSync(join(outdir, image!.source.directory, file))).toBe(true)
    }
    built.hasResourceProperties('AWS::Batch::JobDefinition', {
      ContainerProperties: Match.objectLike({ Image: { 'Fn::Sub': Match.stringLikeRegexp('dkr.ecr') } }),
    })
  })

  it('retries only when the machine was lost', () => {
    template.hasResourceProperties('AWS::Batch::JobDefinition', {
      RetryStrategy: {
        Attempts: 3,
        EvaluateOnExit: [
          { Action: 'RETRY', OnStatusReason: 'Host EC2*' },
          { Action: 'EXIT', OnReason: '*' },
        ],
      },
      Timeout: { AttemptDurationSeconds: 3600 },
    })
  })

  it('sets the variables that the container reads, and the EHR’s queue only with an EHR', () => {
    const variables = (of: Template) =>
      Object.values(of.findResources('AWS::Batch::JobDefinition')).flatMap(({ Properties }) =>
        Properties.ContainerProperties.Environment.map(({ Name }: { Name: string }) => Name),
      )
    const always = [
      ...['RESULTS_TABLE', 'RAW_BUCKET', 'SYNTHESIS_QUEUE_URL', 'CODE_VERSION'],
      ...['AWS_REGION', 'AWS_EC2_METADATA_DISABLED'],
    ]

    expect(variables(template).sort()).toEqual([...always, 'RESULTS_FHIR_QUEUE_URL'].sort())
    expect(variables(templateOf(SiteConfig.parse({}))).sort()).toEqual(always.sort())
  })

  it('lets the container read ECGs, write artifacts and end jobs, and nothing else', () => {
    const policies = template.findResources('AWS::IAM::Policy')
    const [id] = Object.keys(policies).filter((name) => name.includes('synthesizerole'))

    const statements: { Action: string | string[] }[] = policies[id!]!.Properties.PolicyDocument.Statement

    const actions = statements.flatMap(({ Action }) => Action).filter((action) => !action.startsWith('kms:'))
    expect([...new Set(actions)].sort()).toEqual([
      'dynamodb:GetItem',
      'dynamodb:Query',
      'dynamodb:UpdateItem',
      's3:DeleteObject',
      's3:DeleteObjectVersion',
      's3:GetObject',
      's3:ListBucket',
      's3:ListBucketVersions',
      's3:PutObject',
      'sqs:SendMessage',
    ])
  })

  it('receives the end of lost machines, and raises an alarm for abandoned jobs', () => {
    template.hasResourceProperties('AWS::Events::Rule', {
      EventPattern: {
        source: ['aws.batch'],
        'detail-type': ['Batch Job State Change'],
        detail: { status: ['FAILED'], jobQueue: [Match.anyValue()] },
      },
    })
    template.hasResourceProperties('AWS::CloudWatch::Alarm', {
      MetricName: 'ApproximateNumberOfMessagesVisible',
      Dimensions: [
        { Name: 'QueueName', Value: { 'Fn::GetAtt': [Match.stringLikeRegexp('synthesisdlq'), 'QueueName'] } },
      ],
      Threshold: 1,
      ComparisonOperator: 'GreaterThanOrEqualToThreshold',
      TreatMissingData: 'notBreaching',
    })
  })

  it('is absent if the site disables it: no machines, no queue', () => {
    const without = templateOf(SiteConfig.parse({ deployment: { synthesis: 'off' } }))

    for (const type of ['AWS::Batch::JobQueue', 'AWS::Batch::ComputeEnvironment']) {
      without.resourceCountIs(type, 0)
    }
    expect(JSON.stringify(without.toJSON())).not.toContain('SYNTHESIS_RULES')
  })
})

describe('a mistyped setting', () => {
  it('fails at synth with its field in the site', async () => {
    const file = join(temporaryFolder(), 'site.json')
    writeFileSync(file, '{"ehr":{"baseUrl":"http://ehr.example","auth":{"kind":"none"}}}')
    process.env.CDK_CONTEXT_JSON = JSON.stringify({ site: file })

    const synth = () => createApp({ outdir: temporaryFolder(), bundles })

    expect(synth).toThrow('site.ehr.baseUrl')
    delete process.env.CDK_CONTEXT_JSON
  })

  it('fails at synth with the permitted values', () => {
    process.env.CARDIACNETS_ARCHITECTURE = 'arm'

    const synth = () => createApp({ outdir: temporaryFolder() })

    expect(synth).toThrow('architecture must be arm64 or x64, not arm')
    delete process.env.CARDIACNETS_ARCHITECTURE
  })

  it('causes file-not-found in place of a site’s name', () => {
    expect(() => readSite('hospitle')).toThrow('file-not-found')
  })
})

describe('the example sites', () => {
  it.each(exampleSites())('deploy what their file says: %s', (name) => {
    const site = readSite(name)

    const stack = exampleTemplate(name)

    const functions = Object.values(stack.findResources('AWS::Lambda::Function'))
    const [api] = functions.filter(({ Properties }) => Properties.MemorySize === 1769 && Properties.Timeout === 29)
    const { AUTH_ISSUER, SITE_CONFIG } = api!.Properties.Environment.Variables
    expect(AUTH_ISSUER).toBe((site.deployment.api.identity as IdentityProvider | undefined)?.issuer)
    // How it is deployed is no function's business.
    expect(JSON.parse(SITE_CONFIG)).not.toHaveProperty('deployment')
    stack.resourceCountIs('AWS::Batch::JobQueue', site.deployment.synthesis === 'off' ? 0 : 1)
  })

  it('are a clinic, a hospital and a wearable fleet', () => {
    expect(exampleSites()).toEqual(['clinic', 'hospital', 'wearable-fleet'])
  })
})
