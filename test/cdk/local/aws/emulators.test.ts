import { mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import {
  CreateTableCommand,
  DynamoDBClient,
  PutItemCommand,
  QueryCommand,
  waitUntilTableExists,
} from '@aws-sdk/client-dynamodb'
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { CreateQueueCommand, ReceiveMessageCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startEmulators } from '../../../../cdk/local/aws/emulators.ts'
import { clientOptions } from '../../../../cdk/local/template/plan.ts'
import { temporaryFolder } from '../../../helpers/temporary-folder.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const TABLE = {
  TableName: 'ecgs',
  KeySchema: [
    { AttributeName: 'pk', KeyType: 'HASH' as const },
    { AttributeName: 'sk', KeyType: 'RANGE' as const },
  ],
  AttributeDefinitions: [
    { AttributeName: 'pk', AttributeType: 'S' as const },
    { AttributeName: 'sk', AttributeType: 'S' as const },
  ],
  BillingMode: 'PAY_PER_REQUEST' as const,
}

/** The emulators on a folder, and clients of them. */
async function open(folder?: string) {
  const said: string[] = []
  const emulators = await startEmulators(folder, undefined, (sentence) => said.push(sentence))
  let isStopped = false
  const stop = async () => {
    if (!isStopped) await emulators.stop()
    isStopped = true
  }
  onTestFinished(stop)
  const options = { ...clientOptions(emulators.endpoint), maxAttempts: 1 }
  return {
    said,
    emulators,
    stop,
    sqs: new SQSClient(options),
    s3: new S3Client({ ...options, forcePathStyle: true }),
    dynamo: new DynamoDBClient({ ...options, endpoint: emulators.dynamoEndpoint }),
  }
}

/** A folder with a queue, a table and a bucket, none of them empty. */
async function usedFolder(): Promise<string> {
  const folder = temporaryFolder()
  const { sqs, s3, dynamo, stop } = await open(folder)
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: 'intake' }))
  await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: 'waits' }))
  await s3.send(new CreateBucketCommand({ Bucket: 'raw' }))
  for (const Key of ['a/one', 'a/two', 'three'])
    await s3.send(new PutObjectCommand({ Bucket: 'raw', Key, Body: `bytes of ${Key}` }))
  await createTable(dynamo)
  await dynamo.send(new PutItemCommand({ TableName: 'ecgs', Item: item('1') }))
  await stop()
  return folder
}

async function createTable(dynamo: DynamoDBClient): Promise<void> {
  await dynamo.send(new CreateTableCommand(TABLE))
  await waitUntilTableExists({ client: dynamo, maxWaitTime: 10, minDelay: 0.01, maxDelay: 0.1 }, TABLE)
}

const item = (sk: string) => ({ pk: { S: 'tenant' }, sk: { S: sk }, body: { S: 'x'.repeat(200) } })

const keysOf = async (s3: S3Client) =>
  ((await s3.send(new ListObjectsV2Command({ Bucket: 'raw' }))).Contents ?? []).map(({ Key }) => Key)

const textOf = async (s3: S3Client, Key: string) => {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: 'raw', Key }))
  return Body!.transformToString()
}

const manifestOf = (folder: string) => readdirSync(join(folder, 'tables')).find((name) => name.startsWith('MANIFEST'))!

describe('the emulators’ stores on disk', () => {
  it('keep their contents', async () => {
    const { sqs, s3, dynamo, said } = await open(await usedFolder())

    const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: 'intake' }))
    const { Messages } = await sqs.send(new ReceiveMessageCommand({ QueueUrl }))
    const { Items } = await dynamo.send(
      new QueryCommand({
        TableName: 'ecgs',
        KeyConditionExpression: 'pk = :pk',
        ExpressionAttributeValues: { ':pk': { S: 'tenant' } },
      }),
    )

    expect(Messages?.map(({ Body }) => Body)).toEqual(['waits'])
    expect(Items).toEqual([item('1')])
    expect(await textOf(s3, 'a/two')).toBe('bytes of a/two')
    expect(said).toEqual([])
  })

  it.each([
    [
      'a queue file that is not a database',
      'queues',
      'fauxqs.db',
      (path: string) => writeFileSync(path, 'x'.repeat(9000)),
    ],
    ['a queue file with a damaged page', 'queues', 'fauxqs.db', scribble],
    ['an emptied MANIFEST', 'tables', 'MANIFEST', (path: string) => truncateSync(path, 0)],
    ['half a MANIFEST', 'tables', 'MANIFEST', (path: string) => truncateSync(path, statSync(path).size / 2)],
    ['a MANIFEST with other content', 'tables', 'MANIFEST', (path: string) => writeFileSync(path, 'x'.repeat(500))],
    ['an emptied CURRENT', 'tables', 'CURRENT', (path: string) => truncateSync(path, 0)],
  ])('name the file and its folder when damaged: %s', async (_, part, name, damage) => {
    const folder = await usedFolder()
    const file = name === 'MANIFEST' ? manifestOf(folder) : name
    damage(join(folder, part, file))

    await expect(startEmulators(folder)).rejects.toMatchObject({
      code: 'data-corrupt',
      detail: { file, folder: join(folder, part) },
    })
  })

  it('report an emptied file and restart empty', async () => {
    const folder = await usedFolder()
    const file = join(folder, 'queues', 'fauxqs.db')
    truncateSync(file, 0)

    const { said, sqs } = await open(folder)

    expect(said).toEqual([`${file} is empty: what it held is lost, unless there is a copy. It is begun anew.`])
    expect(await sqs.send(new CreateQueueCommand({ QueueName: 'intake' }))).toMatchObject({
      QueueUrl: expect.any(String),
    })
  })

  it('are used by one stack only', async () => {
    const folder = await usedFolder()
    await open(folder)

    await expect(startEmulators(folder)).rejects.toMatchObject({ code: 'data-in-use' })
  })
})

