import { createHash, randomUUID } from 'node:crypto'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GetItemCommand } from '@aws-sdk/client-dynamodb'
import { CreateBucketCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3'
import { CreateTopicCommand, SubscribeCommand } from '@aws-sdk/client-sns'
import { CreateQueueCommand, GetQueueAttributesCommand, type Message, ReceiveMessageCommand } from '@aws-sdk/client-sqs'
import type { Context, SQSBatchResponse, SQSEvent } from 'aws-lambda'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Emulators, startEmulators } from '../../cdk/local/aws/emulators.ts'
import { dynamo, s3, sns, sqs } from '../../shared/aws/clients.ts'
import { putObject, removeEcgObjects, waveformKey } from '../../shared/aws/payloads.ts'
import { streamEcgId } from '../../shared/domain/ecg-id.ts'
import type { Recording } from '../../shared/domain/recording.ts'
import type { Result } from '../../shared/domain/result.ts'
import { SHIPPED_BUNDLE } from '../../shared/inference/active-bundle.ts'
import { readBundle } from '../../shared/inference/bundle.ts'
import { readReference, referenceSha256 } from '../../shared/inference/population.ts'
import { SITE_FILE, siteText } from '../../shared/inference/site-calibration.ts'
import type { IntakeMessage, Payload, ResultMessage } from '../../shared/messages.ts'
import { CARDIACNETS_V1 } from '../../shared/signal/profile.ts'
import { ResultList } from '../../shared/store/result-list.ts'
import { ResultStore } from '../../shared/store/results.ts'
import { encodeWaveform, waveformSha256 } from '../../shared/waveform/codec.ts'
import { encodeWindow } from '../../streams/mqtt/frame-codec.ts'
import { intakeEnvelope, readDeviceWindow } from '../../streams/mqtt/intake-message.ts'
import { createResultsTable } from '../helpers/aws.ts'
import { linesOf, metricsOf } from '../helpers/emf.ts'
import { oldMessage } from '../helpers/old-messages.ts'
import { otherBundle } from '../helpers/other-bundle.ts'
import { syntheticRecording } from '../helpers/recordings.ts'

/** The limit of a window's share of the logs, besides Lambda's own lines. */
const LOG_BYTES = 1050

type Handler = (event: SQSEvent, context: Context) => Promise<SQSBatchResponse>

let emulators: Emulators
let preprocess: Handler
let screen: Handler
let urls: Record<'screening' | 'intakeDlq' | 'screeningDlq' | 'results', string>

/** The handlers read their environment when they are loaded, so they are imported afterwards. */
beforeAll(async () => {
  emulators = await startEmulators()
  Object.assign(process.env, {
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: 'local',
    AWS_ENDPOINT_URL: emulators.endpoint,
    AWS_ENDPOINT_URL_DYNAMODB: emulators.dynamoEndpoint,
    POWERTOOLS_LOG_LEVEL: 'SILENT',
    POWERTOOLS_METRICS_DISABLED: 'true',
  })
  const queue = async (name: string) => (await sqs().send(new CreateQueueCommand({ QueueName: name }))).QueueUrl!
  urls = {
    screening: await queue('screening'),
    intakeDlq: await queue('intake-dlq'),
    screeningDlq: await queue('screening-dlq'),
    results: await queue('results'),
  }
  await s3().send(new CreateBucketCommand({ Bucket: 'raw' }))
  const { TopicArn } = await sns().send(new CreateTopicCommand({ Name: 'results' }))
  const { Attributes } = await sqs().send(
    new GetQueueAttributesCommand({ QueueUrl: urls.results, AttributeNames: ['QueueArn'] }),
  )
  await sns().send(
    new SubscribeCommand({
      TopicArn,
      Protocol: 'sqs',
      Endpoint: Attributes!.QueueArn,
      Attributes: { RawMessageDelivery: 'true' },
    }),
  )
  await createResultsTable(dynamo())
  Object.assign(process.env, {
    RAW_BUCKET: 'raw',
    SCREENING_QUEUE_URL: urls.screening,
    INTAKE_DLQ_URL: urls.intakeDlq,
    SCREENING_DLQ_URL: urls.screeningDlq,
    RESULTS_TOPIC_ARN: TopicArn,
    RESULTS_TABLE: 'results',
    MODEL_DIR: SHIPPED_BUNDLE,
    CODE_VERSION: 'test',
  })
  preprocess = (await import('../../functions/preprocess/handler.ts')).handler
  screen = (await import('../../functions/screen/handler.ts')).handler
})

