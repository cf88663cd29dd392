/**
 * Feeds ECGs whose every free text is a marker through the ways in, also damaged and with everything behind them failing, and looks for the
 * markers wherever nobody should find a patient: logs, metrics, attributes, object keys, table keys, answers.
 *
 * Exempt, because they are the patient's data and kept as such: the body of a message or object that holds what arrived, byte for byte (a DLQ's,
 * `rejected/`), and the two places in the table that name a patient (an association; what a live session has reported).
 */
import { execFile as execFileWith } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { CreateQueueCommand } from '@aws-sdk/client-sqs'
import type { Context, SQSBatchResponse, SQSEvent } from 'aws-lambda'
import { connectAsync } from 'mqtt'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { dynamo, s3, sns, sqs } from '../../shared/aws/clients.ts'
import { fileEcgId, streamEcgId } from '../../shared/domain/ecg-id.ts'
import { LEADS } from '../../shared/domain/leads.ts'
import { SHIPPED_BUNDLE } from '../../shared/inference/active-bundle.ts'
import { createLogger } from '../../shared/observe/logging.ts'
import { AssociationStore } from '../../shared/store/associations.ts'
import { ResultStore } from '../../shared/store/results.ts'
import { encodeWaveform } from '../../shared/waveform/codec.ts'
import type { SourceFile } from '../../streams/formats/format.ts'
import { startAdapter } from '../../streams/mqtt/adapter.ts'
import { readConfig } from '../../streams/mqtt/config.ts'
import { AUDIT_TABLE, BUCKET, startTestAws, TABLE, type TestAws } from '../helpers/aws.ts'
import { cli } from '../helpers/cli.ts'
import { writeWaveform } from '../helpers/dicom-writer.ts'
import { writeEdf } from '../helpers/edf-writer.ts'
import { ecgObservation } from '../helpers/fhir-observations.ts'
import { ownSamples } from '../helpers/format-samples.ts'
import { syntheticRecording } from '../helpers/recordings.ts'
import { makeResult } from '../helpers/results.ts'
import { type AwsWatch, textsOf, watchAws, watchOutput } from '../helpers/watch.ts'
import { writeWfdb } from '../helpers/wfdb-writer.ts'
import { writeAecg, writeMuse, writeSierra } from '../helpers/xml-writers.ts'
import { startAedes } from '../streams/mqtt/helpers/brokers.ts'

const execFile = promisify(execFileWith)

/** Part of every text; no other text can contain it by chance. */
const MARK = 'Zqxjvk'
const mark = (of: string) => `${MARK}-${of}`
const FOUND = /.{0,80}zqxjvk.{0,40}/gis

const BIRTH_DATE = '1931-07-13'
const BIRTH_DATES = [BIRTH_DATE, '19310713', '13.07.31', '07-13-1931']

type Handler = (event: SQSEvent, context: Context) => Promise<SQSBatchResponse>
type Api = typeof import('../../functions/api/handler.ts')['handler']

let aws: TestAws
let dlqUrl: string
let watch: AwsWatch
let printed: string[]
/** An EHR with one answer to every request. */
let ehr: Server
let ehrAnswer: { status: number; body: unknown } | ((path: string) => { status: number; body: unknown })
/** What came back from the functions. */
let answered: string[]

const handlers = {} as Record<'preprocess' | 'screen' | 'report' | 'fhirIntake' | 'dispatch' | 'upkeep', Handler> & {
  api: Api
}

