/**
 * One ECG's trace from its first message to the EHR, through the handlers and real queues.
 * @module
 */
import { createServer, type IncomingMessage } from 'node:http'
import { CreateTopicCommand, SubscribeCommand } from '@aws-sdk/client-sns'
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  type Message,
  ReceiveMessageCommand,
  SendMessageCommand,
} from '@aws-sdk/client-sqs'
import type { Context, SQSBatchResponse, SQSEvent } from 'aws-lambda'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { closeServer, listen } from '../../cdk/local/http.ts'
import { sns, sqs } from '../../shared/aws/clients.ts'
import { fileEcgId } from '../../shared/domain/ecg-id.ts'
import { SHIPPED_BUNDLE } from '../../shared/inference/active-bundle.ts'
import type { IntakeMessage } from '../../shared/messages.ts'
import { parseTraceparent } from '../../shared/observe/tracing.ts'
import { encodeWaveform } from '../../shared/waveform/codec.ts'
import { BUCKET, startTestAws, TABLE, type TestAws } from '../helpers/aws.ts'
import { syntheticRecording } from '../helpers/recordings.ts'

type Handler = (event: SQSEvent, context: Context) => Promise<SQSBatchResponse>

const PARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

let aws: TestAws
let handlers: Record<'preprocess' | 'screen' | 'report', Handler>
let urls: Record<'intake' | 'screening' | 'dlq', string>
const asked: IncomingMessage[] = []
const ehr = createServer((request, response) => {
  asked.push(request)
  response.writeHead(404).end()
})

beforeAll(async () => {
  aws = await startTestAws()
  const { port } = await listen(ehr, 0)
  Object.assign(process.env, aws.env, { POWERTOOLS_LOG_LEVEL: 'SILENT', POWERTOOLS_METRICS_DISABLED: 'true' })
  const queue = async (name: string) => (await sqs().send(new CreateQueueCommand({ QueueName: name }))).QueueUrl!
  urls = { intake: aws.intakeUrl, screening: await queue('screening'), dlq: await queue('dlq') }
  const { TopicArn } = await sns().send(new CreateTopicCommand({ Name: 'results' }))
  const attributes = new GetQueueAttributesCommand({ QueueUrl: aws.reportUrl, AttributeNames: ['QueueArn'] })
  const { Attributes } = await sqs().send(attributes)
  const raw = { Attributes: { RawMessageDelivery: 'true' } }
  await sns().send(new SubscribeCommand({ TopicArn, Protocol: 'sqs', Endpoint: Attributes!.QueueArn, ...raw }))
  Object.assign(process.env, {
    RAW_BUCKET: BUCKET,
    RESULTS_TABLE: TABLE,
    RESULTS_TOPIC_ARN: TopicArn,
    SCREENING_QUEUE_URL: urls.screening,
    RESULTS_FHIR_QUEUE_URL: aws.reportUrl,
    INTAKE_DLQ_URL: urls.dlq,
    SCREENING_DLQ_URL: urls.dlq,
    RESULTS_FHIR_DLQ_URL: urls.dlq,
    MODEL_DIR: SHIPPED_BUNDLE,
    CODE_VERSION: 'test',
    SITE_CONFIG: JSON.stringify({ ehr: { baseUrl: `http://127.0.0.1:${port}/fhir`, auth: { kind: 'none' } } }),
  })
  handlers = {
    preprocess: (await import('../../functions/preprocess/handler.ts')).handler,
    screen: (await import('../../functions/screen/handler.ts')).handler,
    report: (await import('../../functions/report/handler.ts')).handler,
  }
}, 60_000)

afterAll(async () => {
  await closeServer(ehr)
  await aws.stop()
})

async function receive(QueueUrl: string): Promise<Message> {
  const { Messages = [] } = await sqs().send(
    new ReceiveMessageCommand({
      QueueUrl,
      VisibilityTimeout: 3600,
      WaitTimeSeconds: 5,
      MessageAttributeNames: ['All'],
    }),
  )
  return Messages[0]!
}