afterAll(() => emulators.stop())

beforeEach(async () => {
  for (const url of Object.values(urls)) await receive(url)
})

/** Receives up to ten messages and deletes them: visibility outlasts the test. */
async function receive(queueUrl: string): Promise<Message[]> {
  const { Messages = [] } = await sqs().send(
    new ReceiveMessageCommand({
      QueueUrl: queueUrl,
      MaxNumberOfMessages: 10,
      VisibilityTimeout: 3600,
      WaitTimeSeconds: 0,
      MessageAttributeNames: ['All'],
    }),
  )
  return Messages
}

// Neither handler reads the rest of a Lambda context.
const context = { getRemainingTimeInMillis: () => 30_000 } as Context

const event = (...bodies: string[]): SQSEvent => ({
  Records: bodies.map((body, i) => ({
    messageId: `m${i}`,
    receiptHandle: '',
    body,
    attributes: { ApproximateReceiveCount: '1', SentTimestamp: '', SenderId: '', ApproximateFirstReceiveTimestamp: '' },
    messageAttributes: {},
    md5OfBody: '',
    eventSource: 'aws:sqs',
    eventSourceARN: 'arn:aws:sqs:eu-central-1:0:q',
    awsRegion: 'eu-central-1',
  })),
})

function intake(recording: Recording, overrides: Partial<IntakeMessage> = {}): IntakeMessage {
  const stream = { tenant: 'clinic', device: 'd1', session: randomUUID() }
  return {
    schema: 1,
    tenant: stream.tenant,
    ecgId: streamEcgId({ ...stream, source: 'mqtt', firstSample: 0 }),
    origin: { kind: 'mqtt', device: stream.device, session: stream.session },
    span: { startedAt: '2026-01-02T03:04:05.000Z', firstSample: 0, durationMs: 10_000 },
    waveform: { inline: encodeWaveform(recording).toString('base64') },
    ...overrides,
  }
}

/** Runs both functions on the messages and returns what was published. */
const run = (...messages: IntakeMessage[]) => runBodies(...messages.map((message) => JSON.stringify(message)))

async function runBodies(...bodies: string[]): Promise<ResultMessage[]> {
  await preprocess(event(...bodies), context)
  await screen(event(...(await receive(urls.screening)).map(({ Body }) => Body!)), context)
  return (await receive(urls.results)).map(({ Body }): ResultMessage => JSON.parse(Body!))
}

const resultOf = (message: ResultMessage | undefined): Result => JSON.parse(message!.result)

describe('a queued message of an earlier release', () => {
  it('becomes a result', async () => {
    const before = await oldMessage('intake-inline')

    const [published] = await runBodies(before)

    expect(resultOf(published)).toMatchObject({ ecgId: JSON.parse(before).ecgId, status: 'screened' })
  })

  it.each([
    ['screening', 'screened'],
    ['screening-refused', 'refused'],
  ])('continues from its queue (%s)', async (name, status) => {
    await screen(event(await oldMessage(name)), context)

    const [published] = (await receive(urls.results)).map(({ Body }): ResultMessage => JSON.parse(Body!))
    expect(resultOf(published).status).toBe(status)
    expect(await receive(urls.screeningDlq)).toEqual([])
  })

  it('is kept byte for byte for a redrive when it has a newer schema', async () => {
    const later = (await oldMessage('screening')).replace('"schema":1', '"schema":2')

    await screen(event(later), context)

    const [kept] = await receive(urls.screeningDlq)
    expect(kept).toMatchObject({ Body: later, MessageAttributes: { reason: { StringValue: 'schema-unsupported' } } })
  })
})