beforeAll(async () => {
  aws = await startTestAws()
  dlqUrl = (await aws.sqs.send(new CreateQueueCommand({ QueueName: 'dlq' }))).QueueUrl!
  ehr = createServer((request, response) => {
    const { status, body } = typeof ehrAnswer === 'function' ? ehrAnswer(request.url ?? '') : ehrAnswer
    response.writeHead(status, { 'content-type': 'application/fhir+json', etag: `W/"${mark('etag')}"` })
    response.end(JSON.stringify(body))
  })
  await new Promise<void>((resolve) => ehr.listen(0, '127.0.0.1', resolve))
  const baseUrl = `http://127.0.0.1:${(ehr.address() as AddressInfo).port}/fhir` // a TCP server's address
  const settings: Record<string, string> = {
    ...aws.env,
    POWERTOOLS_LOG_LEVEL: 'DEBUG',
    _X_AMZN_TRACE_ID: 'Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1',
    UNAUTHENTICATED_TENANT: 'clinic',
    RESULTS_TABLE: TABLE,
    AUDIT_TABLE,
    AUDIT_DAYS: '1',
    // A marker must not stop at a limit.
    API_LIMITS: JSON.stringify({ uploadsPerMinute: { tenant: 100_000, subject: 100_000 } }),
    RAW_BUCKET: BUCKET,
    INTAKE_QUEUE_URL: aws.intakeUrl,
    INTAKE_DLQ_URL: dlqUrl,
    SCREENING_QUEUE_URL: aws.intakeUrl,
    SCREENING_DLQ_URL: dlqUrl,
    RESULTS_TOPIC_ARN: 'arn:aws:sns:us-east-1:000000000000:results',
    RESULTS_FHIR_QUEUE_URL: aws.reportUrl,
    RESULTS_MQTT_QUEUE_URL: aws.intakeUrl,
    RESULTS_FHIR_DLQ_URL: dlqUrl,
    FHIR_INBOUND_QUEUE_URL: aws.intakeUrl,
    FHIR_INBOUND_DLQ_URL: dlqUrl,
    SYNTHESIS_QUEUE_URL: aws.synthesisUrl,
    SYNTHESIS_DLQ_URL: dlqUrl,
    UPKEEP_QUEUE_URL: aws.intakeUrl,
    UPKEEP_DLQ_URL: dlqUrl,
    SYNTHESIS_RULES: JSON.stringify({
      version: 1,
      bundleSha256: 'c'.repeat(64),
      samplers: ['full'],
      default: 'full',
      minimumLeads: 8,
    }),
    BATCH_JOB_QUEUE: 'queue',
    BATCH_JOB_DEFINITION: 'definition',
    AWS_ENDPOINT_URL_BATCH: baseUrl,
    MODEL_DIR: SHIPPED_BUNDLE,
    CODE_VERSION: 'test',
    SITE_CONFIG: JSON.stringify({
      ehr: { id: 'hospital', tenant: 'clinic', baseUrl, auth: { kind: 'none' }, timeoutMs: 1000 },
      report: { virtual: true },
    }),
  }
  for (const [name, value] of Object.entries(settings)) vi.stubEnv(name, value)
  vi.stubGlobal('awslambda', { streamifyResponse: () => undefined })
  Object.assign(handlers, {
    preprocess: (await import('../../functions/preprocess/handler.ts')).handler,
    screen: (await import('../../functions/screen/handler.ts')).handler,
    report: (await import('../../functions/report/handler.ts')).handler,
    fhirIntake: (await import('../../functions/fhir-intake/handler.ts')).handler,
    dispatch: (await import('../../functions/synthesis-dispatch/handler.ts')).handler,
    upkeep: (await import('../../functions/upkeep/handler.ts')).handler,
    api: (await import('../../functions/api/handler.ts')).handler,
  })
  watch = watchAws(s3(), sqs(), sns(), dynamo())
}, 120_000)

afterAll(async () => {
  vi.unstubAllEnvs()
  vi.unstubAllGlobals()
  ehr.close()
  await aws.stop()
})

beforeEach(() => {
  watch.calls.length = 0
  watch.failing = undefined
  answered = []
  ehrAnswer = { status: 404, body: outcome() }
  printed = watchOutput()
})
afterEach(() => {
  vi.restoreAllMocks()
  const isBirthDate = (text: string) => BIRTH_DATES.some((date) => text.includes(date))
  const places = [
    ...printed,
    ...answered,
    ...watch.calls.map((call) => `${call.command} ${textsOf(call.input, isExempt(call.input))}`),
  ]
  // Proves that the input was processed.
  expect(places.length).toBeGreaterThan(0)
  expect(places.flatMap((place) => place.match(FOUND) ?? [])).toEqual([])
  expect(places.filter(isBirthDate)).toEqual([])
})

