import { createServer, request } from 'node:http'
import { connect } from 'node:net'
import { DynamoDBClient, GetItemCommand, PutItemCommand, QueryCommand } from '@aws-sdk/client-dynamodb'
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { PublishCommand, SNSClient } from '@aws-sdk/client-sns'
import { ReceiveMessageCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { createApp } from '../../../cdk/app.ts'
import { listen } from '../../../cdk/local/http.ts'
import { startLocalStack } from '../../../cdk/local/stack.ts'
import { clientOptions } from '../../../cdk/local/template/plan.ts'
import { messageAttributes } from '../../../shared/aws/queues.ts'
import { SiteConfig } from '../../../shared/config/site.ts'
import { MALFORMED_REQUESTS, sendRaw, statusOf } from '../../helpers/request-lines.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'
import { functionFolder, startSmallStack } from '../helpers/assembly.ts'

/** The product's own template, with functions that answer with the path, or log the messages that they are given. */
let assemblyDir: string

beforeAll(async () => {
  const folder = await functionFolder(`export const handler = async ({ rawPath, Records = [] }) => {
    for (const { body } of Records) console.log(body)
    return rawPath === undefined ? null : { path: rawPath }
  }`)
  assemblyDir = temporaryFolder()
  createApp({
    outdir: assemblyDir,
    target: 'linux-x64',
    bundles: {
      preprocess: folder,
      screen: folder,
      report: folder,
      'fhir-intake': folder,
      api: folder,
      'synthesis-dispatch': folder,
      publish: folder,
      upkeep: folder,
      'sign-in': folder,
    },
    synthesis: { bundleSha256: 'c'.repeat(64), samplers: ['full'], default: 'full', minimumLeads: 8 },
    synthesisImage: 'this-machine',
    site: SiteConfig.parse({ ehr: { baseUrl: 'https://ehr.example/fhir', auth: { kind: 'none' } } }),
  }).synth()
})

function clients(env: Readonly<Record<string, string>>) {
  const options = clientOptions(env.AWS_ENDPOINT_URL_SQS!)
  return {
    sqs: new SQSClient(options),
    sns: new SNSClient(options),
    s3: new S3Client(options),
    dynamo: new DynamoDBClient(clientOptions(env.AWS_ENDPOINT_URL_DYNAMODB!)),
  }
}

describe('the local stack', () => {
  it('creates what the template defines, and reports the endpoints', async () => {
    const { stack } = await startSmallStack(assemblyDir)

    expect(Object.keys(stack.queueUrls).sort()).toEqual([
      'fhir-inbound',
      'fhir-inbound-dlq',
      'intake',
      'intake-dlq',
      'results-fhir',
      'results-fhir-dlq',
      'results-mqtt',
      'results-mqtt-dlq',
      'screening',
      'screening-dlq',
      'synthesis',
      'synthesis-dlq',
      'upkeep',
      'upkeep-dlq',
    ])
    expect(stack).toMatchObject({ bucketName: 'raw', tableName: 'results' })
    expect(stack.outputs).toMatchObject({ ApiUrl: stack.apiUrl, IntakeDlqUrl: stack.queueUrls['intake-dlq'] })
    expect(Object.keys(stack.functions).sort()).toEqual([
      'api',
      'fhir-intake',
      'preprocess',
      'report',
      'screen',
      'synthesis-dispatch',
      'upkeep',
    ])
  })

  it('answers HTTP through the API’s Lambda function', async () => {
    const { stack } = await startSmallStack(assemblyDir)

    const response = await fetch(`${stack.apiUrl}/v1/ecgs`)

    expect(await response.json()).toEqual({ path: '/v1/ecgs' })
  })

  it('survives malformed requests and answers only to host names of this machine', async () => {
    const { stack } = await startSmallStack(assemblyDir)
    const port = Number(new URL(stack.apiUrl).port)

    await Promise.all(MALFORMED_REQUESTS.map((bytes) => sendRaw(port, bytes)))
    const rebound = await sendRaw(port, 'GET /v1/ecgs HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n')

    expect(statusOf(rebound)).toBe(400)
    expect((await fetch(`${stack.apiUrl}/v1/ecgs`)).status).toBe(200)
  })

  it.each(['mqtt', 'upload'])('delivers the stored result byte for byte for an ECG received by %s', async (origin) => {
    const { stack, log } = await startSmallStack(assemblyDir)
    const { sns, sqs } = clients(stack.env)
    const message = '{"result":"{\\"a\\": 1}"}'
    const toDevice = async (WaitTimeSeconds: number) => {
      const command = new ReceiveMessageCommand({ QueueUrl: stack.queueUrls['results-mqtt']!, WaitTimeSeconds })
      return (await sqs.send(command)).Messages?.[0]?.Body
    }

    await sns.send(
      new PublishCommand({
        TopicArn: stack.outputs.ResultsTopicArn!,
        Message: message,
        MessageAttributes: messageAttributes({ origin }),
      }),
    )
    await log.until((lines) => lines.includes(`report: ${message}`))

    expect(await toDevice(origin === 'mqtt' ? 20 : 0)).toBe(origin === 'mqtt' ? message : undefined)
  })

  it('stores a result once, and lists results by arrival', async () => {
    const { stack } = await startSmallStack(assemblyDir)
    const { dynamo } = clients(stack.env)
    const put = (sk: string, arrival: string) =>
      dynamo.send(
        new PutItemCommand({
          TableName: stack.tableName,
          Item: { pk: { S: 'p' }, sk: { S: sk }, tenant: { S: 't' }, arrival: { S: arrival } },
          ConditionExpression: 'attribute_not_exists(pk)',
        }),
      )

    await put('late', '2026-02')
    await put('early', '2026-01')
    const again = put('late', '2026-03')

    await expect(again).rejects.toThrow('conditional')
    const { Items } = await dynamo.send(
      new QueryCommand({
        TableName: stack.tableName,
        IndexName: 'byArrival',
        KeyConditionExpression: 'tenant = :t',
        ExpressionAttributeValues: { ':t': { S: 't' } },
      }),
    )
    expect(Items?.map((item) => item.sk!.S)).toEqual(['early', 'late'])
  })

  it('keeps results, waveforms and waiting messages across a restart', async () => {
    const dataDir = temporaryFolder()
    const first = await startLocalStack({ assemblyDir, dataDir, withoutAdapter: true })
    const before = clients(first.env)
    const item = { pk: { S: 'p' }, sk: { S: 's' } }
    await before.dynamo.send(new PutItemCommand({ TableName: first.tableName, Item: item }))
    await before.s3.send(new PutObjectCommand({ Bucket: first.bucketName, Key: 'raw/t/1', Body: 'samples' }))
    const message = { QueueUrl: first.queueUrls['results-mqtt']!, MessageBody: 'waiting' }
    await before.sqs.send(new SendMessageCommand(message))

    await first.stop()
    const { stack: second } = await startSmallStack(assemblyDir, { dataDir })

    const after = clients(second.env)
    const { Item } = await after.dynamo.send(new GetItemCommand({ TableName: second.tableName, Key: item }))
    const object = await after.s3.send(new GetObjectCommand({ Bucket: second.bucketName, Key: 'raw/t/1' }))
    const { Messages } = await after.sqs.send(
      new ReceiveMessageCommand({ QueueUrl: second.queueUrls['results-mqtt']!, WaitTimeSeconds: 20 }),
    )
    expect(Item).toEqual(item)
    expect(await object.Body!.transformToString()).toBe('samples')
    expect(Messages?.[0]?.Body).toBe('waiting')
  })

  it.each([
    ['in memory', () => undefined],
    ['kept on disk', temporaryFolder],
  ])('loses no message, %s, to a consumer that died while it waited', async (_where, dataDir) => {
    const kept = dataDir()
    const { stack } = await startSmallStack(assemblyDir, kept === undefined ? {} : { dataDir: kept })
    const { sqs } = clients(stack.env)
    const queueUrl = stack.queueUrls['results-mqtt']!
    const { port } = new URL(queueUrl)
    const roundTrip = () => fetch(`http://127.0.0.1:${port}/health`)
    const body = JSON.stringify({ QueueUrl: queueUrl, WaitTimeSeconds: 20 })
    const dying = request({
      port,
      method: 'POST',
      headers: {
        'content-type': 'application/x-amz-json-1.0',
        'x-amz-target': 'AmazonSQS.ReceiveMessage',
        'content-length': Buffer.byteLength(body),
      },
    })
    dying.on('error', () => {})

    await new Promise<void>((resolve) => dying.end(body, resolve))
    await roundTrip()
    dying.destroy()
    await roundTrip()
    await sqs.send(new SendMessageCommand({ QueueUrl: queueUrl, MessageBody: 'for the living' }))
    const { Messages } = await sqs.send(new ReceiveMessageCommand({ QueueUrl: queueUrl, WaitTimeSeconds: 5 }))

    expect(Messages?.[0]?.Body).toBe('for the living')
  })

  it('survives a client that disconnects during a table request', async () => {
    const { stack } = await startSmallStack(assemblyDir)
    const { dynamo } = clients(stack.env)
    const { port } = new URL(stack.env.AWS_ENDPOINT_URL_DYNAMODB!)

    await new Promise<void>((resolve) => {
      const socket = connect(Number(port), '127.0.0.1', () => {
        socket.write('POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{', () => socket.destroy())
      })
      socket.on('close', () => resolve())
    })
    const { Item } = await dynamo.send(
      new GetItemCommand({ TableName: stack.tableName, Key: { pk: { S: 'p' }, sk: { S: 's' } } }),
    )

    expect(Item).toBeUndefined()
  })
})

describe('a port in use', () => {
  it.each([
    ['API', '--port', (port: number) => ({ apiPort: port })],
    ['MQTT', '--mqtt-port', (port: number) => ({ mqttPort: port })],
  ])('is reported in one line for %s', async (what, option, options) => {
    const other = createServer()
    const { port } = await listen(other, 0)
    onTestFinished(() => void other.close())

    const starting = startLocalStack({ assemblyDir, withoutAdapter: true, ...options(port) })

    await expect(starting).rejects.toThrow(
      `port ${port} (${what}) is taken: stop what listens there, or pass ${option} with another`,
    )
  })
})
