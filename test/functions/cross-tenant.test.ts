/**
 * What a tenant may do to another: nothing. A case for each route of the API and for each function, by the lists of both: a new one without a
 * case fails here.
 */
import { randomUUID } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { createServer } from 'node:http'
import { join, resolve } from 'node:path'
import { ScanCommand } from '@aws-sdk/client-dynamodb'
import { ListObjectsV2Command } from '@aws-sdk/client-s3'
import { CreateTopicCommand, SNSClient } from '@aws-sdk/client-sns'
import type { Context, SQSBatchResponse, SQSEvent } from 'aws-lambda'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { closeServer, listen } from '../../cdk/local/http.ts'
import { type SandboxEhr, startSandboxEhr } from '../../cdk/local/sandbox-ehr/index.ts'
import { ROUTE_ACTIONS } from '../../functions/api/audit.ts'
import { work } from '../../functions/synthesize/worker.ts'
import { putObject, waveformKey } from '../../shared/aws/payloads.ts'
import { type fileEcgId, streamEcgId } from '../../shared/domain/ecg-id.ts'
import { SHIPPED_BUNDLE } from '../../shared/inference/active-bundle.ts'
import type { Origin } from '../../shared/messages.ts'
import { encodeWaveform } from '../../shared/waveform/codec.ts'
import { AUDIT_TABLE, BUCKET, TABLE } from '../helpers/aws.ts'
import { ecgObservation } from '../helpers/fhir-observations.ts'
import { syntheticRecording } from '../helpers/recordings.ts'
import { makeResult } from '../helpers/results.ts'
import { storedDrawing } from '../helpers/stored-drawing.ts'
import { answerOf, startTestApi, type TestApi } from './api/helpers.ts'

/** Has the EHR, and an ECG with a drawing. */
const OWNER = 'owner'
/** A tenant of the same site that may not report to the EHR. */
const OTHER = 'other'
const DEVICE = 'd1'
const AT = new Date('2026-01-02T03:04:05.000Z')

const FUNCTIONS = resolve(import.meta.dirname, '../../functions')
const WRITTEN = ['DiagnosticReport', 'RiskAssessment', 'Observation', 'ImagingStudy', 'DocumentReference', 'Provenance']

let api: TestApi
let ehr: SandboxEhr
let patient: string
const published: string[] = []
const dataPlane = createServer((request, response) => {
  published.push(decodeURIComponent(request.url!))
  response.end('{}')
})
/** The owner's. */
let own: { ecgId: ReturnType<typeof fileEcgId>; jobId: string; position: string }

