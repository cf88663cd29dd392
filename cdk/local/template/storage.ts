/**
 * Buckets and tables.
 * @module
 */
import {
  CreateTableCommand,
  type CreateTableCommandInput,
  DescribeTableCommand,
  type DynamoDBClient,
} from '@aws-sdk/client-dynamodb'
import { CreateBucketCommand } from '@aws-sdk/client-s3'
import { arnOf } from '../iam/aws-calls.ts'
import { encrypt, type Makers, TAGS } from './plan.ts'

interface Encryption {
  readonly ServerSideEncryptionConfiguration?: readonly {
    readonly ServerSideEncryptionByDefault?: { readonly KMSMasterKeyID?: string }
  }[]
}

/** A kept table is used unchanged, so it must have the indexes of the current template. */
async function checkKept(dynamo: DynamoDBClient, { TableName, GlobalSecondaryIndexes = [] }: CreateTableCommandInput) {
  const { Table } = await dynamo.send(new DescribeTableCommand({ TableName }))
  const kept = new Set(Table?.GlobalSecondaryIndexes?.map(({ IndexName }) => IndexName))
  if (GlobalSecondaryIndexes.every(({ IndexName }) => kept.has(IndexName))) return
  throw new Error(
    `the table ${TableName} was kept by an earlier version: start once with --fresh, which forgets what was kept`,
  )
}

export const STORAGE: Makers = {
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
      // CloudFormation and the API use the same names.
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
}