describe('a damaged object', () => {
  it.each([
    ['half a .meta.json', 'two.meta.json', (path: string) => truncateSync(path, 20)],
    ['an emptied .meta.json', 'two.meta.json', (path: string) => truncateSync(path, 0)],
    ['a .meta.json of another kind', 'two.meta.json', (path: string) => writeFileSync(path, '{}')],
    ['half its bytes', 'two.data', (path: string) => truncateSync(path, 5)],
  ])('is set aside, counted and reported, and others stay readable: %s', async (_, name, damage) => {
    const folder = await usedFolder()
    damage(join(folder, 'objects/buckets/raw/objects/a', name))

    const { s3, said, emulators } = await open(folder)

    const aside = join(folder, 'objects/set-aside/buckets/raw/objects/a')
    expect(await keysOf(s3)).toEqual(['a/one', 'three'])
    expect(await textOf(s3, 'a/one')).toBe('bytes of a/one')
    expect(emulators.setAside).toBe(1)
    expect(said).toEqual([
      `1 object could not be read and was set aside: ${join(aside, 'two.meta.json')}. Put copies in their place, or remove them.`,
    ])
    expect(readdirSync(aside).toSorted()).toEqual(['two.data', 'two.meta.json'])
  })

  it('does not include a damaged bucket file, because the folder identifies the bucket', async () => {
    const folder = await usedFolder()
    truncateSync(join(folder, 'objects/buckets/raw/.bucket.json'), 8)

    const { s3, said } = await open(folder)

    expect(await keysOf(s3)).toEqual(['a/one', 'a/two', 'three'])
    expect(said).toEqual([])
  })

  it('can be an unfinished multipart upload', async () => {
    const folder = await usedFolder()
    const upload = join(folder, 'objects/_multipart/u1')
    mkdirSync(upload)
    writeFileSync(join(upload, '.upload.json'), '{"uploadId":"u1","buck')

    const { said } = await open(folder)

    expect(said).toEqual([expect.stringContaining(join(folder, 'objects/set-aside/_multipart/u1'))])
  })

  it('never results from a failed write, which leaves the old bytes', async () => {
    const folder = await usedFolder()
    const { s3, stop } = await open(folder)
    // A folder in the place of the new file.
    mkdirSync(join(folder, 'objects/_incoming/buckets/raw/objects/three.meta.json'), { recursive: true })

    const write = s3.send(new PutObjectCommand({ Bucket: 'raw', Key: 'three', Body: 'newer' }))
    await expect(write).rejects.toMatchObject({ $metadata: { httpStatusCode: 500 } })
    await stop()

    const again = await open(folder)
    expect(await textOf(again.s3, 'three')).toBe('bytes of three')
    await again.s3.send(new PutObjectCommand({ Bucket: 'raw', Key: 'three', Body: 'newer' }))
    expect(readFileSync(join(folder, 'objects/buckets/raw/objects/three.data'), 'utf8')).toBe('newer')
  })
})

describe('reading a table', () => {
  it('leaves the heap flat over 10,000 queries', async () => {
    const { dynamo, emulators } = await open(temporaryFolder())
    await createTable(dynamo)
    for (const sk of ['1', '2']) await dynamo.send(new PutItemCommand({ TableName: 'ecgs', Item: item(sk) }))
    const agent = new Agent({ keepAlive: true, maxSockets: 8 })
    onTestFinished(() => agent.destroy())
    const queries = async (count: number) => {
      let left = count
      const asker = async () => {
        while (left-- > 0) await query(emulators.dynamoEndpoint, agent)
      }
      await Promise.all(Array.from({ length: 8 }, asker))
      collectGarbage()
      return process.memoryUsage().heapUsed
    }

    const after2000 = await queries(2000)
    const after10000 = await queries(8000)

    // An iterator each was 1 KB.
    expect((after10000 - after2000) / 8000).toBeLessThan(150)
  }, 60_000)
})

/** Without the SDK, whose share of the time is the larger. */
function query(endpoint: string, agent: Agent): Promise<void> {
  const body = JSON.stringify({
    TableName: 'ecgs',
    KeyConditionExpression: 'pk = :pk',
    ExpressionAttributeValues: { ':pk': { S: 'tenant' } },
    Limit: 1,
  })
  const headers = {
    'content-type': 'application/x-amz-json-1.0',
    'x-amz-target': 'DynamoDB_20120810.Query',
    'x-amz-date': '20260101T000000Z',
    authorization:
      'AWS4-HMAC-SHA256 Credential=local/20260101/eu-central-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0',
  }
  return new Promise((resolve, reject) => {
    const call = request(endpoint, { method: 'POST', agent, headers }, (answer) => {
      answer
        .resume()
        .once('end', () => (answer.statusCode === 200 ? resolve() : reject(new Error(`${answer.statusCode}`))))
    })
    call.once('error', reject).end(body)
  })
}

/** Over the middle of the second page. */
function scribble(path: string): void {
  const bytes = readFileSync(path)
  writeFileSync(path, bytes.fill('y', 4096, 4096 + 4096))
}