describe('an ECG through both functions', () => {
  it('becomes a stored, published result with five findings and 82 indices', async () => {
    const message = intake(syntheticRecording())

    const [published] = await run(message)

    const result = resultOf(published)
    expect(result).toMatchObject({
      ecgId: message.ecgId,
      status: 'screened',
      span: message.span,
      provenance: { profile: 'cardiacnets-v1', codeVersion: 'test', inputSha256: waveformSha256(syntheticRecording()) },
    })
    expect(result.quality.heartRateBpm).toBeCloseTo(72, 0)
    expect(result.findings.map(({ condition }) => condition)).toEqual(['cad', 'cm', 'pericarditis', 'hf', 'ph'])
    expect(result.indices).toHaveLength(82)
    expect(published).toMatchObject({ tenant: 'clinic', origin: message.origin })
    expect(await new ResultStore(dynamo(), 'results').latest('clinic', message.ecgId)).toBe(published!.result)
  })

  it('gets another result, which names the calibration, under a site calibration', async () => {
    const message = intake(syntheticRecording())
    const [before] = await run(message)
    const model = await mkdtemp(join(tmpdir(), 'cardiacnets-model-'))
    await cp(SHIPPED_BUNDLE, model, { recursive: true })
    const bundle = await readBundle(model, CARDIACNETS_V1.name)
    const fitted = { method: 'platt', scale: 0.5, offset: -1, prevalence: 0.2 } as const
    const conditions = [
      { id: 'cad', n: 50, positives: 10, fitted: { ...fitted, thresholds: { youden: 0.2, sensitivity90: 0.1 } } },
    ] as const
    const site = siteText({ schema: 1, modelBundle: 'b@1', modelSha256: bundle.sha256, conditions: [...conditions] })
    await writeFile(join(model, SITE_FILE), site)
    vi.resetModules()
    vi.stubEnv('MODEL_DIR', model)
    const plain = screen
    screen = (await import('../../functions/screen/handler.ts')).handler

    const [after] = await run(message)

    screen = plain
    vi.unstubAllEnvs()
    await rm(model, { recursive: true })
    expect(resultOf(after).ecgId).toBe(resultOf(before).ecgId)
    expect(resultOf(after).provenance).toEqual({
      ...resultOf(before).provenance,
      site: createHash('sha256').update(site).digest('hex'),
    })
    expect(resultOf(after).findings[0]!.threshold).toBe(0.2)
    expect(await new ResultStore(dynamo(), 'results').latest('clinic', message.ecgId)).toBe(after!.result)
  })

  it('gets another result from another bundle, and its first result from the first bundle', async () => {
    const message = intake(syntheticRecording())
    const [before] = await run(message)
    const model = otherBundle(await mkdtemp(join(tmpdir(), 'cardiacnets-model-')))
    vi.resetModules()
    vi.stubEnv('MODEL_DIR', model)
    const former = screen
    screen = (await import('../../functions/screen/handler.ts')).handler

    const [after] = await run(message)
    screen = former
    const [again] = await run(message)

    vi.unstubAllEnvs()
    await rm(model, { recursive: true })
    const [first, second] = [resultOf(before).provenance, resultOf(after).provenance]
    expect(second.modelBundle).toMatch(/@9\.9\.9$/)
    expect(second.modelSha256).not.toBe(first.modelSha256)
    // The first result is published again.
    expect(again!.result).toBe(before!.result)
    const { items } = await new ResultList(dynamo(), 'results').page('clinic', { limit: 100 })
    expect(items.filter(({ ecgId }) => ecgId === message.ecgId)).toHaveLength(2)
  })

  it('writes two short metric documents and two short log lines, because logs are billed by volume', async () => {
    vi.resetModules()
    vi.stubEnv('POWERTOOLS_LOG_LEVEL', 'INFO')
    vi.stubEnv('POWERTOOLS_METRICS_DISABLED', 'false')
    const quiet = { preprocess, screen }
    preprocess = (await import('../../functions/preprocess/handler.ts')).handler
    screen = (await import('../../functions/screen/handler.ts')).handler

    const good = await linesOf(() => run(intake(syntheticRecording())))
    const refused = await metricsOf(() => run(intake(syntheticRecording({ seconds: 8 }))))

    ;({ preprocess, screen } = quiet)
    vi.unstubAllEnvs()
    expect(good.filter((line) => line !== '')).toHaveLength(4)
    expect(good.filter((line) => line.includes('"message":"audit"'))).toHaveLength(2)
    expect(good.join('\n').length).toBeLessThan(LOG_BYTES)
    expect(refused).toMatchObject([
      { service: 'preprocess', PreprocessMs: expect.any(Number) },
      { service: 'screen', reason: 'too-short', Refusals: 1 },
      { service: 'screen', WindowsRefused: 1 },
    ])
  })

  it('counts once in the drift population; later windows of the day do not count', async () => {
    const bundle = await readBundle(SHIPPED_BUNDLE, CARDIACNETS_V1.name)
    const counted = async () => {
      const Key = {
        pk: { S: `drift#${referenceSha256((await readReference(SHIPPED_BUNDLE, bundle))!)}` },
        sk: { S: 'population' },
      }
      const { Item } = await dynamo().send(new GetItemCommand({ TableName: 'results', Key, ConsistentRead: true }))
      return Number(Item?.n?.N ?? 0)
    }
    const message = intake(syntheticRecording())
    const before = await counted()

    await run(message)
    await run(message)
    const after = await counted()
    await run(intake(syntheticRecording(), { span: { ...message.span, firstSample: 5000 } }))

    expect(after).toBe(before + 1)
    expect(await counted()).toBe(after)
  })

  it('is stored once and published twice with the same bytes when its message is repeated', async () => {
    const message = intake(syntheticRecording())

    const [first] = await run(message)
    const [second] = await run(message)

    expect(second!.result).toBe(first!.result)
    const { items } = await new ResultList(dynamo(), 'results').page('clinic', { limit: 100 })
    expect(items.filter(({ ecgId }) => ecgId === message.ecgId)).toHaveLength(1)
  })

  it('goes to the DLQ when other samples have its ID', async () => {
    const message = intake(syntheticRecording())
    const waveform = intake(syntheticRecording({ seconds: 8 })).waveform

    const [first] = await run(message)
    const second = await run({ ...message, waveform })

    expect(second).toEqual([])
    const [letter] = await receive(urls.screeningDlq)
    expect(letter!.MessageAttributes!.reason!.StringValue).toBe('session-changed')
    expect(await new ResultStore(dynamo(), 'results').latest('clinic', message.ecgId)).toBe(first!.result)
  })

  it.each(['inline', 'claimed'])('does not come back with its message after deletion (%s)', async (travels) => {
    const message = intake(syntheticRecording())
    const { tenant, ecgId } = message
    const bytes = encodeWaveform(syntheticRecording())
    const claim = async () => ({
      ...message,
      waveform: await putObject(s3(), 'raw', waveformKey('raw', tenant, ecgId), bytes),
    })
    await run(travels === 'inline' ? message : await claim())
    const results = new ResultStore(dynamo(), 'results')
    await results.markDeleted(tenant, ecgId)
    await removeEcgObjects(s3(), 'raw', tenant, ecgId)
    await results.removeRows(tenant, ecgId)

    const published = await run(message)

    expect(published).toEqual([])
    expect(await results.latest(tenant, ecgId)).toBeUndefined()
    const { Contents = [] } = await s3().send(new ListObjectsV2Command({ Bucket: 'raw' }))
    expect(Contents.filter(({ Key }) => Key!.includes(ecgId))).toEqual([])
    expect(await receive(urls.screeningDlq)).toEqual([])
  })

  it('is dropped, not retried, when its claim check was deleted', async () => {
    const message = intake(syntheticRecording())
    const { tenant, ecgId } = message
    const results = new ResultStore(dynamo(), 'results')
    await results.markReceived(tenant, ecgId, message.origin)
    await results.markDeleted(tenant, ecgId)
    const waveform = { key: waveformKey('raw', tenant, ecgId), sha256: '0'.repeat(64), bytes: 5 }

    const response = await preprocess(event(JSON.stringify({ ...message, waveform })), context)

    expect(response.batchItemFailures).toEqual([])
    expect(await receive(urls.screening)).toEqual([])
  })

  it('is screened by its first acceptable ten seconds when it is long, as in the CLI', async () => {
    const good = syntheticRecording({ rateHz: 100 })
    // Ten seconds of nothing before the ECG.
    const leads = good.leads.map((lead) => ({
      ...lead,
      samples: Int32Array.from([...new Int32Array(1000), ...lead.samples]),
    }))
    const message = intake({ ...good, leads })

    const [published] = await run(message)
    const [alone] = await run(intake(good))

    expect(resultOf(published)).toMatchObject({
      status: 'screened',
      span: { startedAt: '2026-01-02T03:04:15.000Z', firstSample: 1000, durationMs: 10_000 },
      findings: resultOf(alone).findings,
    })
  })

  it('is refused when it is too short, with a stored, published result', async () => {
    const message = intake(syntheticRecording({ seconds: 8 }))

    const [published] = await run(message)

    expect(resultOf(published)).toMatchObject({
      status: 'refused',
      findings: [],
      indices: [],
      quality: { verdict: 'refused', reasons: ['too-short'] },
    })
    expect(await new ResultStore(dynamo(), 'results').latest('clinic', message.ecgId)).toBe(published!.result)
  })

  it('gives the same result inline and by claim check', async () => {
    const inline = intake(syntheticRecording())
    const bytes = encodeWaveform(syntheticRecording())
    const other = intake(syntheticRecording())
    const claimed = {
      ...other,
      waveform: await putObject(s3(), 'raw', waveformKey('raw', 'clinic', other.ecgId), bytes),
    }

    const published = await run(inline, claimed)

    const [a, b] = published.map((message) => resultOf(message))
    expect(published).toHaveLength(2)
    expect(a!.findings).toEqual(b!.findings)
    expect(a!.indices).toEqual(b!.indices)
  })
})