const context = { getRemainingTimeInMillis: () => 30_000 } as Context // all that is read of one

/** As the event source mapping hands it over. */
const eventOf = ({ Body, ReceiptHandle, MessageAttributes = {} }: Message): SQSEvent => ({
  Records: [
    {
      messageId: 'm0',
      receiptHandle: ReceiptHandle!,
      body: Body!,
      attributes: {
        ApproximateReceiveCount: '1',
        SentTimestamp: '',
        SenderId: '',
        ApproximateFirstReceiveTimestamp: '',
      },
      messageAttributes: Object.fromEntries(
        Object.entries(MessageAttributes).map(([name, { StringValue }]) => [
          name,
          { stringValue: StringValue!, dataType: 'String' },
        ]),
      ),
      md5OfBody: '',
      eventSource: 'aws:sqs',
      eventSourceARN: 'arn:aws:sqs:us-east-1:0:q',
      awsRegion: 'us-east-1',
    },
  ],
})

/** An ECG that came from the EHR, so that its report asks the EHR for what it belongs to. */
function ecg(source: string): IntakeMessage {
  return {
    schema: 1,
    tenant: 'local',
    ecgId: fileEcgId({ tenant: 'local', sha256: source }),
    origin: { kind: 'fhir', server: 'ehr', source: `Observation/${source}` },
    span: { startedAt: '2026-01-02T03:04:05.000Z', firstSample: 0, durationMs: 10_000 },
    waveform: { inline: encodeWaveform(syntheticRecording()).toString('base64') },
  }
}

/** Sends an ECG its way and returns the trace that each step had. */
async function traced(source: string, traceparent?: string) {
  const attribute = traceparent && { traceparent: { DataType: 'String', StringValue: traceparent } }
  await sqs().send(
    new SendMessageCommand({
      QueueUrl: urls.intake,
      MessageBody: JSON.stringify(ecg(source)),
      ...(attribute ? { MessageAttributes: attribute } : {}),
    }),
  )
  asked.length = 0
  await handlers.preprocess(eventOf(await receive(urls.intake)), context)
  const screening = await receive(urls.screening)
  await handlers.screen(eventOf(screening), context)
  const result = await receive(aws.reportUrl)
  await handlers.report(eventOf(result), context)
  const ofMessage = ({ MessageAttributes }: Message) => parseTraceparent(MessageAttributes?.traceparent?.StringValue)
  return {
    screening: ofMessage(screening)!,
    result: ofMessage(result)!,
    origin: result.MessageAttributes?.origin?.StringValue,
    ehr: asked.map(({ headers }) => parseTraceparent(String(headers.traceparent))!),
  }
}

it('a trace continues from the first message through both functions, SNS and the report to the EHR', async () => {
  const { screening, result, origin, ehr } = await traced('one', PARENT)

  const { traceId } = parseTraceparent(PARENT)!
  expect(ehr.length).toBeGreaterThan(0)
  for (const step of [screening, result, ...ehr]) expect(step).toMatchObject({ traceId, isSampled: true })
  expect(new Set([parseTraceparent(PARENT)!, screening, result, ehr[0]!].map(({ spanId }) => spanId)).size).toBe(4)
  expect(origin).toBe('fhir')
}, 60_000)

it.each([
  ['without a traceparent, as in earlier releases', 'two', undefined],
  ['with an invalid traceparent', 'three', 'Jane Doe'],
])(
  'a trace begins with a message %s',
  async (_, source, traceparent) => {
    const { screening, result, ehr } = await traced(source, traceparent)

    expect(screening.traceId).toMatch(/^[0-9a-f]{32}$/)
    for (const step of [result, ...ehr]) expect(step.traceId).toBe(screening.traceId)
  },
  60_000,
)
