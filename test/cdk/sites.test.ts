import { App, Stack } from 'aws-cdk-lib'
import { Match, type Template } from 'aws-cdk-lib/assertions'
import { Queue } from 'aws-cdk-lib/aws-sqs'
import { beforeAll, describe, expect, it } from 'vitest'
import { checkRules } from '../../cdk/constructs/nag.ts'
import type { Template as CloudFormation } from '../../cdk/local/template/intrinsics.ts'
import { exampleSites, readSite } from '../../cdk/site.ts'
import { STACK_NAME } from '../../cdk/stack-name.ts'
import { DeviceLimits } from '../../shared/config/device-limits.ts'
import { temporaryFolder } from '../helpers/temporary-folder.ts'
import { rightsOf } from './helpers/rights.ts'
import { exampleTemplate } from './helpers/templates.ts'

const templates = new Map<string, Template>()
const hospital = () => templates.get('hospital')!

/** Each site is synthesized with the rules of cdk-nag: one that is broken and not acknowledged fails here, by name and construct. */
beforeAll(() => {
  for (const name of exampleSites()) templates.set(name, exampleTemplate(name))
}, 300_000)

it('synthesis checks the AWS Solutions, HIPAA and serverless rules, and fails on a violation', () => {
  const app = checkRules(new App({ outdir: temporaryFolder(), analyticsReporting: false }))
  new Queue(new Stack(app, 'Bare'), 'queue')

  expect(() => app.synth()).toThrow('AwsSolutions-SQS4')
})

describe('the rights of roles', () => {
  /** Actions without a resource, or whose resource cannot be named in a policy, and who needs them. */
  const FORCED: Readonly<Record<string, string>> = {
    'ec2:AssignPrivateIpAddresses': 'Lambda, to plug a function into the network',
    'ec2:CreateNetworkInterface': 'Lambda, to plug a function into the network',
    'ec2:DeleteNetworkInterface': 'Lambda, to plug a function into the network',
    'ec2:DescribeNetworkInterfaces': 'Lambda, to plug a function into the network',
    'ec2:DescribeSubnets': 'Lambda, to plug a function into the network',
    'ec2:UnassignPrivateIpAddresses': 'Lambda, to plug a function into the network',
    'ecr:GetAuthorizationToken': 'to pull any image',
    'ecs:DiscoverPollEndpoint': 'the ECS agent',
  }

  it('match the reviewed list for the hospital: role, action, resource', async () => {
    const lines = rightsOf(hospital().toJSON() as CloudFormation).map(({ role, effect, action, resource }) =>
      [...(effect === 'Deny' ? ['not'] : []), role, action, resource].join(' '),
    )

    await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot('rights.txt')
  })

  it.each(exampleSites())(
    'use wildcards in %s only where AWS requires it, and never a service’s whole set of actions',
    (name) => {
      const rights = rightsOf(templates.get(name)!.toJSON() as CloudFormation).filter(
        ({ effect }) => effect === 'Allow',
      )

      const wide = rights.filter(({ resource }) => resource === '*').map(({ action }) => action)
      expect(wide.filter((action) => !(action in FORCED))).toEqual([])
      expect(rights.filter(({ action }) => action.includes('*'))).toEqual([])
      templates.get(name)!.allResourcesProperties('AWS::IAM::Role', { ManagedPolicyArns: Match.absent() })
    },
  )
})