/** What is the patient's own and kept as such. */
const isExempt =
  ({ QueueUrl, Key, Item }: Readonly<Record<string, unknown>>) =>
  (path: string) => {
    if (/^(Entries\.\d+\.)?MessageBody$/.test(path)) return QueueUrl === dlqUrl
    if (path === 'Body') return String(Key).startsWith('rejected/')
    const { sk } = (Item ?? {}) as { sk?: string }
    return /^Item\.spans\.\d+\.patient$/.test(path) && sk === 'associations'
  }

const outcome = () => ({
  resourceType: 'OperationOutcome',
  issue: [{ severity: 'error', code: mark('code'), diagnostics: `no such thing: ${mark('diagnostics')}` }],
})

// None of them reads the rest of a Lambda context.
const context = { functionName: 'f', awsRequestId: 'r', getRemainingTimeInMillis: () => 30_000 } as Context

function eventOf(...bodies: readonly unknown[]): SQSEvent {
  return {
    Records: bodies.map((body, i) => ({
      messageId: `m${i}`,
      receiptHandle: 'receipt',
      body: typeof body === 'string' ? body : JSON.stringify(body),
      attributes: {
        ApproximateReceiveCount: '1',
        SentTimestamp: '',
        SenderId: mark('sender'),
        ApproximateFirstReceiveTimestamp: '',
      },
      messageAttributes: { note: { stringValue: mark('attribute'), dataType: 'String' } },
      md5OfBody: '',
      eventSource: 'aws:sqs',
      eventSourceARN: 'arn:aws:sqs:us-east-1:0:q',
      awsRegion: 'us-east-1',
    })),
  }
}

interface Call {
  readonly method?: string
  readonly path: string
  readonly query?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer | string
}

/** Calls the API's Lambda, as API Gateway would. */
async function call({ method = 'GET', path, query = '', headers = {}, body }: Call): Promise<number> {
  const event = {
    version: '2.0',
    routeKey: '$default',
    rawPath: path,
    rawQueryString: query,
    headers: { host: 'api.example', 'user-agent': mark('agent'), cookie: `c=${mark('cookie')}`, ...headers },
    requestContext: { http: { method, path, sourceIp: '127.0.0.1' }, domainName: 'api.example', requestId: 'r1' },
    ...(body === undefined ? {} : { body: Buffer.from(body).toString('base64') }),
    isBase64Encoded: body !== undefined,
  }
  // What no handler reads is left out.
  const answer = (await handlers.api(event as never, context)) as { statusCode: number; headers: object; body: string }
  // A response may repeat the route and device name of its request, and nothing else.
  answered.push(JSON.stringify(answer))
  return answer.statusCode
}

async function upload(files: readonly SourceFile[], query = ''): Promise<number> {
  const form = new FormData()
  for (const { name, bytes } of files) form.append(mark('part'), new File([Uint8Array.from(bytes)], name))
  const request = new Request('http://api.example', { method: 'POST', body: form })
  const headers = { 'content-type': request.headers.get('content-type')! }
  const body = Buffer.from(await request.arrayBuffer())
  return call({ method: 'POST', path: '/v1/ecgs', query, headers, body })
}

const two = () => syntheticRecording({ seconds: 0.4, rateHz: 250, gainUv: 5, leads: ['I', 'II'] })