beforeAll(async () => {
  ehr = await startSandboxEhr()
  api = await startTestApi({ ehrTenants: new Set([OWNER]) })
  patient = `Patient/${ehr.create({ resourceType: 'Patient' }).id}`
  const { port } = await listen(dataPlane, 0)
  const sns = new SNSClient({
    endpoint: api.env.AWS_ENDPOINT_URL_SNS!,
    region: 'us-east-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  })
  const { TopicArn } = await sns.send(new CreateTopicCommand({ Name: 'results' }))
  sns.destroy()
  // The handlers read their environment when they are loaded, so they are imported afterwards.
  Object.assign(process.env, api.env, {
    AWS_ENDPOINT_URL_IOT_DATA_PLANE: `http://127.0.0.1:${port}`,
    AWS_ENDPOINT_URL_BATCH: 'http://127.0.0.1:1', // a request to it is a failure
    POWERTOOLS_LOG_LEVEL: 'SILENT',
    POWERTOOLS_METRICS_DISABLED: 'true',
    RESULTS_TABLE: TABLE,
    AUDIT_TABLE,
    AUDIT_DAYS: '1',
    RAW_BUCKET: BUCKET,
    MODEL_DIR: SHIPPED_BUNDLE,
    CODE_VERSION: 'test',
    TENANTS: `${OWNER},${OTHER}`,
    GROUPS: JSON.stringify({ readers: ['ecg:read'] }),
    RESULTS_TOPIC_ARN: TopicArn,
    BATCH_JOB_QUEUE: 'queue',
    BATCH_JOB_DEFINITION: 'definition',
    ...Object.fromEntries(
      ['INTAKE', 'SCREENING', 'RESULTS_MQTT', 'RESULTS_FHIR', 'FHIR_INBOUND', 'SYNTHESIS', 'UPKEEP'].flatMap((name) => [
        [`${name}_QUEUE_URL`, api.intakeUrl],
        [`${name}_DLQ_URL`, api.reportUrl],
      ]),
    ),
    SITE_CONFIG: JSON.stringify({
      ehr: { id: 'ehr', tenant: OWNER, baseUrl: ehr.baseUrl, auth: { kind: 'none' } },
      report: { virtual: true, session: { silenceS: 20 } },
    }),
  })
  const { next: position } = await answerOf(await api.as(OWNER, '/v1/events'))
  const { ecgId } = await api.screened(OWNER, {}, { kind: 'upload', device: DEVICE })
  await putObject(api.s3, BUCKET, waveformKey('raw', OWNER, ecgId), encodeWaveform(syntheticRecording()))
  own = { ecgId, jobId: await aDrawing(OWNER, ecgId), position }
})

afterAll(async () => {
  await Promise.all([api.stop(), ehr.stop(), closeServer(dataPlane)])
})

function aDrawing(tenant: string, ecgId: typeof own.ecgId): Promise<string> {
  const drawing = { ecgId, version: 1, bundleSha256: 'c'.repeat(64), seed: 7, sampler: 'distilled' }
  return storedDrawing(api, tenant, drawing, AT)
}

/** All of the owner's data, as stored in the table and the bucket. */
async function ownersThings(): Promise<unknown> {
  const { Items = [] } = await api.dynamo.send(new ScanCommand({ TableName: TABLE }))
  const { Contents = [] } = await api.s3.send(new ListObjectsV2Command({ Bucket: BUCKET }))
  const rows = Items.filter(({ pk }) => pk!.S!.startsWith(`${OWNER}#`))
  const objects = Contents.filter(({ Key }) => Key!.includes(`/${OWNER}/`)).map(({ Key, ETag }) => [Key, ETag])
  return { rows: rows.map((row) => JSON.stringify(row)).sort(), objects }
}

/** The contents of the EHR's charts. */
const charts = () => WRITTEN.flatMap((type) => [...ehr.store.all(type)])

const json = (body: unknown): RequestInit => ({
  body: JSON.stringify(body),
  headers: { 'content-type': 'application/json' },
})

/** For each route: what the other tenant asks, of what the owner has; and the status that it is answered with. */
const ROUTES: Readonly<Record<string, () => { path: string; init?: RequestInit; status: number }>> = {
  'POST /v1/ecgs': () => ({ path: `/v1/ecgs?device=${DEVICE}`, init: { body: 'no ECG' }, status: 415 }),
  'GET /v1/ecgs': () => ({ path: `/v1/ecgs?device=${DEVICE}`, status: 200 }),
  'GET /v1/ecgs/:id': () => ({ path: `/v1/ecgs/${own.ecgId}`, status: 404 }),
  'GET /v1/ecgs/:id/waveform': () => ({ path: `/v1/ecgs/${own.ecgId}/waveform`, status: 404 }),
  'GET /v1/ecgs/:id/subject': () => ({ path: `/v1/ecgs/${own.ecgId}/subject`, status: 404 }),
  'GET /v1/ecgs/:id/model-input': () => ({ path: `/v1/ecgs/${own.ecgId}/model-input`, status: 404 }),
  'POST /v1/ecgs/:id/attribution': () => ({ path: `/v1/ecgs/${own.ecgId}/attribution`, status: 404 }),
  'GET /v1/ecgs/:id/attribution': () => ({ path: `/v1/ecgs/${own.ecgId}/attribution`, status: 404 }),
  'DELETE /v1/ecgs/:id': () => ({ path: `/v1/ecgs/${own.ecgId}`, status: 404 }),
  'POST /v1/ecgs/:id/cmr': () => ({ path: `/v1/ecgs/${own.ecgId}/cmr`, init: json({}), status: 404 }),
  'GET /v1/ecgs/:id/cmr': () => ({ path: `/v1/ecgs/${own.ecgId}/cmr`, status: 404 }),
  'GET /v1/cmr/:id': () => ({ path: `/v1/cmr/${own.jobId}`, status: 404 }),
  'DELETE /v1/cmr/:id': () => ({ path: `/v1/cmr/${own.jobId}`, status: 404 }),
  'GET /v1/cmr/:id/artifacts/:name': () => ({ path: `/v1/cmr/${own.jobId}/artifacts/sax.webp`, status: 404 }),
  'PUT /v1/devices/:id/association': () => ({
    path: `/v1/devices/${DEVICE}/association`,
    init: json({ patient, from: '2026-01-01T00:00:00Z' }),
    status: 403,
  }),
  'GET /v1/unidentified': () => ({ path: '/v1/unidentified', status: 200 }),
  'GET /v1/operations': () => ({ path: '/v1/operations', status: 200 }),
  'POST /v1/operations/redrive': () => ({
    path: '/v1/operations/redrive',
    init: json({ queue: 'intake' }),
    status: 200,
  }),
  'GET /v1/events': () => ({ path: `/v1/events?after=${own.position}`, status: 200 }),
}

describe('a route of the API', () => {
  it.each(Object.keys(ROUTE_ACTIONS))('neither discloses nor changes another tenant’s data: %s', async (route) => {
    const ask = ROUTES[route]
    if (ask === undefined) throw new Error(`${route} has no case here: what does it answer another tenant?`)
    const before = await ownersThings()
    const { path, init, status } = ask()

    const response = await api.as(OTHER, path, { ...init, method: route.split(' ')[0]! })

    const text = await response.text()
    expect(`${response.status} ${text}`).toMatch(new RegExp(`^${status} `))
    expect(text).not.toContain('"ecgId"')
    expect(await ownersThings()).toEqual(before)
  })

  it('tells the owner what it hides from the other tenant', async () => {
    const answers = ['/v1/ecgs', `/v1/events?after=${own.position}`].map(async (path) =>
      answerOf(await api.as(OWNER, path)),
    )

    for (const { items } of await Promise.all(answers)) expect(items).toMatchObject([{ ecgId: own.ecgId }])
  })

  it('lists no ECG of a patient for whom two tenants use the same reference and the same device', async () => {
    const from = new Date('2026-01-01T00:00:00Z')
    for (const tenant of [OWNER, 'third']) await api.associations.put(tenant, DEVICE, { patient, from })
    const { ecgId } = await api.screened('third', {}, { kind: 'upload', device: DEVICE }, AT)

    const mine = await answerOf(await api.as('third', `/v1/ecgs?samePatientAs=${ecgId}`))
    const owners = await api.as('third', `/v1/ecgs?samePatientAs=${own.ecgId}`)

    expect(mine.items.map((item) => item.ecgId)).toEqual([ecgId])
    expect(owners.status).toBe(404)
  })

  it('lets a tenant with reporting rights associate a device with a patient', async () => {
    const { path, init } = ROUTES['PUT /v1/devices/:id/association']!()

    const response = await api.as(OWNER, path, { ...init, method: 'PUT' })

    expect(response.status).toBe(200)
  })
})

type Handler = (event: SQSEvent, context: Context) => Promise<SQSBatchResponse>

/** Runs a function on messages, as a queue would. */
async function run(handler: Handler, ...bodies: unknown[]): Promise<SQSBatchResponse> {
  const Records = bodies.map((body, i) => ({
    messageId: `m${i}`,
    receiptHandle: 'none',
    body: JSON.stringify(body),
    attributes: { ApproximateReceiveCount: '1' },
    messageAttributes: {},
  }))
  const context = { getRemainingTimeInMillis: () => 30_000 } as Context
  return handler({ Records } as unknown as SQSEvent, context) // what handlers read of them
}

const handlerOf = async (name: string): Promise<Handler> =>
  ((await import(`../../functions/${name}/handler.ts`)) as { handler: Handler }).handler

/** A window of the other tenant, from a device that is called as the owner's. */
const window = () => {
  const stream = { tenant: OTHER, device: DEVICE, session: randomUUID() }
  return {
    schema: 1,
    tenant: OTHER,
    ecgId: streamEcgId({ ...stream, source: 'mqtt', firstSample: 0 }),
    origin: { kind: 'mqtt', device: DEVICE, session: stream.session },
    span: { startedAt: AT.toISOString(), firstSample: 0, durationMs: 10_000 },
    waveform: { inline: encodeWaveform(syntheticRecording()).toString('base64') },
  }
}

/** For each function: messages of the other tenant that would reach what is not its own. */
const CASES: Readonly<Record<string, () => Promise<void>>> = {
  /** Its routes are asked one by one, above. */
  api: async () => {},

  'fhir-intake': async () => {
    const { id } = ehr.create({ ...ecgObservation(syntheticRecording()), subject: { reference: patient } } as never)
    const reference = `Observation/${id}`

    await run(await handlerOf('fhir-intake'), { schema: 1, tenant: OTHER, kind: 'resource', reference })

    expect(await api.receive(api.intakeUrl)).toEqual([])
    expect(await api.receive(api.reportUrl)).toMatchObject([{ Body: expect.stringContaining(reference) }])
  },

  preprocess: async () => {
    const message = window()

    const { batchItemFailures } = await run(await handlerOf('preprocess'), message)

    expect(batchItemFailures).toEqual([])
    const [sent] = await api.receive(api.intakeUrl)
    expect(JSON.parse(sent!.Body!)).toMatchObject({ tenant: OTHER, ecgId: message.ecgId })
  },

  screen: async () => {
    await run(await handlerOf('preprocess'), window())
    const [clean] = await api.receive(api.intakeUrl)

    await run(await handlerOf('screen'), JSON.parse(clean!.Body!))

    const { ecgId } = JSON.parse(clean!.Body!)
    expect(await api.results.latest(OTHER, ecgId)).toBeDefined()
    expect(await api.results.latest(OWNER, ecgId)).toBeUndefined()
  },

  publish: async () => {
    const origin = { kind: 'mqtt', device: DEVICE, session: 's1' }

    await run(await handlerOf('publish'), { schema: 1, tenant: OTHER, origin, result: JSON.stringify(makeResult()) })

    expect(published).toEqual([expect.stringContaining(`/ecg/v1/${OTHER}/${DEVICE}/results`)])
  },

  /** As was shown: an association that names a patient of the owner's EHR, and every way that leads from it into a chart. */
  report: async () => {
    await api.associations.put(OTHER, DEVICE, { patient, from: new Date(0) })
    const { id } = ehr.create({ ...ecgObservation(syntheticRecording()), subject: { reference: patient } } as never)
    const origins: readonly Origin[] = [
      { kind: 'upload', device: DEVICE },
      { kind: 'mqtt', device: DEVICE, session: 's1' },
      { kind: 'fhir', server: 'ehr', source: `Observation/${id}` },
    ]
    const before = charts()
    const handler = await handlerOf('report')
    for (const origin of origins) {
      const { ecgId, result } = await api.screened(OTHER, {}, origin, AT)
      const jobId = await aDrawing(OTHER, ecgId)
      const token = randomUUID()

      const { batchItemFailures } = await run(
        handler,
        { schema: 1, tenant: OTHER, origin, result: JSON.stringify(result) },
        { schema: 1, tenant: OTHER, kind: 'cine', jobId },
        { schema: 1, tenant: OTHER, kind: 'session-check', device: DEVICE, session: 's1', token },
      )

      expect(batchItemFailures).toEqual([])
    }
    expect(charts()).toEqual(before)
    // Nothing is queued for later, either.
    expect(await api.receive(api.intakeUrl)).toEqual([])
    expect((await api.associations.unidentified(OTHER, { limit: 10 })).items).toEqual([])
  },

  upkeep: async () => {
    const origin = { kind: 'upload', device: DEVICE } as const
    await api.associations.markUnidentified(OWNER, { device: DEVICE, at: AT, ecgId: own.ecgId, origin })
    const ofDevice = await api.screened(OWNER, {}, { kind: 'mqtt', device: DEVICE, session: 's1' })
    const before = await ownersThings()
    const of = { schema: 1, tenant: OTHER }

    const { batchItemFailures } = await run(
      await handlerOf('upkeep'),
      { ...of, kind: 'deletion', ecgId: own.ecgId },
      { ...of, kind: 'attribution', ecgId: own.ecgId },
      { ...of, kind: 'result', ecgId: ofDevice.ecgId },
      { ...of, kind: 'association', device: DEVICE, from: '2020-01-01T00:00:00.000Z', to: null },
    )

    expect(batchItemFailures).toEqual([])
    expect(await api.receive(api.intakeUrl)).toEqual([])
    expect(await ownersThings()).toEqual(before)
    await api.associations.markReported(OWNER, { device: DEVICE, at: AT, ecgId: own.ecgId })
    await api.results.removeRows(OWNER, ofDevice.ecgId)
  },

  /** A user of the other tenant in a group named like the owner's, and a user of an unknown tenant. */
  'sign-in': async () => {
    const { handler } = await import('../../functions/sign-in/handler.ts')
    const tokenOf = async (tenant: string) => {
      const request = { userAttributes: { 'custom:tenant': tenant }, groupConfiguration: { groupsToOverride: [OWNER] } }
      const { response } = await handler({ request, callerContext: { clientId: 'c' } } as never) // what it reads of it
      return response.claimsAndScopeOverrideDetails!.accessTokenGeneration
    }

    expect(await tokenOf(OTHER)).toEqual({ claimsToAddOrOverride: { aud: 'c', tenant: OTHER }, scopesToAdd: [] })
    expect(await tokenOf('elsewhere')).toEqual({ claimsToAddOrOverride: { aud: 'c' }, scopesToAdd: [] })
  },

  'synthesis-dispatch': async () => {
    const { batchItemFailures } = await run(
      await handlerOf('synthesis-dispatch'),
      { schema: 1, tenant: OTHER, kind: 'draw', jobId: own.jobId },
      { schema: 1, tenant: OTHER, kind: 'ended', jobId: own.jobId, batchJobId: 'b1' },
    )

    expect(batchItemFailures).toEqual([])
  },

  synthesize: async () => {
    const open = vi.fn()
    const { jobs, results, s3, sqs, synthesisUrl: queueUrl } = api
    const parts = { jobs, results, s3, sqs, queueUrl, bucket: BUCKET, bundleSha256: 'c'.repeat(64) }
    const { jobId } = (await api.jobs.get(OWNER, own.jobId as never))!

    const ended = await work(
      { ...parts, open, onError: () => {} },
      { tenant: OTHER, jobId },
      new AbortController().signal,
    )

    expect(ended).toBe('nothing')
    expect(open).not.toHaveBeenCalled()
  },
}

/** Whatever runs by itself: a Lambda or a task. */
const functions = readdirSync(FUNCTIONS).filter((name) =>
  ['handler.ts', 'main.ts'].some((file) => name !== 'cli' && existsSync(join(FUNCTIONS, name, file))),
)

describe('a function', () => {
  it.each(functions)('changes nothing of another tenant: %s', async (name) => {
    const attack = CASES[name]
    if (attack === undefined) throw new Error(`${name} has no case here: what does it do for another tenant?`)
    for (const url of [api.intakeUrl, api.reportUrl]) await api.receive(url)
    const before = await ownersThings()

    await attack()

    expect(await ownersThings()).toEqual(before)
  })
})
