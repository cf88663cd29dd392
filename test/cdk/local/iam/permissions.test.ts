import { DynamoDBClient, QueryCommand } from '@aws-sdk/client-dynamodb'
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { PublishCommand, SNSClient } from '@aws-sdk/client-sns'
import { ReceiveMessageCommand, SendMessageBatchCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Context, Permissions, roleArn } from '../../../../cdk/local/iam/permissions.ts'
import { clientOptions } from '../../../../cdk/local/template/plan.ts'
import { assembly, resource, startSmallStack } from '../../helpers/assembly.ts'

const QUEUE = 'arn:aws:sqs:us-east-1:000000000000:intake'
const KEY = 'arn:aws:kms:us-east-1:000000000000:key/Key'

/** A role `Role` with these statements. */
function roleWith(...statements: readonly object[]): Permissions {
  const permissions = new Permissions()
  permissions.addRole('Role', 'Intake/preprocess-role')
  permissions.grant('Role', { Statement: statements })
  return permissions
}

const allow = (action: string | readonly string[], target: string | readonly string[] = QUEUE, more: object = {}) => ({
  Effect: 'Allow',
  Action: action,
  Resource: target,
  ...more,
})
const deny = (action: string, target = QUEUE, more: object = {}) => ({ ...allow(action, target, more), Effect: 'Deny' })

const refused = (permissions: Permissions, action = 'sqs:SendMessage', target = QUEUE, context: Context = {}) =>
  permissions.refuse('Role', [{ action, resource: target, context }])?.reason

const NOTHING = 'no policy allows it'

describe('the rights of a role', () => {
  it.each([
    ['its action and resource', allow('sqs:SendMessage'), undefined],
    ['one action of several', allow(['sqs:ReceiveMessage', 'sqs:SendMessage']), undefined],
    ['an action in another case', allow('SQS:sendmessage'), undefined],
    ['an action prefix and `*`', allow('sqs:Send*'), undefined],
    ['`?` for one character', allow('sqs:SendMessag?', 'arn:aws:sqs:*:intak?'), undefined],
    ['every resource', allow('sqs:*', '*'), undefined],
    ['another resource', allow('sqs:SendMessage', `${QUEUE}-dlq`), NOTHING],
    ['another action', allow('sqs:ReceiveMessage'), NOTHING],
    ['all but the action', { Effect: 'Allow', NotAction: 'sqs:Send*', Resource: '*' }, NOTHING],
    ['all but another resource', { Effect: 'Allow', Action: 'sqs:*', NotResource: `${QUEUE}-dlq` }, undefined],
  ])('follow a policy that allows %s', (_what, statement, reason) => {
    expect(refused(roleWith(statement))).toBe(reason)
  })

  it('exclude what a policy denies, even if another allows it', () => {
    const permissions = roleWith(allow('sqs:*', '*'), deny('sqs:Send*'))

    expect(refused(permissions)).toBe('a policy denies it')
    expect(refused(permissions, 'sqs:ReceiveMessage')).toBeUndefined()
  })

  it('must cover every action of a call', () => {
    const permissions = roleWith(allow('sqs:SendMessage'))
    const needs = ['sqs:SendMessage', 'sqs:ReceiveMessage'].map((action) => ({ action, resource: QUEUE }))

    expect(permissions.refuse('Role', needs)).toMatchObject({ action: 'sqs:ReceiveMessage' })
  })

  it('are reported once by name when missing, and listed when never used', () => {
    const told: object[] = []
    const permissions = new Permissions((violation) => told.push(violation))
    permissions.addRole('Role', 'Intake/preprocess-role')
    permissions.grant('Role', { Statement: [allow(['sqs:SendMessage', 'sqs:GetQueueUrl']), allow('logs:*', '*')] })

    refused(permissions)
    refused(permissions, 's3:GetObject', 'arn:aws:s3:::raw/x')
    refused(permissions, 's3:GetObject', 'arn:aws:s3:::raw/x')

    const violation = {
      principal: 'Intake/preprocess-role',
      action: 's3:GetObject',
      resource: 'arn:aws:s3:::raw/x',
      reason: NOTHING,
    }
    expect(told).toEqual([violation])
    expect(permissions.violations).toEqual([violation])
    expect(permissions.unused).toEqual([{ role: 'Intake/preprocess-role', action: 'sqs:GetQueueUrl', resource: QUEUE }])
  })
})

