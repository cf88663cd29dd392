/**
 * AWS clients, one instance of each per process. `AWS_ENDPOINT_URL_*` points them at the local stack; nothing else differs there.
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

// Where a checksum matters, the body carries its own SHA-256. An MD5 of every message would only cost time per window.
// By default the SDK sends requests to the host of the queue's URL and ignores AWS_ENDPOINT_URL. In the local stack that host does not resolve.
export const sqs = once(() => new SQSClient({ md5: false, useQueueUrlAsEndpoint: false }))
export const sns = once(() => new SNSClient({}))
export const s3 = once(() => new S3Client({ requestChecksumCalculation: 'WHEN_REQUIRED' }))
export const dynamo = once(() => new DynamoDBClient({}))
export const secretsManager = once(() => new SecretsManagerClient({}))

/**
 * The document client of a DynamoDB client. Always use this function: `from` writes its options into the client's own configuration, so two
 * stores with different options would both get those that were set last.
 */
export function documents(client: DynamoDBClient): DynamoDBDocumentClient {
  return DynamoDBDocumentClient.from(client, { marshallOptions: { removeUndefinedValues: true } })
}

/**
 * Reads a required environment variable.
 * @throws Error when it is missing or empty
 */
export function env(name: string): string {
  const value = process.env[name]
  if (value === undefined || value === '') throw new Error(`environment variable ${name} is not set`)
  return value
}
