import { CreateQueueCommand } from '@aws-sdk/client-sqs'
import type { Context, SQSBatchResponse, SQSEvent } from 'aws-lambda'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { type SandboxEhr, startSandboxEhr } from '../../cdk/local/sandbox-ehr/index.ts'
import { FhirInboundMessage, IntakeMessage, parseMessage } from '../../shared/messages.ts'
import { BUCKET, startTestAws, TABLE, type TestAws } from '../helpers/aws.ts'
import { ecgObservation } from '../helpers/fhir-observations.ts'
import { syntheticRecording } from '../helpers/recordings.ts'

let aws: TestAws
let ehr: SandboxEhr
let urls: { inbound: string; dlq: string }
let handler: (event: SQSEvent, context: Context) => Promise<SQSBatchResponse>
/** All that the function logs. */
const logged: string[] = []

/** The handler reads its environment when it is loaded, so it is imported afterwards. */
beforeAll(async () => {
  ;[aws, ehr] = await Promise.all([startTestAws(), startSandboxEhr()])
  const queue = async (name: string) => (await aws.sqs.send(new CreateQueueCommand({ QueueName: name }))).QueueUrl!
  urls = { inbound: await queue('fhir-inbound'), dlq: await queue('fhir-inbound-dlq') }
  const endpoint = String((await aws.sqs.config.endpoint!()).port)
  const dynamo = String((await aws.dynamo.config.endpoint!()).port)
  Object.assign(process.env, {
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: 'local',
    AWS_ENDPOINT_URL: `http://127.0.0.1:${endpoint}`,
    AWS_ENDPOINT_URL_DYNAMODB: `http://127.0.0.1:${dynamo}`,
    POWERTOOLS_METRICS_DISABLED: 'true',
    // Powertools then writes to the console that this test observes.
    POWERTOOLS_DEV: 'true',
    FHIR_INBOUND_QUEUE_URL: urls.inbound,
    FHIR_INBOUND_DLQ_URL: urls.dlq,
    INTAKE_QUEUE_URL: aws.intakeUrl,
    RAW_BUCKET: BUCKET,
    RESULTS_TABLE: TABLE,
    SITE_CONFIG: JSON.stringify({
      ehr: { id: 'hospital', tenant: 'clinic', baseUrl: ehr.baseUrl, auth: { kind: 'none' }, timeoutMs: 5000 },
    }),
  })
  for (const level of ['debug', 'info', 'warn', 'error', 'log'] as const) {
    vi.spyOn(console, level).mockImplementation((...parts: unknown[]) => void logged.push(parts.join(' ')))
  }
  handler = (await import('../../functions/fhir-intake/handler.ts')).handler
})

afterAll(async () => {
  vi.restoreAllMocks()
  await Promise.all([aws.stop(), ehr.stop()])
})

beforeEach(async () => {
  ehr.outage = undefined
  for (const url of [urls.inbound, urls.dlq, aws.intakeUrl]) await aws.receive(url)
})

const handle = (...bodies: unknown[]) =>
  handler(
    {
      Records: bodies.map((body, i) => ({
        messageId: String(i),
        receiptHandle: 'none',
        body: JSON.stringify(body),
        attributes: {
          ApproximateReceiveCount: '1',
          SentTimestamp: '0',
          SenderId: '',
          ApproximateFirstReceiveTimestamp: '0',
        },
        messageAttributes: {},
        md5OfBody: '',
        eventSource: 'aws:sqs',
        eventSourceARN: '',
        awsRegion: '',
      })),
    },
    { functionName: 'fhir-intake' } as Context, // all that is looked at
  )

const message = (reference: string): FhirInboundMessage => ({
  schema: 1,
  tenant: 'clinic',
  kind: 'resource',
  reference,
})
const POLL: FhirInboundMessage = { schema: 1, tenant: 'clinic', kind: 'poll' }

const newEcg = (change: Readonly<Record<string, unknown>> = {}) => {
  const patient = ehr.create({ resourceType: 'Patient', id: 'x', name: [{ family: 'Doe' }] })
  const recording = syntheticRecording({ seconds: 1, leads: ['I', 'II'] })
  return ehr.create({ ...ecgObservation(recording, `Patient/${patient.id}`), ...change })
}

describe('the fhir-intake function', () => {
  it('submits a notified ECG to the intake', async () => {
    const { id } = newEcg()

    const { batchItemFailures } = await handle(message(`Observation/${id}`))

    const [received, ...others] = await aws.receive(aws.intakeUrl)
    expect([batchItemFailures, others]).toEqual([[], []])
    expect(parseMessage(IntakeMessage, received!.Body!)).toMatchObject({
      tenant: 'clinic',
      origin: { kind: 'fhir', server: 'hospital', source: `Observation/${id}` },
    })
  })

  it('queues what a poll finds for itself', async () => {
    const { id } = newEcg()

    await handle(POLL)

    const found = (await aws.receive(urls.inbound)).map(({ Body }) => parseMessage(FhirInboundMessage, Body!))
    expect(found).toContainEqual(message(`Observation/${id}`))
  })

  it('moves an unreadable ECG to the DLQ with its reason, and continues', async () => {
    const bad = newEcg({
      component: [
        { code: { text: 'II' }, valueSampledData: { origin: { value: 0 }, period: 2, dimensions: 1, data: '1 2' } },
      ],
    })
    const good = newEcg()

    const { batchItemFailures } = await handle(message(`Observation/${bad.id}`), message(`Observation/${good.id}`), {
      schema: 1,
    })

    const dead = await aws.receive(urls.dlq)
    expect(batchItemFailures).toEqual([])
    expect(dead.map(({ MessageAttributes }) => MessageAttributes?.reason?.StringValue).toSorted()).toEqual([
      'field-invalid',
      'unit-unknown',
    ])
    expect(await aws.receive(aws.intakeUrl)).toHaveLength(1)
  })

  it('keeps a notification while the EHR is down, but drops a poll', async () => {
    const { id } = newEcg()
    ehr.outage = 503

    const { batchItemFailures } = await handle(message(`Observation/${id}`), POLL)

    expect(batchItemFailures).toEqual([{ itemIdentifier: '0' }])
    expect(await aws.receive(urls.dlq)).toEqual([])
  })

  it('logs codes and fields without patient data', () => {
    const text = logged.join('\n')

    expect(text).toMatch(/unit-unknown/)
    expect(text).toMatch(/ehr-unavailable/)
    expect(text).not.toMatch(/Patient|Doe|Observation\//)
  })
})