describe('a policy condition', () => {
  const under = (condition: object, context: Context = {}) =>
    refused(roleWith(allow('sqs:*', QUEUE, { Condition: condition })), 'sqs:SendMessage', QUEUE, context)

  it.each<[string, object, Context, string | undefined]>([
    ['one that every call meets', { Bool: { 'aws:SecureTransport': 'true' } }, {}, undefined],
    ['one that no call meets', { Bool: { 'AWS:SecureTransport': 'false' } }, {}, NOTHING],
    ['a key that the call lacks', { StringEquals: { 's3:prefix': 'raw/' } }, {}, NOTHING],
    ['a key that the call lacks, with IfExists', { StringEqualsIfExists: { 's3:prefix': 'raw/' } }, {}, undefined],
    ['a negated key that the call lacks', { StringNotEquals: { 's3:prefix': 'raw/' } }, {}, undefined],
    ['any of several values', { StringLike: { 's3:prefix': ['x', 'raw/*'] } }, { 's3:prefix': 'raw/t' }, undefined],
    ['none of several values', { StringNotLike: { 's3:prefix': ['x', 'raw/*'] } }, { 's3:prefix': 'raw/t' }, NOTHING],
    ['numbers', { NumericLessThan: { 's3:TlsVersion': 1.2 } }, {}, NOTHING],
    ['absence of a key', { Null: { 's3:prefix': 'true' } }, {}, undefined],
    [
      'one of two conditions that fails',
      { Bool: { 'aws:SecureTransport': 'true' }, Null: { 's3:prefix': false } },
      {},
      NOTHING,
    ],
  ])('is evaluated: %s', (_what, condition, context, reason) => {
    expect(under(condition, context)).toBe(reason)
  })

  it.each([
    [{ IpAddress: { 'aws:SourceIp': '10.0.0.0/8' } }, 'IpAddress of aws:SourceIp'],
    [{ 'ForAllValues:StringEquals': { 's3:prefix': 'a' } }, 'ForAllValues:StringEquals of s3:prefix'],
    [{ StringEquals: { 'aws:PrincipalTag/team': 'a' } }, 'StringEquals of aws:PrincipalTag/team'],
  ])('is named when it is unsupported and matters: %j', (condition, name) => {
    expect(under(condition)).toBe(`the local stack does not know the condition ${name}`)
    expect(refused(roleWith(allow('sqs:Receive*', QUEUE, { Condition: condition })))).toBe(NOTHING)
  })
})

describe('a resource policy', () => {
  const sns = { Service: 'sns.amazonaws.com' }
  const TOPIC = 'arn:aws:sns:us-east-1:000000000000:results'
  const delivered = (permissions: Permissions, source = TOPIC) =>
    permissions.refuseService('sns.amazonaws.com', source, [{ action: 'sqs:SendMessage', resource: QUEUE }])?.reason

  it('admits a service for one source only', () => {
    const permissions = new Permissions()
    const condition = { ArnEquals: { 'aws:SourceArn': TOPIC } }
    permissions.attach(QUEUE, {
      Statement: [allow('sqs:SendMessage', QUEUE, { Principal: sns, Condition: condition })],
    })

    expect(delivered(permissions)).toBeUndefined()
    expect(delivered(permissions, `${TOPIC}-2`)).toBe(NOTHING)
  })

  it('denies what a role’s own policies allow', () => {
    const permissions = roleWith(allow('sqs:*'))
    const insecure = { Principal: { AWS: '*' }, Condition: { Bool: { 'aws:SecureTransport': 'true' } } }
    permissions.attach(QUEUE, { Statement: [deny('sqs:*', QUEUE, insecure)] })

    expect(refused(permissions)).toBe('a policy denies it')
  })

  it('allows a role by its ARN what its own policies do not', () => {
    const permissions = roleWith()
    permissions.attach(QUEUE, {
      Statement: [allow('sqs:SendMessage', QUEUE, { Principal: { AWS: roleArn('Role') } })],
    })

    expect(refused(permissions)).toBeUndefined()
    expect(refused(permissions, 'sqs:ReceiveMessage')).toBe(NOTHING)
  })
})

