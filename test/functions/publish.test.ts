import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Context, SQSEvent } from 'aws-lambda'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startTestAws, type TestAws } from '../helpers/aws.ts'

interface Published {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

let aws: TestAws
let handler: typeof import('../../functions/publish/handler.ts')['handler']
const published: Published[] = []

/** The part of IoT's data plane that is used. */
const dataPlane = createServer(async (request, response) => {
  let body = ''
  for await (const chunk of request) body += chunk
  published.push({ path: request.url!, headers: request.headers, body })
  response.end('{}')
})

beforeAll(async () => {
  aws = await startTestAws()
  await new Promise<void>((resolve) => dataPlane.listen(0, '127.0.0.1', resolve))
  const { port } = dataPlane.address() as AddressInfo // it listens on a port
  process.env.AWS_ENDPOINT_URL_IOT_DATA_PLANE = `http://127.0.0.1:${port}`
  // Any queue will do.
  Object.assign(process.env, aws.env, { RESULTS_MQTT_DLQ_URL: aws.intakeUrl })
  ;({ handler } = await import('../../functions/publish/handler.ts'))
})
afterAll(async () => {
  dataPlane.close()
  await aws.stop()
})

function event(body: object): SQSEvent {
  const record = {
    messageId: 'm1',
    body: JSON.stringify(body),
    attributes: { ApproximateReceiveCount: '1' },
    messageAttributes: {},
  }
  return { Records: [record] } as unknown as SQSEvent // what the handler reads of one
}

it('the publish function publishes a result to its device as stored', async () => {
  const result = '{"ecgId":"e1","status":"screened"}'
  const origin = { kind: 'mqtt', device: 'd1', session: 's1' }

  const answer = await handler(event({ schema: 1, tenant: 'clinic', origin, result }), {} as Context)

  expect(answer.batchItemFailures).toEqual([])
  const [{ path, headers, body }] = published as [Published]
  expect(decodeURIComponent(path)).toMatch(/^\/topics\/ecg\/v1\/clinic\/d1\/results\?/)
  expect(new URL(path, 'http://iot').searchParams.get('qos')).toBe('1')
  expect(new URL(path, 'http://iot').searchParams.get('contentType')).toBe('application/json')
  expect(body).toBe(result)
  const properties = Buffer.from(String(headers['x-amz-mqtt5-user-properties']), 'base64').toString()
  expect(JSON.parse(properties)).toContainEqual({ 'ecg-id': 'e1' })
})

it('resultPublication publishes a summary when the site asks for it', async () => {
  const { makeResult } = await import('../helpers/results.ts')
  const { resultPublication } = await import('../../streams/mqtt/result-publication.ts')
  const result = JSON.stringify(makeResult())
  const message = {
    schema: 1,
    tenant: 'clinic',
    origin: { kind: 'mqtt', device: 'd1', session: 's1' },
    result,
  } as const

  const { payload, topic } = resultPublication(message, undefined, 'summary')

  expect(topic).toBe('ecg/v1/clinic/d1/results')
  expect([payload.length < 5000, JSON.parse(payload).omitted.indices]).toEqual([true, 75])
})

it('the publish function moves a result without a device to the DLQ', async () => {
  const message = { schema: 1, tenant: 'clinic', origin: { kind: 'upload' }, result: '{}' }

  const answer = await handler(event(message), {} as Context)

  expect(answer.batchItemFailures).toEqual([])
  expect(await aws.receive(aws.intakeUrl)).toMatchObject([{ Body: JSON.stringify(message) }])
})
