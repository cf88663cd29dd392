/**
 * AWS clients, one of each a process. `AWS_ENDPOINT_URL_*` points them at the local stack; nothing else differs there.
 * @module
 */
import { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { S3Client } from '@aws-sdk/client-s3'
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager'
import { SNSClient } from '@aws-sdk/client-sns'
import { SQSClient } from '@aws-sdk/client-sqs'
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'

const once = <T>(make: () => T): (() => T) => {
  let made: T | undefined
  return () => (made ??= make())
}

// Bodies carry their own sha256 where it matters; an MD5 or CRC of each message would cost time a window.
// By default the SDK goes where a queue's URL points, past AWS_ENDPOINT_URL: in the local stack, to a host that does not resolve.
export const sqs = once(() => new SQSClient({ md5: false, useQueueUrlAsEndpoint: false }))
export const sns = once(() => new SNSClient({}))
export const s3 = once(() => new S3Client({ requestChecksumCalculation: 'WHEN_REQUIRED' }))
export const dynamo = once(() => new DynamoDBClient({}))
export const secretsManager = once(() => new SecretsManagerClient({}))

/**
 * The document client of a DynamoDB client. Always by this: `from` writes its options into the client's own configuration, so that two
 * stores with different options would each get those of whichever came last.
 */
export function documents(client: DynamoDBClient): DynamoDBDocumentClient {
  return DynamoDBDocumentClient.from(client, { marshallOptions: { removeUndefinedValues: true } })
}

/** An environment variable that must be there. */
export function env(name: string): string {
  const value = process.env[name]
  if (value === undefined || value === '') throw new Error(`environment variable ${name} is not set`)
  return value
}