/** Files of formats that identify a person, with markers in every such field. */
function markedFiles(): readonly (readonly [string, readonly SourceFile[]])[] {
  const person = (tag: string) => `<${tag}>${mark(tag)}</${tag}>`
  const [header, signals] = writeWfdb(two(), { comments: [`Name: ${mark('name')}`, `Birth: ${BIRTH_DATE}`, 'Age: 71'] })
  const observation = {
    ...ecgObservation(two(), `Patient/${MARK}`),
    text: { status: 'generated', div: `<div>${mark('narrative')}</div>` },
    note: [{ text: mark('note') }],
    identifier: [{ value: mark('mrn') }],
    performer: [{ display: mark('performer') }],
  }
  return [
    [
      'dicom',
      [
        writeWaveform(two(), {
          group: [
            [0x0010_0010, 'PN', `${mark('family')}^${mark('given')}`],
            [0x0010_0020, 'LO', mark('mrn')],
            [0x0010_0030, 'DA', '19310713'],
            [0x0010_4000, 'LT', mark('comments')],
          ],
        }),
      ],
    ],
    [
      'aecg',
      [
        writeAecg(two(), {
          person: `${person('name')}<administrativeGenderCode code="F"/><birthTime value="19310713"/>`,
        }),
      ],
    ],
    [
      'muse',
      [
        writeMuse(two(), {
          person: `${person('PatientID')}${person('PatientLastName')}<DateofBirth>07-13-1931</DateofBirth>`,
        }),
      ],
    ],
    [
      'sierra',
      [
        writeSierra(two(), {
          coding: 'plain',
          person: `${person('name')}<age><dateofbirth>${BIRTH_DATE}</dateofbirth></age>`,
        }),
      ],
    ],
    ['edf', [writeEdf(two(), { fields: { patient: `${MARK} F 13-JUL-1931 ${MARK}`, recording: mark('recording') } })]],
    ['wfdb', [header, signals]],
    ['fhir', [{ name: 'ecg.json', bytes: Buffer.from(JSON.stringify(observation)) }]],
    ['csv', [{ name: 'ecg.csv', bytes: Buffer.from(`time,I,${mark('column')}\n0,1,${mark('cell')}\n`) }]],
    ['nothing', [{ name: 'ecg.bin', bytes: Buffer.from(mark('noise').repeat(30)) }]],
  ]
}

/** A file with a marker written over it, at one of `of` places. */
function overwritten({ name, bytes }: SourceFile, place: number, of: number): SourceFile {
  const copy = Buffer.from(bytes)
  copy.write(MARK, Math.floor(((bytes.length - MARK.length) * place) / of), 'latin1')
  return { name, bytes: copy }
}

