/**
 * The emulators of the local stack with what the stores and the way in need: table, bucket, queue.
 * @module
 */
import { CreateTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { CreateQueueCommand, type Message, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs'
import { startEmulators } from '../../cdk/local/aws/emulators.ts'
import { emulatorEnvironment } from '../../cdk/local/template/plan.ts'

export type TestAws = Awaited<ReturnType<typeof startTestAws>>

export const TABLE = 'results'
export const AUDIT_TABLE = 'audit'
export const BUCKET = 'raw'

export async function startTestAws() {
  const emulators = await startEmulators()
  const options = { region: 'us-east-1', credentials: { accessKeyId: 'local', secretAccessKey: 'local' } }
  const sqs = new SQSClient({ ...options, endpoint: emulators.endpoint, useQueueUrlAsEndpoint: false })
  const s3 = new S3Client({ ...options, endpoint: emulators.endpoint, forcePathStyle: true })
  const dynamo = new DynamoDBClient({ ...options, endpoint: emulators.dynamoEndpoint })
  await createResultsTable(dynamo)
  await createAuditTable(dynamo)
  await s3.send(new CreateBucketCommand({ Bucket: BUCKET }))
  const queue = async (name: string) => (await sqs.send(new CreateQueueCommand({ QueueName: name }))).QueueUrl!
  return {
    sqs,
    s3,
    dynamo,
    /** For a separate process. */
    env: emulatorEnvironment(emulators),
    intakeUrl: await queue('intake'),
    intakeDlqUrl: await queue('intake-dlq'),
    reportUrl: await queue('results-fhir'),
    synthesisUrl: await queue('synthesis'),
    upkeepUrl: await queue('upkeep'),
    /** Receives up to ten messages and deletes them: visibility outlasts the test. */
    async receive(QueueUrl: string): Promise<Message[]> {
      const command = new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10, VisibilityTimeout: 3600 })
      return (await sqs.send(command)).Messages ?? []
    },
    async stop() {
      for (const client of [sqs, s3, dynamo]) client.destroy()
      await emulators.stop()
    },
  }
}

/** As `cdk/constructs/audit.ts` makes it. */
export async function createAuditTable(dynamo: DynamoDBClient): Promise<void> {
  await dynamo.send(
    new CreateTableCommand({
      TableName: AUDIT_TABLE,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: ['pk', 'sk'].map((name) => ({ AttributeName: name, AttributeType: 'S' })),
      KeySchema: [
        { AttributeName: 'pk', KeyType: 'HASH' },
        { AttributeName: 'sk', KeyType: 'RANGE' },
      ],
    }),
  )
}

/** As `cdk/constructs/storage.ts` makes it. */
export async function createResultsTable(dynamo: DynamoDBClient): Promise<void> {
  await dynamo.send(
    new CreateTableCommand({
      TableName: TABLE,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: ['pk', 'sk', 'tenant', 'arrival'].map((name) => ({
        AttributeName: name,
        AttributeType: 'S',
      })),
      KeySchema: [
        { AttributeName: 'pk', KeyType: 'HASH' },
        { AttributeName: 'sk', KeyType: 'RANGE' },
      ],
      GlobalSecondaryIndexes: [
        {
          IndexName: 'byArrival',
          KeySchema: [
            { AttributeName: 'tenant', KeyType: 'HASH' },
            { AttributeName: 'arrival', KeyType: 'RANGE' },
          ],
          Projection: {
            ProjectionType: 'INCLUDE',
            NonKeyAttributes: [
              ...['startedAt', 'status', 'device', 'flagged'],
              ...['heartRateBpm', 'reasons', 'top', 'warnings', 'version'],
            ],
          },
        },
      ],
    }),
  )
}