describe('a resource encrypted with a customer’s key', () => {
  const account = { Principal: { AWS: 'arn:aws:iam::000000000000:root' } }

  function encrypted(keyPolicy: object, ...statements: readonly object[]): Permissions {
    const permissions = roleWith(allow('sqs:SendMessage'), ...statements)
    permissions.encrypt(QUEUE, KEY)
    permissions.attach(KEY, { Statement: [keyPolicy] })
    return permissions
  }

  it.each<[string, Permissions, string | undefined]>([
    ['also requires rights to the key', encrypted(allow('kms:*', '*', account)), NOTHING],
    [
      'is accessible with rights to the key if the key trusts the account',
      encrypted(allow('kms:*', '*', account), allow(['kms:Decrypt', 'kms:GenerateDataKey*'], KEY)),
      undefined,
    ],
    [
      'is inaccessible if the key policy does not admit the role',
      encrypted(allow('kms:*', '*', { Principal: { Service: 'x' } }), allow('kms:*', KEY)),
      "the key's policy does not let it",
    ],
    [
      'can be restricted to a service',
      encrypted(
        allow('kms:*', '*', account),
        allow('kms:*', KEY, { Condition: { StringEquals: { 'kms:ViaService': 's3.us-east-1.amazonaws.com' } } }),
      ),
      NOTHING,
    ],
  ])('%s', (_what, permissions, reason) => {
    expect(refused(permissions)).toBe(reason)
  })
})

it('wildcards match like a simple reference implementation (property)', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', ':', '/', '.', '*', '?', '('), maxLength: 8 })
  /** Character by character, without regular expressions. */
  const plain = (pattern: string, value: string): boolean => {
    if (pattern === '') return value === ''
    const [first, rest] = [pattern[0], pattern.slice(1)]
    if (first === '*') return plain(rest, value) || (value !== '' && plain(pattern, value.slice(1)))
    return value !== '' && (first === '?' || first === value[0]) && plain(rest, value.slice(1))
  }

  fc.assert(
    fc.property(text, text, (pattern, value) => {
      const permissions = roleWith(allow('sqs:SendMessage', pattern))

      expect(refused(permissions, 'sqs:SendMessage', value) === undefined).toBe(plain(pattern, value))
    }),
  )
})