describe('no patient data leave the API', () => {
  it.each(markedFiles())('for an intact or damaged %s file', async (_, files) => {
    const [main, ...rest] = files
    const named = rest.length > 0 ? files : [{ ...main!, name: mark('file.bin') }]

    await upload(named)
    await upload([{ ...main!, bytes: main!.bytes.subarray(0, Math.floor(main!.bytes.length * 0.7)) }, ...rest])

    expect(answered).toHaveLength(2)
  })

  it('for a file of any format with markers as numbers, lead names and lengths', async () => {
    const statuses = new Set<number>()
    for (const { files, options = {} } of ownSamples()) {
      const [main, ...rest] = files
      const query = new URLSearchParams({ ...(options.lead === undefined ? {} : { lead: options.lead }) }).toString()
      for (let place = 0; place < 12; place++)
        statuses.add(await upload([overwritten(main!, place, 12), ...rest], query))
    }

    expect([...statuses].filter((status) => status >= 500)).toEqual([])
    expect([...statuses]).toEqual(expect.arrayContaining([202, 400, 415]))
  }, 120_000)

  it('for invalid paths, queries, headers and bodies', async () => {
    const device = {
      method: 'PUT',
      path: '/v1/devices/d1/association',
      headers: { 'content-type': 'application/json' },
    }
    const calls: readonly Call[] = [
      { path: `/v1/ecgs/${MARK}` },
      { path: `/v1/ecgs/${MARK}/waveform`, query: `from=${MARK}` },
      { path: '/v1/ecgs', query: `after=${MARK}&limit=${MARK}&flagged=${MARK}&status=${MARK}&patient=${MARK}` },
      { path: '/v1/ecgs', query: `after=${Buffer.from(`["${MARK}"]`).toString('base64url')}` },
      { path: '/v1/ecgs', query: `${MARK}=${MARK}` },
      { path: '/v1/events', query: `after=${MARK}` },
      { path: '/v1/events', headers: { 'last-event-id': MARK } },
      { path: `/v1/ecgs/${MARK}/cmr` },
      { path: `/v1/cmr/${MARK}` },
      { path: `/v1/cmr/${MARK}/artifacts/${MARK}` },
      { path: '/v1/unidentified', query: `after=${MARK}` },
      { path: `/${MARK}` },
      { path: '/v1/ecgs', method: 'POST', query: `unit=${MARK}&rateHz=${MARK}`, body: 'x' },
      { path: '/v1/ecgs', method: 'POST', query: `format=${MARK}`, body: 'x' },
      { path: '/v1/ecgs', method: 'POST', query: `device=${MARK}%20Doe`, body: 'x' },
      {
        path: '/v1/ecgs',
        method: 'POST',
        body: mark('body'),
        headers: { 'content-type': `multipart/form-data; ${MARK}` },
      },
      { path: '/v1/ecgs', method: 'POST', body: mark('body'), headers: { 'content-encoding': MARK } },
      { path: `/v1/devices/${MARK}%20Doe/association`, method: 'PUT', body: '{}' },
      { ...device, body: `{"patient": "${MARK}` },
      { ...device, body: JSON.stringify({ patient: mark('name'), from: '2026-01-02T00:00:00Z' }) },
      { ...device, body: JSON.stringify({ patient: 'Patient/1', from: MARK, [MARK]: MARK }) },
      { ...device, body: JSON.stringify({ patient: 'Patient/1', from: '2026-01-02T00:00:00Z', [MARK]: MARK }) },
    ]

    const statuses = []
    for (const each of calls) statuses.push(await call(each))

    expect(statuses.filter((status) => status >= 500)).toEqual([])
  })

  it('when the table refuses an association with an error that quotes the patient', async () => {
    const body = (patient: string) => JSON.stringify({ patient, from: '2026-01-02T00:00:00Z' })
    const put = (patient: string): Call => ({
      method: 'PUT',
      path: '/v1/devices/d2/association',
      headers: { 'content-type': 'application/json' },
      body: body(patient),
    })

    const done = await call(put(`Patient/${MARK}`))
    answered.length = 0 // who said it is told it again
    watch.failing = 'PutItemCommand'
    const failed = await call(put(`Patient/${mark('2')}`))

    expect([done, failed]).toEqual([200, 503])
  })

  it.each(['PutItemCommand', 'GetItemCommand', 'QueryCommand', 'SendMessageCommand'])(
    'when %s fails with an error that quotes its input',
    async (command) => {
      watch.failing = command
      const [, files] = markedFiles()[0]!

      await upload(files)
      await call({ path: '/v1/ecgs', query: 'device=d1' })
      await call({ path: `/v1/ecgs/${fileEcgId({ tenant: 'clinic', sha256: MARK })}` })

      expect(answered.some((answer) => JSON.parse(answer).statusCode >= 500)).toBe(true)
      expect(printed.join()).toContain('request failed')
    },
  )
})

