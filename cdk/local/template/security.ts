/**
 * Roles, policies and keys, as input of the local stack's IAM check.
 * @module
 */
import { arnOf } from '../iam/aws-calls.ts'
import { roleArn } from '../iam/permissions.ts'
import { AT_REST, keyArn, type Maker, type Makers, TAGS } from './plan.ts'

/** A separate policy, and the roles that have it. */
const POLICY: Maker = {
  uses: ['PolicyDocument', 'Roles'],
  ignores: { PolicyName: 'nobody asks for it', Description: 'nobody asks for it', Path: 'nobody asks for it' },
  async make(name, { PolicyDocument, Roles = [] }, { permissions }) {
    for (const role of Roles as readonly string[]) permissions.grant(role, PolicyDocument)
    return { ref: name, attributes: {} }
  },
}

export const SECURITY: Makers = {
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
}
