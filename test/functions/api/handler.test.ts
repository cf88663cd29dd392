import { randomUUID } from 'node:crypto'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type Emulators, startEmulators } from '../../../cdk/local/aws/emulators.ts'
import { dynamo } from '../../../shared/aws/clients.ts'
import { fileEcgId } from '../../../shared/domain/ecg-id.ts'
import { ResultStore } from '../../../shared/store/results.ts'
import { AUDIT_TABLE, createAuditTable, createResultsTable, TABLE } from '../../helpers/aws.ts'
import { makeResult } from '../../helpers/results.ts'

type Streaming = (event: Event, to: PassThrough, context: object) => Promise<void>

let emulators: Emulators
let api: typeof import('../../../functions/api/handler.ts')
/** What the function said of its answer before it began. */
let metadata: { statusCode: number; headers: Record<string, string> } | undefined

/** The handler reads its environment, and the global of Lambda's runtime, when it is loaded. */
beforeAll(async () => {
  emulators = await startEmulators()
  const settings = {
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: 'local',
    AWS_ENDPOINT_URL: emulators.endpoint,
    AWS_ENDPOINT_URL_DYNAMODB: emulators.dynamoEndpoint,
    POWERTOOLS_LOG_LEVEL: 'SILENT',
    UNAUTHENTICATED_TENANT: 'local',
    RESULTS_TABLE: TABLE,
    AUDIT_TABLE,
    AUDIT_DAYS: '1',
    RAW_BUCKET: 'raw',
    INTAKE_QUEUE_URL: 'http://127.0.0.1/intake',
    UPKEEP_QUEUE_URL: 'http://127.0.0.1/results-fhir',
  }
  for (const [name, value] of Object.entries(settings)) vi.stubEnv(name, value)
  vi.stubGlobal('awslambda', {
    streamifyResponse: (streaming: Streaming) => streaming,
    HttpResponseStream: {
      from: (stream: PassThrough, said: typeof metadata) => {
        metadata = said
        return stream
      },
    },
  })
  await createResultsTable(dynamo())
  await createAuditTable(dynamo())
  api = await import('../../../functions/api/handler.ts')
})
afterAll(async () => {
  vi.unstubAllEnvs()
  vi.unstubAllGlobals()
  await emulators.stop()
})

type Event = Parameters<typeof api.handler>[0]

/** As API Gateway and function URLs have it; what no handler reads is left out, hence the cast. */
const eventOf = (path: string, headers: Record<string, string> = {}) =>
  ({
    version: '2.0',
    routeKey: '$default',
    rawPath: path,
    rawQueryString: '',
    headers: { host: 'api.example', ...headers },
    requestContext: { http: { method: 'GET', path, sourceIp: '127.0.0.1' }, domainName: 'api.example' },
    isBase64Encoded: false,
  }) as unknown as Event

describe('the Lambda handler behind API Gateway', () => {
  it('answers an event', async () => {
    const answer = await api.handler(eventOf('/v1/ecgs'))

    expect(answer).toMatchObject({ statusCode: 200, body: '{"items":[]}' })
  })

  it('reports that it cannot stream', async () => {
    const answer = await api.handler(eventOf('/v1/events', { accept: 'text/event-stream' }))

    expect(answer).toMatchObject({ statusCode: 406 })
  })
})

describe('the Lambda handler behind the function URL', () => {
  // What `streamifyResponse` above gives back.
  const stream = (event: Event, to: PassThrough) => (api.stream as unknown as Streaming)(event, to, {})

  it('streams events as they happen', async () => {
    const to = new PassThrough()
    void stream(eventOf('/v1/events', { accept: 'text/event-stream' }), to)
    const [begun, told] = [Promise.withResolvers<void>(), Promise.withResolvers<string>()]
    let seen = ''
    to.on('data', (chunk) => {
      seen += chunk
      if (seen.includes(': heartbeat')) begun.resolve()
      if (seen.includes('event: result')) told.resolve(seen)
    })
    const result = makeResult({ ecgId: fileEcgId({ tenant: 'local', sha256: randomUUID() }) })
    await begun.promise

    await new ResultStore(dynamo(), TABLE).putOnce('local', { kind: 'upload' }, result, new Date())

    expect(await told.promise).toContain(`"ecgId":"${result.ecgId}"`)
    expect(metadata).toMatchObject({ statusCode: 200, headers: { 'content-type': 'text/event-stream' } })
    // The function notices the closed reader at its next heartbeat; the test cannot observe that.
    to.on('error', () => {}).destroy()
  })

  it('has no other route', async () => {
    const to = new PassThrough()

    await stream(eventOf('/v1/ecgs'), to)

    expect(metadata?.statusCode).toBe(404)
    expect(JSON.parse(await text(to))).toMatchObject({ code: 'not-found' })
  })
})