describe('no patient data leave a queue function', () => {
  const recording = () => syntheticRecording({ rateHz: 250 })
  const tenant = 'clinic'
  const origin = { kind: 'mqtt', device: 'd1', session: 's1', patient: mark('patient') }
  let sessions = 0
  const ecgId = () => streamEcgId({ tenant, source: 'mqtt', device: 'd1', session: `s${++sessions}`, firstSample: 0 })
  const intake = (fields: object = {}) => ({
    schema: 1,
    tenant,
    ecgId: ecgId(),
    origin,
    span: { startedAt: '2026-01-02T03:04:05.000Z', firstSample: 0, durationMs: 10_000, comment: mark('comment') },
    person: { sex: 'female', ageYears: 95, name: mark('name') },
    waveform: { inline: encodeWaveform(recording()).toString('base64') },
    patient: { name: mark('name'), birthDate: BIRTH_DATE },
    ...fields,
  })
  const quality = (leads: object = {}) => ({
    verdict: 'refused',
    reasons: ['flat'],
    leads: { ...Object.fromEntries(LEADS.map((lead) => [lead, 'flat'])), ...leads },
    derived: [],
    heartRateBpm: null,
  })
  const screening = (fields: object = {}) => {
    const { waveform, ...envelope } = intake()
    return { ...envelope, profile: 'cardiacnets-v1', inputSha256: '0'.repeat(64), quality: quality(), ...fields }
  }
  /** What the audit trail was told of. */
  const audited = () =>
    new Set(printed.filter((line) => line.includes('"message":"audit"')).map((line) => JSON.parse(line).action))
  /** Whatever the kind: what is no message of it. */
  const bad = (good: object): readonly unknown[] => [
    mark('text'),
    `{"name": "${MARK}", `,
    { ...good, schema: mark('schema') },
    { ...good, tenant: mark('a name') },
    { ...good, tenant: `${MARK}/${MARK}` },
    { ...good, ecgId: MARK, jobId: MARK, reference: MARK },
    { ...good, kind: MARK },
    { ...good, origin: { kind: MARK } },
    { ...good, origin: { kind: 'mqtt', device: `${MARK} Doe`, session: MARK } },
    { [MARK]: MARK },
  ]

  it('preprocess', async () => {
    const claim = { key: `raw/${MARK}`, sha256: '0'.repeat(64), bytes: 5 }
    const messages = [
      intake(),
      intake({ waveform: { inline: Buffer.from(mark('waveform').repeat(9)).toString('base64') } }),
      intake({ heartRateBpm: MARK }),
      ...bad(intake()),
    ]

    const { batchItemFailures } = await handlers.preprocess(eventOf(...messages), context)
    watch.failing = 'SendMessageCommand'
    await handlers.preprocess(eventOf(intake(), mark('again')), context)
    watch.failing = 'GetObjectCommand'
    await handlers.preprocess(eventOf(intake({ waveform: { ...claim, key: 'raw/clinic/x' } })), context)

    expect(batchItemFailures).toEqual([])
    expect(audited()).toEqual(new Set(['waveform.write']))
    expect(printed.join()).toContain('payload-malformed')
  })

  it('screen', async () => {
    const messages = [
      screening(),
      screening({ quality: quality({ [MARK]: MARK }) }),
      screening({ quality: quality({ I: MARK }) }),
      screening({ clean: { inline: Buffer.from(mark('clean')).toString('base64') } }),
      screening({ person: { sex: MARK, [MARK]: MARK } }),
      ...bad(screening()),
    ]

    await handlers.screen(eventOf(...messages), context)
    for (const failing of ['PutItemCommand', 'GetItemCommand', 'PublishCommand']) {
      watch.failing = failing
      await handlers.screen(eventOf(screening()), context)
    }

    expect(audited()).toEqual(new Set(['result.write']))
    expect(printed.join()).toContain('message failed')
  })

  it('fhir-intake', async () => {
    const observation = {
      ...ecgObservation(recording(), `Patient/${MARK}`),
      id: '1',
      meta: { versionId: '1', lastUpdated: '2026-01-02T03:04:05Z' },
      text: { status: 'generated', div: `<div>${mark('narrative')} ${BIRTH_DATE}</div>` },
      note: [{ text: mark('note') }],
    }
    const resource = (fields: object) => ({ status: 200, body: { ...observation, ...fields } })
    const [part] = observation.component
    const messages = [
      { schema: 1, tenant, kind: 'resource', reference: 'Observation/1', note: mark('note') },
      { schema: 1, tenant, kind: 'poll' },
    ]
    const answers: readonly (typeof ehrAnswer)[] = [
      resource({}),
      resource({ code: { text: mark('code') } }),
      resource({ effectiveDateTime: mark('time') }),
      resource({ component: [{ ...part, code: { text: mark('lead') } }] }),
      resource({ component: [{ ...part, valueSampledData: { ...part!.valueSampledData, data: mark('data') } }] }),
      resource({ component: [{ ...part, valueSampledData: { ...part!.valueSampledData, [MARK]: MARK } }] }),
      resource({ subject: { reference: mark('subject'), display: mark('display') } }),
      resource({ resourceType: mark('type') }),
      { status: 200, body: mark('text') },
      {
        status: 200,
        body: { resourceType: 'Bundle', type: 'searchset', entry: [{ resource: { resourceType: MARK, id: MARK } }] },
      },
      { status: 200, body: { resourceType: 'Bundle', link: [{ relation: 'next', url: `http://${MARK}/${MARK}` }] } },
      ...[400, 401, 403, 404, 422, 500].map((status) => ({ status, body: outcome() })),
    ]

    for (const answer of answers) {
      ehrAnswer = answer
      await handlers.fhirIntake(eventOf(...messages), context)
    }
    await handlers.fhirIntake(eventOf(...bad(messages[0]!)), context)

    expect(audited()).toEqual(new Set(['ehr.read', 'waveform.write']))
    expect(printed.join()).toContain('ehr-')
  }, 60_000)

  it('report', async () => {
    const results = new ResultStore(dynamo(), TABLE)
    await new AssociationStore(dynamo(), TABLE).put(tenant, 'd9', { patient: `Patient/${MARK}`, from: new Date(0) })
    const message = async (of: object) => {
      const result = makeResult({ ecgId: fileEcgId({ tenant, sha256: JSON.stringify(of) }) })
      const stored = await results.putOnce(tenant, { kind: 'upload', device: 'd9' }, result, new Date())
      return { schema: 1, tenant, origin: of, result: 'json' in stored ? stored.json : '', note: mark('note') }
    }
    const messages = [
      await message({ kind: 'upload', device: 'd9', name: mark('name') }),
      await message({ kind: 'fhir', server: 'hospital', source: 'Observation/1' }),
      await message({ kind: 'mqtt', device: 'd9', session: 's9' }),
      { ...(await message({ kind: 'upload', device: 'd9' })), result: `{"name": "${MARK}` },
    ]
    const own = {
      resourceType: 'Observation',
      id: '1',
      subject: { reference: `Patient/${MARK}`, display: mark('name') },
    }
    const transaction = { resourceType: 'Bundle', type: 'transaction-response', entry: [] }
    const answers: readonly (typeof ehrAnswer)[] = [
      { status: 200, body: own },
      { status: 200, body: transaction },
      { status: 200, body: mark('text') },
      ...[400, 403, 404, 412, 422, 500].map((status) => ({ status, body: outcome() })),
    ]
    watch.calls.length = 0

    for (const answer of answers) {
      ehrAnswer = answer
      await handlers.report(eventOf(...messages), context)
    }
    await handlers.report(eventOf(...bad(messages[0]!)), context)

    expect(audited()).toEqual(new Set(['result.report']))
    expect(printed.join()).toContain('ehr-')
  }, 60_000)

  it('upkeep', async () => {
    const from = '2026-01-02T03:04:05Z'
    const messages = [
      { schema: 1, tenant, kind: 'deletion', ecgId: ecgId(), note: mark('note') },
      { schema: 1, tenant, kind: 'attribution', ecgId: ecgId(), note: mark('note') },
      { schema: 1, tenant, kind: 'result', ecgId: ecgId(), note: mark('note') },
      { schema: 1, tenant, kind: 'association', device: 'd1', from, to: null, note: mark('note') },
    ]

    for (const good of messages) await handlers.upkeep(eventOf(good, ...bad(good)), context)

    expect(audited()).toEqual(new Set(['ecg.delete', 'attribution.write', 'result.publish', 'association.write']))
  })

  it('synthesis-dispatch, with an error text from Batch', async () => {
    const jobId = ecgId()
    ehrAnswer = { status: 400, body: { __type: 'ClientException', message: mark('message') } }

    for (const kind of ['draw', 'cancel', 'ended']) {
      const good = { schema: 1, tenant, kind, jobId, batchJobId: mark('batch'), note: mark('note') }
      await handlers.dispatch(eventOf(good, ...bad(good)), context)
    }

    expect(audited()).toEqual(new Set(['cmr.dispatch']))
    expect(printed.join()).toContain('message failed')
  })
})