describe.each(exampleSites())('the example site %s', (name) => {
  const all = (type: string) =>
    Object.values(templates.get(name)!.findResources(type)).map(({ Properties }) => Properties)

  it('encrypts everything at rest, and ECGs and logs with our own rotated keys', () => {
    for (const each of all('AWS::SQS::Queue')) expect(each.KmsMasterKeyId).toBeDefined()
    for (const each of all('AWS::SNS::Topic')) expect(each.KmsMasterKeyId).toBeDefined()
    for (const each of all('AWS::DynamoDB::Table')) expect(each.SSESpecification.KMSMasterKeyId).toBeDefined()
    for (const each of all('AWS::Logs::LogGroup')) expect(each.KmsKeyId).toBeDefined()
    for (const each of all('AWS::EC2::Volume'))
      expect(each).toMatchObject({ Encrypted: true, KmsKeyId: expect.anything() })
    for (const each of all('AWS::S3::Bucket')) expect(each.BucketEncryption).toBeDefined()
    for (const each of all('AWS::KMS::Key')) expect(each.EnableKeyRotation).toBe(true)
    const algorithms = all('AWS::S3::Bucket').map(
      ({ BucketEncryption: { ServerSideEncryptionConfiguration: rules } }) =>
        rules[0].ServerSideEncryptionByDefault.SSEAlgorithm,
    )
    expect(algorithms).toContain('aws:kms')
  })

  it('allows no plain-text transport', () => {
    const plain = Match.objectLike({
      Effect: 'Deny',
      Condition: Match.objectLike({ Bool: { 'aws:SecureTransport': 'false' } }),
    })
    for (const type of ['AWS::SQS::QueuePolicy', 'AWS::SNS::TopicPolicy', 'AWS::S3::BucketPolicy']) {
      templates.get(name)!.allResourcesProperties(type, { PolicyDocument: { Statement: Match.arrayWith([plain]) } })
    }
    expect(all('AWS::SQS::QueuePolicy')).toHaveLength(all('AWS::SQS::Queue').length)
    expect(all('AWS::S3::BucketPolicy')).toHaveLength(all('AWS::S3::Bucket').length)
    for (const { DistributionConfig } of all('AWS::CloudFront::Distribution')) {
      const behaviors = [DistributionConfig.DefaultCacheBehavior, ...DistributionConfig.CacheBehaviors]
      for (const each of behaviors) expect(each.ViewerProtocolPolicy).toMatch(/^(https-only|redirect-to-https)$/)
    }
  })
})