describe('a window published to AWS IoT Core', () => {
  const topic = 'ecg/v1/clinic/d1/window'
  const receivedAtMs = Date.UTC(2026, 0, 2, 3, 4, 15)
  const payload = () => {
    const { rateHz, leads } = syntheticRecording()
    const samples = Int16Array.from(leads.flatMap((lead) => [...lead.samples]))
    const named = leads.map(({ name, gainUv }) => ({ name, gainUv }))
    const sessionStartedAtMs = Date.UTC(2026, 0, 2, 3, 4, 5)
    return encodeWindow({ session: randomUUID(), firstSample: 0, sessionStartedAtMs, rateHz, leads: named, samples })
  }
  const selected = (data: Buffer) => JSON.stringify({ data: data.toString('base64'), topic, receivedAtMs })

  it('gives the same result as through the adapter, whichever path is first', async () => {
    const data = payload()
    const window = readDeviceWindow(topic, data, receivedAtMs)!
    const waveform = { inline: encodeWaveform(window.waveform).toString('base64') }
    const message: IntakeMessage = { ...intakeEnvelope(window), waveform }

    const [device] = await runBodies(selected(data))
    const [adapter] = await run(message)

    expect(resultOf(device)).toMatchObject({ ecgId: message.ecgId, status: 'screened', span: message.span })
    expect(adapter).toEqual(device)
    const { items } = await new ResultList(dynamo(), 'results').page('clinic', { limit: 100 })
    expect(items.filter(({ ecgId }) => ecgId === message.ecgId)).toHaveLength(1)
    const { Contents = [] } = await s3().send(new ListObjectsV2Command({ Bucket: 'raw' }))
    expect(Contents.map(({ Key }) => Key)).toContain(waveformKey('raw', 'clinic', message.ecgId))
  })

  it('is read from the rule’s error action too', async () => {
    const base64OriginalPayload = payload().toString('base64')
    const failures = [{ failedAction: 'SqsAction', failedResource: 'intake', errorMessage: 'Access denied' }]

    const [published] = await runBodies(JSON.stringify({ ruleName: 'windows', topic, base64OriginalPayload, failures }))

    expect(resultOf(published)).toMatchObject({ status: 'screened' })
  })

  it.each([
    ['data that are not base64', () => JSON.stringify({ data: '?', topic, receivedAtMs }), 'field-invalid', 'data'],
    ['no arrival time', () => JSON.stringify({ data: 'AAAA', topic }), 'field-invalid', 'receivedAtMs'],
    ['invalid data', () => selected(Buffer.from('{"a":')), 'payload-malformed', 'payload'],
    ['empty data', () => selected(Buffer.alloc(0)), 'payload-empty', 'payload'],
    [
      'another topic',
      () => JSON.stringify({ data: 'AAAA', topic: 'ecg/v1/clinic/d1/frames', receivedAtMs }),
      'topic-invalid',
      'channel',
    ],
    [
      'a clock in the future',
      () => JSON.stringify({ data: payload().toString('base64'), topic, receivedAtMs: 0 }),
      'clock-invalid',
      'sessionStartedAtMs',
    ],
  ])('goes to the DLQ with its reason when it has %s', async (_what, body, reason, field) => {
    const response = await preprocess(event(body()), context)

    expect(response.batchItemFailures).toEqual([])
    const [dead] = await receive(urls.intakeDlq)
    expect(dead!.MessageAttributes).toMatchObject({ reason: { StringValue: reason }, field: { StringValue: field } })
    expect(await receive(urls.screening)).toEqual([])
  })
})

