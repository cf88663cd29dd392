/** SQS and S3 in this process, with the adapter's queues and bucket. */
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { CreateQueueCommand, SQSClient } from '@aws-sdk/client-sqs'
import { buildApp } from 'fauxqs'

export type Aws = Awaited<ReturnType<typeof startAws>>

/** Clients of what listens on a port, or will. */
export function awsClients(port: number) {
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' }
  const client = { endpoint: `http://127.0.0.1:${port}`, region: 'us-east-1', credentials }
  const sqs = new SQSClient({ ...client, useQueueUrlAsEndpoint: false })
  return { sqs, s3: new S3Client({ ...client, forcePathStyle: true }) }
}

/** @param atPort where an earlier one listened, to bring its (empty) queues back under the same addresses */
export async function startAws(atPort = 0) {
  const app = buildApp({ logger: false })
  const endpoint = await app.listen({ host: '127.0.0.1', port: atPort })
  const port = Number(new URL(endpoint).port)
  const { sqs, s3 } = awsClients(port)
  // fauxqs hands messages to the long polls of consumers that were killed: a short visibility timeout brings them back.
  const Attributes = { VisibilityTimeout: '1' }
  const createQueue = async (QueueName: string) =>
    (await sqs.send(new CreateQueueCommand({ QueueName, Attributes }))).QueueUrl!
  const queues = {
    intake: await createQueue('intake'),
    deadLetters: await createQueue('intake-dlq'),
    results: await createQueue('results-mqtt'),
    upkeep: await createQueue('upkeep'),
  }
  const bucket = 'raw-bucket'
  await s3.send(new CreateBucketCommand({ Bucket: bucket }))
  return {
    port,
    sqs,
    s3,
    queues,
    bucket,
    /** For an adapter in a separate process. */
    env: {
      AWS_ENDPOINT_URL: endpoint,
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      INTAKE_QUEUE_URL: queues.intake,
      INTAKE_DLQ_URL: queues.deadLetters,
      RESULTS_MQTT_QUEUE_URL: queues.results,
      UPKEEP_QUEUE_URL: queues.upkeep,
      RAW_BUCKET: bucket,
    },
    stop: async () => {
      sqs.destroy()
      s3.destroy()
      await app.close()
    },
  }
}