/** What a deployment showed, of each kind and in every site. */
describe.each(exampleSites())('the deployed site %s', (name) => {
  const template = () => templates.get(name)!.toJSON() as CloudFormation
  const all = (type: string) =>
    Object.values(templates.get(name)!.findResources(type)).map(({ Properties }) => Properties)

  it('sets the region of each container, which has no other source for it', () => {
    const containers = [
      ...all('AWS::Batch::JobDefinition').map(({ ContainerProperties }) => ContainerProperties),
      ...all('AWS::ECS::TaskDefinition').flatMap(({ ContainerDefinitions }) => ContainerDefinitions),
    ]

    for (const { Environment } of containers) {
      const names = Environment.map(({ Name }: { Name: string }) => Name)
      expect(names).toContain('AWS_REGION')
    }
  })

  it('blocks containers from their machine’s credentials', () => {
    for (const { LaunchTemplateData } of all('AWS::EC2::LaunchTemplate'))
      expect(LaunchTemplateData.MetadataOptions).toMatchObject({ HttpTokens: 'required', HttpPutResponseHopLimit: 1 })
    for (const { ContainerProperties } of all('AWS::Batch::JobDefinition'))
      expect(ContainerProperties.Environment).toContainEqual({ Name: 'AWS_EC2_METADATA_DISABLED', Value: 'true' })
  })

  it('lets its web ACL pass large ECGs, long queries and requests without a User-Agent', () => {
    for (const { Rules } of all('AWS::WAFv2::WebACL')) {
      const common = Rules.find(({ Name }: { Name: string }) => Name === 'AWSManagedRulesCommonRuleSet')
      const counted = common.Statement.ManagedRuleGroupStatement.RuleActionOverrides.filter(
        ({ ActionToUse }: { ActionToUse: object }) => 'Count' in ActionToUse,
      )
      expect(counted.map(({ Name }: { Name: string }) => Name)).toEqual(
        expect.arrayContaining(['SizeRestrictions_BODY', 'SizeRestrictions_QUERYSTRING', 'NoUserAgent_HEADER']),
      )
    }
  })

  it('can decrypt every secret under a customer’s key', () => {
    const keys = [...new Set(JSON.stringify(readSite(name)).match(/arn:aws:kms:[^"]+/g))]
    const rights = rightsOf(template()).filter(({ effect }) => effect === 'Allow')
    const readers = rights.filter(({ action }) => action === 'secretsmanager:GetSecretValue').map(({ role }) => role)

    const decrypting = (key: string) =>
      rights.filter(({ action, resource }) => action === 'kms:Decrypt' && resource === key).map(({ role }) => role)
    for (const key of keys) {
      expect(decrypting(key)).not.toEqual([])
      expect(readers).toEqual(expect.arrayContaining(decrypting(key)))
    }
  })

  it('rolls back to the former tasks when new ones cannot start', () => {
    for (const { DeploymentConfiguration } of all('AWS::ECS::Service'))
      expect(DeploymentConfiguration.DeploymentCircuitBreaker).toEqual({ Enable: true, Rollback: true })
  })
})

it('each site has a stack of its own name, so that a second one does not replace the first', () => {
  const names = exampleSites().map((name) => readSite(name).deployment.stack)

  expect(new Set(names).size).toBe(names.length)
  expect(readSite(undefined).deployment.stack).toBe(STACK_NAME)
})

describe('the API’s own URLs', () => {
  const front = (name: string) => {
    const { Resources } = templates.get(name)!.toJSON() as CloudFormation
    const functions = Object.values(Resources).filter(({ Type }) => Type === 'AWS::Lambda::Function')
    return functions.flatMap(({ Properties }) => {
      const { Environment } = Properties as { Environment: { Variables: Record<string, unknown> } } // as CDK made it
      return 'FRONT_SECRET' in Environment.Variables ? [Environment.Variables] : []
    })
  }

  it.each(['hospital', 'wearable-fleet'])('answer only requests through CloudFront when there is one (%s)', (name) => {
    const told = front(name)
    const [distribution] = Object.values(templates.get(name)!.findResources('AWS::CloudFront::Distribution'))
    const origins: readonly { CustomOriginConfig?: object; OriginCustomHeaders?: unknown }[] =
      distribution!.Properties.DistributionConfig.Origins

    const ofApi = origins.filter(({ CustomOriginConfig }) => CustomOriginConfig !== undefined)

    expect(told.map(({ POWERTOOLS_SERVICE_NAME: service }) => service).sort()).toEqual(['api', 'events'])
    expect(ofApi.length).toBeGreaterThanOrEqual(2)
    for (const { OriginCustomHeaders } of ofApi) {
      expect(OriginCustomHeaders).toEqual([{ HeaderName: 'x-cardiacnets-front', HeaderValue: told[0]!.FRONT_SECRET }])
    }
  })

  it('are open when there is no CloudFront', () => {
    expect(front('clinic')).toEqual([])
  })
})

describe('the log of device status', () => {
  it('contains only status fields and no device payload', () => {
    const rules = Object.values(hospital().findResources('AWS::IoT::TopicRule')).map(
      ({ Properties: { TopicRulePayload: rule } }) => rule,
    )

    const ofStatus = rules.filter(({ Sql }) => Sql.includes('/status'))

    expect(ofStatus).toHaveLength(2)
    for (const { Sql, ErrorAction } of ofStatus) {
      expect(Sql).not.toContain('*')
      expect(ErrorAction).toBeUndefined()
    }
  })
})

describe('the streaming adapter in ECS', () => {
  it('runs one task per shard on the shard’s machine, and stops the old task before the new one starts', () => {
    const services = Object.values(hospital().findResources('AWS::ECS::Service')).map(({ Properties }) => Properties)

    expect(services.map(({ PlacementConstraints: [each] }) => each.Expression)).toEqual([
      'attribute:ecg-adapter == wards',
      'attribute:ecg-adapter == icu',
    ])
    for (const { DesiredCount, DeploymentConfiguration } of services) {
      expect(DesiredCount).toBe(1)
      expect(DeploymentConfiguration).toMatchObject({ MinimumHealthyPercent: 0, MaximumPercent: 100 })
    }
    hospital().allResources('AWS::AutoScaling::AutoScalingGroup', {
      Properties: Match.objectLike({ MinSize: '1', MaxSize: '1' }),
      UpdatePolicy: Match.objectLike({
        AutoScalingRollingUpdate: Match.objectLike({ MinInstancesInService: 0, MaxBatchSize: 1 }),
      }),
    })
  })

  it('keeps its journal beyond machine and stack, and joins the cluster only with it', () => {
    hospital().allResources('AWS::EC2::Volume', { DeletionPolicy: 'Retain', UpdateReplacePolicy: 'Retain' })
    const [template] = Object.values(hospital().findResources('AWS::EC2::LaunchTemplate')).filter(({ Properties }) =>
      JSON.stringify(Properties).includes('attach-volume'),
    )
    const script = JSON.stringify(template!.Properties.LaunchTemplateData.UserData)
    expect(script.indexOf('mount $device')).toBeGreaterThan(script.indexOf('attach-volume'))
    expect(script.indexOf('ECS_CLUSTER')).toBeGreaterThan(script.indexOf('mount $device'))
  })

  it('receives its own tenants only, and no windows when IoT Core’s rule takes them', () => {
    const [wards] = Object.values(hospital().findResources('AWS::ECS::TaskDefinition'))
    const [{ Environment, Secrets, User, ReadonlyRootFilesystem }] = wards!.Properties.ContainerDefinitions
    const variables = Object.fromEntries(
      Environment.map(({ Name, Value }: { Name: string; Value: unknown }) => [Name, Value]),
    )

    expect(variables).toMatchObject({ MQTT_TENANTS: 'hospital', MQTT_WINDOWS: 'off', MQTT_CLIENT_ID: 'ecg-wards' })
    expect(JSON.parse(variables.DEVICE_LIMITS)).toEqual(DeviceLimits.parse({}))
    expect(Secrets.map(({ Name }: { Name: string }) => Name)).toEqual(['MQTT_CERT', 'MQTT_KEY'])
    expect([User, ReadonlyRootFilesystem]).toEqual(['10001:10001', true])
  })
})

describe('the console in CloudFront', () => {
  it('has a web ACL in us-east-1 if the site requests one', () => {
    const { Rules } = templates.get('wearable-fleet')!.toJSON()

    templates.get('wearable-fleet')!.hasResourceProperties('AWS::WAFv2::WebACL', { Scope: 'CLOUDFRONT' })
    expect(JSON.stringify(Rules)).toContain('us-east-1')
    templates.get('clinic')!.resourceCountIs('AWS::CloudFront::Distribution', 0)
  })

  it('serves the last upload: only files with a hash in their name are cached', () => {
    const template = templates.get('wearable-fleet')!
    const [front] = Object.values(template.findResources('AWS::CloudFront::Distribution'))
    const { DefaultCacheBehavior: page, CacheBehaviors: others } = front!.Properties.DistributionConfig
    const assets = others.find(({ PathPattern }: { PathPattern: string }) => PathPattern === '/assets/*')
    const cacheControl = ({ ResponseHeadersPolicyId: { Ref: id } }: { ResponseHeadersPolicyId: { Ref: string } }) => {
      const { ResponseHeadersPolicyConfig: config } = template.toJSON().Resources[id].Properties
      const named = config.CustomHeadersConfig.Items.filter(
        ({ Header }: { Header: string }) => Header === 'cache-control',
      )
      return named.map(({ Value }: { Value: string }) => Value)
    }

    expect(cacheControl(page)).toEqual(['no-cache'])
    // CloudFront's own `CachingDisabled`.
    expect(page.CachePolicyId).toBe('4135ea2d-6df8-44a3-9df3-4b5a84be39ad')
    expect(cacheControl(assets)).toEqual(['public, max-age=31536000, immutable'])
    expect(assets.TargetOriginId).toBe(page.TargetOriginId)
  })
})