describe('no patient data leave a process', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'markers-'))
    return () => rm(folder, { recursive: true })
  })

  it('the adapter, for invalid frames, topics and payloads', async () => {
    const broker = await startAedes()
    const config = readConfig([], {
      ...aws.env,
      MQTT_URL: broker.url,
      MQTT_VERSION: '4',
      JOURNAL_PATH: join(folder, 'journal.db'),
      INTAKE_QUEUE_URL: aws.intakeUrl,
      INTAKE_DLQ_URL: dlqUrl,
      RESULTS_MQTT_QUEUE_URL: aws.reportUrl,
      RAW_BUCKET: BUCKET,
    })!
    const adapter = startAdapter(config, { sqs: sqs(), s3: s3(), logger: createLogger('streams-mqtt') })
    await adapter.ready
    const device = await connectAsync(broker.url)
    device.on('message', (topic, payload) => void answered.push(`${topic} ${payload}`))
    await device.subscribeAsync('ecg/v1/clinic/+/cmd')
    const frame = { session: 's1', sequence: 0, firstSample: 0, sessionStartedAtMs: 0, rateHz: 500 }
    const lead = { name: 'I', gainUv: 5, samples: [1, 2] }
    const payloads = [
      mark('text'),
      `{"patient": "${MARK}", `,
      JSON.stringify({ ...frame, leads: [{ ...lead, name: mark('lead') }] }),
      JSON.stringify({ ...frame, session: mark('a session'), leads: [lead] }),
      JSON.stringify({ ...frame, rateHz: MARK, leads: [lead] }),
      JSON.stringify({ ...frame, leads: [{ ...lead, samples: MARK }], [MARK]: MARK }),
      Buffer.concat([Buffer.from([0x0a, 0x20]), Buffer.from(mark('protobuf'))]),
    ]

    for (const channel of ['frames', 'window']) {
      for (const payload of payloads) await device.publishAsync(`ecg/v1/clinic/d1/${channel}`, payload, { qos: 1 })
    }
    for (const topic of [`ecg/v1/clinic/${MARK} Doe/frames`, `ecg/v1/${MARK},${MARK}/d1/frames`]) {
      await device.publishAsync(topic, mark('payload'), { qos: 1 })
    }
    // Told to the device last, after the log line and the letter.
    while (answered.length < 2 * payloads.length) await new Promise((resolve) => device.once('message', resolve))
    await adapter.stop()
    await device.endAsync()
    await broker.close()

    expect(printed.filter((line) => line.includes('payload refused'))).toHaveLength(2 * payloads.length + 2)
    expect(watch.calls.map(({ command }) => command)).toContain('SendMessageBatchCommand')
  })

  it('the synthesis worker, for an invalid job and model', async () => {
    const run = (settings: Readonly<Record<string, string>>) =>
      execFile(process.execPath, ['functions/synthesize/main.ts'], { env: { ...process.env, ...settings } }).catch(
        (error: { stdout: string; stderr: string }) => error,
      )

    const ends = [
      await run({ TENANT: mark('a tenant'), JOB_ID: mark('job') }),
      await run({ TENANT: 'clinic', JOB_ID: fileEcgId({ tenant: 'clinic', sha256: '' }), MODEL_DIR: `/${MARK}` }),
    ]

    answered.push(...ends.flatMap(({ stdout, stderr }) => [stdout, stderr]))
    expect(answered.join()).toContain('not drawn')
  })

  it('the command line, which names the given file but nothing of its content', async () => {
    const files = markedFiles().map(([name, [main]]) => ({ path: join(folder, `${name}.bin`), ...main! }))
    for (const { path, bytes } of files) {
      await writeFile(path, bytes)
      await writeFile(`${path}.cut`, bytes.subarray(0, Math.floor(bytes.length * 0.7)))
    }
    const paths = files.flatMap(({ path }) => [path, `${path}.cut`])

    const { stdout, stderr, code } = await cli(folder, 'screen', '--json', ...paths)

    answered.push(stdout, stderr)
    expect(JSON.parse(stdout)).toHaveLength(paths.length)
    expect(code).toBeGreaterThan(0)
  })
})
