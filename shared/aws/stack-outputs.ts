/**
 * Outputs of a stack, and AWS clients for the addresses in them.
 * @module
 */
import { readFile } from 'node:fs/promises'
import { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { S3Client } from '@aws-sdk/client-s3'
import { SQSClient } from '@aws-sdk/client-sqs'
import { CodedError } from '../errors.ts'

/** Where `npm start` writes the outputs; `cdk deploy --outputs-file` writes the same format. */
export const LOCAL_OUTPUTS = '.local/outputs.json'

/**
 * Reads the outputs of a stack.
 * @throws CodedError `file-not-found`
 */
export async function readOutputs(file: string): Promise<Readonly<Record<string, string>>> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new CodedError('file-not-found', { field: file }, { cause })
  })
  // CDK writes one object per stack; the file has one stack.
  const [outputs = {}] = Object.values(JSON.parse(text) as Record<string, Record<string, string>>)
  return outputs
}

/**
 * The value of one output.
 * @throws CodedError `field-invalid` when the stack has no output of this name
 */
export function outputOf(outputs: Readonly<Record<string, string>>, name: string): string {
  const value = outputs[name]
  if (value === undefined) throw new CodedError('field-invalid', { field: name })
  return value
}

/** Credentials that the local stack accepts. AWS itself never sees them. */
const LOCAL = { region: 'eu-central-1', credentials: { accessKeyId: 'local', secretAccessKey: 'local' } }

/** Clients for the stack that the outputs describe: the local stack's emulators, or AWS. */
export function clientsFor({ LocalEndpoint: endpoint, LocalDynamoEndpoint: dynamo }: Readonly<Record<string, string>>) {
  const at = (address: string | undefined) => (address === undefined ? {} : { ...LOCAL, endpoint: address })
  return {
    dynamo: new DynamoDBClient(at(dynamo)),
    s3: new S3Client({ ...at(endpoint), forcePathStyle: endpoint !== undefined }),
    sqs: new SQSClient({ ...at(endpoint), useQueueUrlAsEndpoint: false }),
  }
}

export function sqsFor(queueUrl: string): SQSClient {
  const isLocal = queueUrl.startsWith('http://127.0.0.1')
  return new SQSClient(isLocal ? { ...LOCAL, endpoint: new URL(queueUrl).origin } : {})
}