describe('a message that cannot be handled', () => {
  const good = () => intake(syntheticRecording())
  const withWaveform = (waveform: Payload) => JSON.stringify({ ...good(), waveform })

  it.each([
    ['not JSON', () => '{"schema":1,', 'payload-malformed'],
    ['another schema version', () => JSON.stringify({ ...good(), schema: 2 }), 'schema-unsupported'],
    ['an invalid ECG ID', () => JSON.stringify({ ...good(), ecgId: 'x' }), 'field-invalid'],
    ['a tenant with a slash', () => JSON.stringify({ ...good(), tenant: 'a/b' }), 'field-invalid'],
    ['bytes that are not a waveform', () => withWaveform({ inline: 'AAAA' }), 'payload-malformed'],
    ['an empty waveform', () => withWaveform({ inline: '' }), 'payload-empty'],
  ])('goes to the DLQ with its reason, without affecting others: %s', async (_, body, reason) => {
    const bad = body()

    const response = await preprocess(event(bad, JSON.stringify(good())), context)

    expect(response.batchItemFailures).toEqual([])
    const [dead] = await receive(urls.intakeDlq)
    expect(dead!.Body).toBe(bad)
    expect(dead!.MessageAttributes!.reason!.StringValue).toBe(reason)
    expect(await receive(urls.screening)).toHaveLength(1)
  })

  it('goes to the DLQ when its claim check has another object’s hash', async () => {
    await s3().send(new PutObjectCommand({ Bucket: 'raw', Key: 'raw/clinic/other', Body: Buffer.from('other') }))
    const claim = { key: 'raw/clinic/other', sha256: '0'.repeat(64), bytes: 5 }

    await preprocess(event(withWaveform(claim)), context)

    const [dead] = await receive(urls.intakeDlq)
    expect(dead!.MessageAttributes!.reason!.StringValue).toBe('claim-check-mismatch')
  })

  it('is retried alone when the object of its claim check is missing', async () => {
    const claim = { key: 'raw/clinic/nowhere', sha256: '0'.repeat(64), bytes: 5 }

    const response = await preprocess(event(JSON.stringify(good()), withWaveform(claim)), context)

    expect(response.batchItemFailures).toEqual([{ itemIdentifier: 'm1' }])
    expect(await receive(urls.intakeDlq)).toEqual([])
  })

  it('goes to the screening DLQ when its clean window is truncated', async () => {
    await preprocess(event(JSON.stringify(good())), context)
    const [message] = await receive(urls.screening)
    const body = JSON.parse(message!.Body!)
    const cut = JSON.stringify({ ...body, clean: { inline: body.clean.inline.slice(0, 200) } })

    const response = await screen(event(cut), context)

    expect(response.batchItemFailures).toEqual([])
    const [dead] = await receive(urls.screeningDlq)
    expect(dead!.MessageAttributes!.reason!.StringValue).toBe('payload-malformed')
  })
})