describe('the emulators with permissions', () => {
  const statement = (action: string | readonly string[], ...targets: readonly object[]) => ({
    Effect: 'Allow',
    Action: action,
    Resource: targets,
  })
  const arn = (id: string) => ({ 'Fn::GetAtt': [id, 'Arn'] })
  const below = (id: string, path: string) => ({ 'Fn::Join': ['', [arn(id), path]] })

  /** A queue, a topic, a bucket and a table, a role with some rights to each, and clients with that role. */
  async function start() {
    const key = [{ AttributeName: 'pk', KeyType: 'HASH' }]
    const assemblyDir = await assembly({
      Queue: resource('AWS::SQS::Queue', 'intake', {}),
      Other: resource('AWS::SQS::Queue', 'other', {}),
      Topic: resource('AWS::SNS::Topic', 'topic', {}),
      Bucket: resource('AWS::S3::Bucket', 'raw', {}),
      Table: resource('AWS::DynamoDB::Table', 'results', {
        AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
        BillingMode: 'PAY_PER_REQUEST',
        GlobalSecondaryIndexes: [
          { IndexName: 'byArrival', KeySchema: key, Projection: { ProjectionType: 'KEYS_ONLY' } },
        ],
        KeySchema: key,
      }),
      Role: resource('AWS::IAM::Role', 'role', {}),
      Policy: resource('AWS::IAM::Policy', 'policy', {
        Roles: [{ Ref: 'Role' }],
        PolicyDocument: {
          Statement: [
            statement('sqs:SendMessage', arn('Queue')),
            statement(['s3:PutObject', 's3:GetObject', 's3:DeleteObject'], below('Bucket', '/raw/*')),
            statement('dynamodb:Query', arn('Table')),
          ],
        },
      }),
    })
    const { stack } = await startSmallStack(assemblyDir, { isRefusalExpected: true })
    const options = clientOptions(stack.env.AWS_ENDPOINT_URL_SQS!, 'Role')
    return {
      stack,
      sqs: new SQSClient(options),
      sns: new SNSClient(options),
      s3: new S3Client(options),
      dynamo: new DynamoDBClient(clientOptions(stack.env.AWS_ENDPOINT_URL_DYNAMODB!, 'Role')),
    }
  }

  it('allow what a role may do and refuse the rest as AWS does', async () => {
    const { stack, sqs, sns, s3, dynamo } = await start()
    const { intake, other } = stack.queueUrls
    const object = (key: string) => ({ Bucket: 'raw', Key: key })
    const query = {
      TableName: 'results',
      KeyConditionExpression: 'pk = :p',
      ExpressionAttributeValues: { ':p': { S: 'p' } },
    }

    await sqs.send(new SendMessageCommand({ QueueUrl: intake!, MessageBody: 'a' }))
    await sqs.send(new SendMessageBatchCommand({ QueueUrl: intake!, Entries: [{ Id: '0', MessageBody: 'b' }] }))
    await s3.send(new PutObjectCommand({ ...object('raw/a b'), Body: 'x' }))
    await s3.send(new GetObjectCommand(object('raw/a b')))
    await s3.send(new DeleteObjectsCommand({ Bucket: 'raw', Delete: { Objects: [{ Key: 'raw/a b' }] } }))
    await dynamo.send(new QueryCommand(query))
    const refusals = await Promise.allSettled([
      sqs.send(new SendMessageCommand({ QueueUrl: other!, MessageBody: 'a' })),
      sqs.send(new ReceiveMessageCommand({ QueueUrl: intake! })),
      sns.send(new PublishCommand({ TopicArn: 'arn:aws:sns:us-east-1:000000000000:topic', Message: 'a' })),
      s3.send(new PutObjectCommand({ ...object('clean/a'), Body: 'x' })),
      s3.send(new DeleteObjectsCommand({ Bucket: 'raw', Delete: { Objects: [{ Key: 'raw/a' }, { Key: 'clean/&' }] } })),
      s3.send(new ListObjectVersionsCommand({ Bucket: 'raw' })),
      // The object does not exist, but a caller without s3:ListBucket gets AccessDenied instead of NoSuchKey.
      s3.send(new GetObjectCommand(object('raw/missing'))),
      dynamo.send(new QueryCommand({ ...query, IndexName: 'byArrival' })),
    ])

    expect(refusals.map((refusal) => (refusal.status === 'rejected' ? refusal.reason.name : refusal.status))).toEqual([
      'AccessDenied',
      'AccessDenied',
      'AuthorizationErrorException',
      'AccessDenied',
      'AccessDenied',
      'AccessDenied',
      'AccessDenied',
      'AccessDeniedException',
    ])
    const table = 'arn:aws:dynamodb:us-east-1:000000000000:table/results'
    expect(stack.permissions.violations.map(({ action, resource }) => `${action} ${resource}`).sort()).toEqual([
      `dynamodb:Query ${table}/index/byArrival`,
      's3:DeleteObject arn:aws:s3:::raw/clean/&',
      's3:ListBucket arn:aws:s3:::raw',
      's3:ListBucketVersions arn:aws:s3:::raw',
      's3:PutObject arn:aws:s3:::raw/clean/a',
      'sns:Publish arn:aws:sns:us-east-1:000000000000:topic',
      'sqs:ReceiveMessage arn:aws:sqs:us-east-1:000000000000:intake',
      'sqs:SendMessage arn:aws:sqs:us-east-1:000000000000:other',
    ])
  })
})

describe('an action by AWS itself', () => {
  const topic = resource('AWS::SNS::Topic', 'topic', {})
  const queue = resource('AWS::SQS::Queue', 'q', {})
  const subscription = resource('AWS::SNS::Subscription', 's', {
    TopicArn: { Ref: 'Topic' },
    Protocol: 'sqs',
    Endpoint: { 'Fn::GetAtt': ['Queue', 'Arn'] },
  })

  it('is reported and not carried out when the target’s policy forbids it', async () => {
    const assemblyDir = await assembly({ Topic: topic, Queue: queue, Subscription: subscription })

    const { stack } = await startSmallStack(assemblyDir, { isRefusalExpected: true })

    expect(stack.permissions.violations).toEqual([
      {
        principal: 'sns.amazonaws.com',
        action: 'sqs:SendMessage',
        resource: 'arn:aws:sqs:us-east-1:000000000000:q',
        reason: NOTHING,
      },
    ])
  })
})
