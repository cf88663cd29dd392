import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type SandboxEhr, type StoredResource, startSandboxEhr } from '../../../cdk/local/sandbox-ehr/index.ts'
import { CodedError } from '../../../shared/errors.ts'
import { RecordingIntake, type Submission } from '../../../shared/intake/recording-intake.ts'
import { type FhirInboundMessage, IntakeMessage, parseMessage } from '../../../shared/messages.ts'
import { FhirProgress } from '../../../shared/store/fhir-progress.ts'
import { ResultStore } from '../../../shared/store/results.ts'
import { createEhrClient } from '../../../streams/fhir/client.ts'
import { FhirIntake } from '../../../streams/fhir/intake.ts'
import { BUCKET, startTestAws, TABLE, type TestAws } from '../../helpers/aws.ts'
import { ecgObservation } from '../../helpers/fhir-observations.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'
import { json, testServer } from './helpers/servers.ts'

let aws: TestAws
let ehr: SandboxEhr
let tests = 0

beforeAll(async () => {
  aws = await startTestAws()
})
afterAll(() => aws.stop())
beforeEach(async () => {
  ehr = await startSandboxEhr()
  tests++
})
afterEach(() => ehr.stop())

const RECORDING = syntheticRecording({ seconds: 10 })
const CRITERIA = 'Observation?code=http://loinc.org|11524-6'

interface Options {
  readonly baseUrl?: string
  readonly criteria?: readonly string[]
  readonly submit?: RecordingIntake['submit']
}

/** An intake whose table and queue no other test has seen: its tenant is its own. */
function intake({ baseUrl = ehr.baseUrl, criteria = [CRITERIA], submit }: Options = {}) {
  const tenant = `clinic-${tests}`
  const queued: FhirInboundMessage[] = []
  const submitted: (Submission & { ecgId: string })[] = []
  const recordings = new RecordingIntake({
    sqs: aws.sqs,
    queueUrl: aws.intakeUrl,
    s3: aws.s3,
    bucket: BUCKET,
    results: new ResultStore(aws.dynamo, TABLE),
  })
  const fhir = new FhirIntake({
    tenant,
    server: 'ehr',
    ehr: createEhrClient({ baseUrl, transport: { backoffMs: 1, timeoutMs: 2_000 } }),
    criteria,
    recordings: {
      submit:
        submit ??
        (async (submission) => {
          const done = await recordings.submit(submission)
          submitted.push({ ...submission, ecgId: done.ecgId })
          return done
        }),
    },
    progress: new FhirProgress(aws.dynamo, TABLE),
    enqueue: async (messages) => void queued.push(...messages),
  })
  return {
    fhir,
    tenant,
    queued,
    submitted,
    references: () => queued.map((message) => ('reference' in message ? message.reference : 'poll')),
  }
}

const patient = (birthDate = '1960-01-01') =>
  ehr.create({ resourceType: 'Patient', gender: 'male', birthDate, name: [{ family: 'Secret' }] })
const refer = ({ resourceType, id }: StoredResource) => `${resourceType}/${id}`
const ecgOf = (subject: StoredResource, seconds = 10) =>
  ehr.create(ecgObservation(syntheticRecording({ seconds }), refer(subject)))

/** As quick to make as an ECG can be. */
const BRIEF = syntheticRecording({ seconds: 0.1, leads: ['II'] })
const briefOf = (subject: StoredResource) => ehr.create(ecgObservation(BRIEF, refer(subject)))

async function failure(call: Promise<unknown>): Promise<CodedError> {
  const error: unknown = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (error instanceof CodedError) return error
  throw error ?? new Error('the call ended without an error')
}

describe('FhirIntake.take', () => {
  it('submits an ECG with sex and age, but without name or patient reference', async () => {
    const observation = ecgOf(patient())
    const { fhir, submitted } = intake()

    const taken = await fhir.take(refer(observation))

    expect(taken).toEqual({ submitted: 1 })
    expect(submitted[0]).toMatchObject({
      origin: { kind: 'fhir', server: 'ehr', source: refer(observation) },
      recording: { rateHz: 500, startedAt: '2026-03-04T05:06:07.000Z', person: { sex: 'male', ageYears: 66 } },
    })
    expect(submitted[0]!.recording.leads).toEqual(RECORDING.leads)
    const [message] = await aws.receive(aws.intakeUrl)
    expect(parseMessage(IntakeMessage, message!.Body!)).toMatchObject({ ecgId: submitted[0]!.ecgId })
    expect(message!.Body).not.toMatch(/Patient|Secret/)
  })

  it('submits a resource once, and again after a change', async () => {
    const observation = ecgOf(patient())
    const { fhir, submitted } = intake()

    const first = await fhir.take(refer(observation))
    const second = await fhir.take(refer(observation))
    ehr.store.change((writer) => writer.put({ ...observation, note: [{ text: 'looked at' }] }))
    const changed = await fhir.take(refer(observation))

    expect([first, second, changed]).toEqual([{ submitted: 1 }, { skipped: 'known' }, { submitted: 1 }])
    expect(submitted[1]!.ecgId).toBe(submitted[0]!.ecgId)
  })

  it('gives two people with the same waveform two ECGs', async () => {
    const [one, other] = [ecgOf(patient()), ecgOf(patient())]
    const { fhir, submitted } = intake()

    await fhir.take(refer(one))
    await fhir.take(refer(other))

    expect(submitted[0]!.ecgId).not.toBe(submitted[1]!.ecgId)
  })

  it('ignores our own results', async () => {
    const security = [{ system: 'http://terminology.hl7.org/CodeSystem/v3-ObservationValue', code: 'AIAST' }]
    const marked = ehr.create({ ...ecgObservation(RECORDING, refer(patient())), meta: { security } })
    const named = ehr.create({
      ...ecgObservation(RECORDING, refer(patient())),
      identifier: [{ system: 'urn:cardiacnets:result', value: '1' }],
    })
    const { fhir, queued } = intake()

    const taken = [await fhir.take(refer(marked)), await fhir.take(refer(named))]
    await fhir.poll(new Date())

    expect(taken).toEqual([{ skipped: 'ours' }, { skipped: 'ours' }])
    expect(queued).toEqual([])
  })

  it.each([
    ['was withdrawn', { ...ecgObservation(RECORDING), status: 'entered-in-error' }, 'withdrawn'],
    [
      'holds no waveform',
      { resourceType: 'Observation', status: 'final', code: { text: 'ECG' }, valueString: 'normal' },
      'no-ecg',
    ],
  ])('skips a resource that %s', async (_what, resource, skipped) => {
    const observation = ehr.create({ ...resource, subject: { reference: refer(patient()) } })
    const { fhir } = intake()

    expect(await fhir.take(refer(observation))).toEqual({ skipped })
  })

  it('skips a resource that is gone', async () => {
    expect(await intake().fhir.take('Observation/gone')).toEqual({ skipped: 'gone' })
  })

  it('reports why a resource cannot be read', async () => {
    const { component, ...rest } = ecgObservation(RECORDING, refer(patient()))
    const [first] = component
    const { unit: _, code: __, ...origin } = first!.valueSampledData.origin as Record<string, unknown>
    const observation = ehr.create({
      ...rest,
      component: [{ ...first, valueSampledData: { ...first!.valueSampledData, origin } }],
    })

    const error = await failure(intake().fhir.take(refer(observation)))

    expect(error).toMatchObject({
      code: 'unit-unknown',
      detail: { field: 'component[0].valueSampledData.origin.unit' },
    })
    expect(error.kind.permanent).toBe(true)
  })

  it('fails temporarily while the EHR is unavailable', async () => {
    const observation = ecgOf(patient())
    const { fhir } = intake()
    ehr.outage = 503

    const error = await failure(fhir.take(refer(observation)))
    ehr.outage = undefined
    const taken = await fhir.take(refer(observation))

    expect(error).toMatchObject({ code: 'ehr-unavailable' })
    expect(error.kind.permanent).toBe(false)
    expect(taken).toEqual({ submitted: 1 })
  })

  it('skips an ECG that was deleted here', async () => {
    const observation = ecgOf(patient())
    const { fhir } = intake({ submit: () => Promise.reject(new CodedError('deleted', { field: 'ecgId' })) })

    const taken = await fhir.take(refer(observation))

    expect(taken).toEqual({ skipped: 'deleted' })
  })
})

describe('FhirIntake.take, following references', () => {
  const csv = [
    'rate: 500',
    'unit: uV',
    'I,II',
    ...Array.from({ length: 5000 }, (_, i) => `${i % 700},${(2 * i) % 900}`),
  ].join('\n')

  it('reads a document with its Binary, for the document’s patient', async () => {
    const subject = { reference: refer(patient()) }
    const binary = ehr.create({
      resourceType: 'Binary',
      contentType: 'text/csv',
      data: Buffer.from(csv).toString('base64'),
    })
    const attachments = [`Binary/${binary.id}`, `${ehr.baseUrl}/Binary/${binary.id}`]
    const documents = attachments.map((url) =>
      ehr.create({
        resourceType: 'DocumentReference',
        status: 'current',
        subject,
        content: [{ attachment: { contentType: 'text/csv', url, title: 'ecg.csv' } }],
      }),
    )
    const { fhir, submitted } = intake()

    for (const document of documents) await fhir.take(refer(document))

    expect(submitted.map(({ recording }) => recording.format)).toEqual(['csv', 'csv'])
    expect(submitted.map(({ recording }) => recording.person?.sex)).toEqual(['male', 'male'])
    // The same ECG of the same patient, by two documents.
    expect(submitted[1]!.ecgId).toBe(submitted[0]!.ecgId)
  })

  it('reads a report with the results that it refers to', async () => {
    const subject = patient()
    const results = [ecgOf(subject, 10), ecgOf(subject, 11)]
    const report = ehr.create({
      resourceType: 'DiagnosticReport',
      status: 'final',
      code: { coding: [{ system: 'http://loinc.org', code: '11524-6' }] },
      subject: { reference: refer(subject) },
      result: results.map((each) => ({ reference: refer(each) })),
    })
    const { fhir, submitted } = intake()

    const taken = await fhir.take(refer(report))

    expect(taken).toEqual({ submitted: 2 })
    expect(submitted.map(({ origin }) => 'source' in origin && origin.source)).toEqual(results.map(refer))
  })

  it('names the reason for each ECG of a report that it could not read', async () => {
    const subject = patient()
    const { component: [first] = [], ...rest } = ecgObservation(RECORDING, refer(subject))
    const origin = { value: 0 }
    const unread = ehr.create({
      ...rest,
      component: [{ ...first, valueSampledData: { ...first!.valueSampledData, origin } }],
    })
    const binary = { resourceType: 'Binary', id: 'file', contentType: 'text/csv', data: btoa(csv) }
    const report = ehr.create({
      resourceType: 'DiagnosticReport',
      status: 'final',
      code: { text: 'ECG' },
      subject: { reference: refer(subject) },
      contained: [binary],
      presentedForm: [{ contentType: 'text/csv', url: '#file' }],
      result: [unread, ecgOf(subject)].map((each) => ({ reference: refer(each) })),
    })

    const taken = await intake().fhir.take(refer(report))

    expect(taken).toMatchObject({ submitted: 2, unread: [{ code: 'unit-unknown' }] })
  })

  it('records the report as the source of a contained result', async () => {
    const report = ehr.create({
      resourceType: 'DiagnosticReport',
      status: 'final',
      code: { text: 'ECG' },
      contained: [{ ...ecgObservation(RECORDING, refer(patient())), id: 'ecg' }],
      result: [{ reference: '#ecg' }],
    })
    const { fhir, submitted } = intake()

    await fhir.take(refer(report))

    expect(submitted[0]!.origin).toMatchObject({ source: refer(report) })
  })

  it('fetches nothing from another server', async () => {
    await using elsewhere = await testServer((_asked, response) => json(response, ecgObservation(RECORDING)))
    const away = `${elsewhere.origin}/fhir`
    const leads = [
      { resourceType: 'Observation', code: {}, subject: { reference: `${away}/Patient/1` } },
      { resourceType: 'Observation', code: {}, hasMember: [{ reference: `${away}/Observation/1` }] },
      { resourceType: 'Observation', code: {}, derivedFrom: [{ reference: `${away}/Media/1` }] },
      { resourceType: 'DiagnosticReport', result: [{ reference: `${away}/Observation/1` }] },
      { resourceType: 'DiagnosticReport', media: [{ link: { reference: `${away}/Media/1` } }] },
      { resourceType: 'DiagnosticReport', presentedForm: [{ url: `${away}/Binary/1` }] },
      { resourceType: 'DocumentReference', content: [{ attachment: { url: `${away}/Binary/1` } }] },
      { resourceType: 'Media', content: { url: `${away}/Binary/1` } },
      { resourceType: 'Media', content: { url: elsewhere.origin.replace('http:', '') } },
      {
        resourceType: 'DiagnosticReport',
        contained: [{ resourceType: 'Media', id: 'm', content: { url: `${away}/x` } }],
        media: [{ link: { reference: '#m' } }],
      },
    ]
    await using server = await testServer(({ url }, response) =>
      json(response, { ...leads[Number(url.split('/').at(-1))], id: '1', meta: { versionId: '1' } }),
    )
    const { fhir } = intake({ baseUrl: `${server.origin}/fhir` })

    const outcomes: unknown[] = []
    for (const [i, { resourceType }] of leads.entries()) {
      outcomes.push(
        await fhir.take(`${resourceType}/${i}`).catch((error: unknown) => error instanceof CodedError && error.code),
      )
    }

    expect(outcomes.slice(1)).toEqual(
      Array.from({ length: leads.length - 1 }, (_, i) => (i === 7 ? 'field-invalid' : 'origin-foreign')),
    )
    expect(outcomes[0]).toEqual({ skipped: 'no-ecg' })
    expect(elsewhere.asked).toEqual([])
    expect(server.asked).toHaveLength(leads.length)
  })

  it.each([
    ['Observation', { ...ecgObservation(RECORDING), status: 'entered-in-error' }],
    ['Observation', { ...ecgObservation(RECORDING), status: 'cancelled' }],
    ['Media', { resourceType: 'Media', status: 'entered-in-error', content: { data: btoa(csv), title: 'ecg.csv' } }],
  ])('leaves out a part that was withdrawn (%s %#)', async (_type, part) => {
    const subject = { reference: refer(patient()) }
    const withdrawn = ehr.create({ ...part, subject })
    const valid = ehr.create(ecgObservation(syntheticRecording({ seconds: 11 }), subject.reference))
    const report = (...parts: readonly StoredResource[]) =>
      ehr.create({
        resourceType: 'DiagnosticReport',
        status: 'final',
        code: { text: 'ECG' },
        subject,
        result: parts
          .filter(({ resourceType }) => resourceType === 'Observation')
          .map((each) => ({ reference: refer(each) })),
        media: parts
          .filter(({ resourceType }) => resourceType === 'Media')
          .map((each) => ({ link: { reference: refer(each) } })),
      })
    const { fhir, submitted } = intake()

    const taken = [await fhir.take(refer(report(withdrawn))), await fhir.take(refer(report(withdrawn, valid)))]

    expect(taken).toEqual([{ skipped: 'no-ecg' }, { submitted: 1 }])
    expect(submitted.map(({ origin }) => 'source' in origin && origin.source)).toEqual([refer(valid)])
  })

  it('skips a document whose content was withdrawn', async () => {
    const document = ehr.create({
      resourceType: 'DocumentReference',
      status: 'current',
      docStatus: 'entered-in-error',
      subject: { reference: refer(patient()) },
      content: [{ attachment: { data: btoa(csv), title: 'ecg.csv' } }],
    })

    expect(await intake().fhir.take(refer(document))).toEqual({ skipped: 'withdrawn' })
  })

  it('joins no leads of different patients into one ECG', async () => {
    const [one, other] = [patient(), patient()]
    const { component = [], ...rest } = ecgObservation(RECORDING, refer(one))
    const { subject: _, ...unnamed } = rest
    const lead = (place: number, subject: object, status = 'final') =>
      ehr.create({ ...unnamed, ...component[place]!, status, ...subject })
    const panel = (members: readonly StoredResource[]) =>
      ehr.create({
        resourceType: 'Observation',
        status: 'final',
        code: rest.code,
        subject: { reference: refer(one) },
        hasMember: members.map((each) => ({ reference: refer(each) })),
      })
    const of = (whose: StoredResource) => ({ subject: { reference: refer(whose) } })
    const { fhir, submitted } = intake()

    const error = await failure(fhir.take(refer(panel([lead(0, of(one)), lead(1, of(other))]))))
    const same = [lead(0, of(one)), lead(1, { subject: { reference: `${ehr.baseUrl}/${refer(one)}` } }), lead(2, {})]
    const withdrawn = lead(3, of(one), 'entered-in-error')
    const taken = await fhir.take(refer(panel([...same, withdrawn])))

    expect(error).toMatchObject({ code: 'field-invalid', detail: { field: 'hasMember.subject' } })
    expect(taken).toEqual({ submitted: 1 })
    expect(submitted[0]!.recording.leads.map(({ name }) => name)).toEqual(
      RECORDING.leads.slice(0, 3).map(({ name }) => name),
    )
  })

  it('takes no OperationOutcome for the resource or the file that it asked for', async () => {
    const outcome = { resourceType: 'OperationOutcome', issue: [{ severity: 'error', code: 'transient' }] }
    const media = { resourceType: 'Media', id: '1', meta: { versionId: '1' }, content: { url: 'Binary/1' } }
    await using server = await testServer(({ url }, response) =>
      json(response, url.endsWith('/Media/1') ? media : outcome),
    )
    const { fhir } = intake({ baseUrl: `${server.origin}/fhir` })

    const errors = [await failure(fhir.take('Observation/1')), await failure(fhir.take('Media/1'))]

    expect(errors.map(({ code, kind }) => [code, kind.permanent])).toEqual([
      ['ehr-malformed', false],
      ['ehr-malformed', false],
    ])
  })

  it('stops at an endless chain of references', async () => {
    await using server = await testServer(({ url }, response) => {
      const number = Number(url.split('/').at(-1))
      json(response, {
        resourceType: 'Observation',
        id: String(number),
        code: {},
        hasMember: [{ reference: `Observation/${number + 1}` }],
      })
    })
    const { fhir } = intake({ baseUrl: `${server.origin}/fhir` })

    const error = await failure(fhir.take('Observation/1'))

    expect(error.code).toBe('payload-too-large')
    expect(server.asked.length).toBeLessThanOrEqual(51)
  })
})

describe('FhirIntake.poll', () => {
  it('finds each ECG without a notification once, over all pages', async () => {
    const subject = patient()
    const observations = Array.from({ length: 22 }, () => briefOf(subject))
    const { fhir, references, queued } = intake()
    await fhir.take(refer(observations[3]!))

    const first = await fhir.poll(new Date())
    const found = references()
    for (const reference of found) await fhir.take(reference)
    queued.length = 0
    const second = await fhir.poll(new Date())

    expect(first).toBe(21)
    expect(found.toSorted()).toEqual(
      observations
        .map(refer)
        .filter((each) => each !== refer(observations[3]!))
        .toSorted(),
    )
    expect([second, queued]).toEqual([0, []])
  })

  it('continues from its last position, with an overlap', async () => {
    const observation = briefOf(patient())
    const { fhir } = intake()
    await fhir.poll(new Date())
    await fhir.take(refer(observation))

    await fhir.poll(new Date())

    const searches = ehr.requests.filter(({ path }) => path.startsWith('/fhir/Observation?'))
    const since = new URL(searches.at(-1)!.path, 'http://x').searchParams.get('_lastUpdated')
    expect(since).toBe(`ge${new Date(Date.parse(observation.meta.lastUpdated) - 300_000).toISOString()}`)
  })

  it('queues later changes, and earlier resources that were not taken', async () => {
    const subject = patient()
    const before = briefOf(subject)
    const { fhir, queued, references } = intake()
    await fhir.poll(new Date())
    await fhir.take(refer(before))
    queued.length = 0
    const after = briefOf(subject)

    await fhir.poll(new Date())

    expect(references()).toEqual([refer(after)])
  })

  it('resumes after the EHR fails in the middle of a search', async () => {
    const subject = patient()
    const observations = Array.from({ length: 22 }, () => briefOf(subject))
    let isFailing = true
    await using server = await testServer(async ({ url }, response) => {
      if (isFailing && url.includes('_offset=20')) return void response.writeHead(500).end()
      const page = await fetch(`${new URL(ehr.baseUrl).origin}${url}`)
      response.writeHead(page.status).end((await page.text()).replaceAll(new URL(ehr.baseUrl).origin, server.origin))
    })
    const { fhir, tenant, references } = intake({ baseUrl: `${server.origin}/fhir` })

    const error = await failure(fhir.poll(new Date()))
    const mark = await new FhirProgress(aws.dynamo, TABLE).mark(tenant, 'ehr', CRITERIA)
    isFailing = false
    await fhir.poll(new Date())

    expect(error.code).toBe('ehr-unavailable')
    expect(mark).toBe(observations[19]!.meta.lastUpdated)
    expect(new Set(references())).toEqual(new Set(observations.map(refer)))
  })

  it('misses nothing on a server that does not sort', async () => {
    const times = ['2026-01-01T00:00:03Z', '2026-01-01T00:00:01Z', '2026-01-01T00:00:02Z']
    await using server = await testServer(({ url }, response) => {
      const page = Number(new URL(url, 'http://x').searchParams.get('page') ?? 0)
      const resource = { resourceType: 'Observation', id: String(page), meta: { lastUpdated: times[page] } }
      const link = page < 2 ? [{ relation: 'next', url: `${server.origin}/fhir?page=${page + 1}` }] : []
      json(response, { resourceType: 'Bundle', link, entry: [{ resource }] })
    })
    const { fhir, tenant } = intake({ baseUrl: `${server.origin}/fhir` })

    const queued = await fhir.poll(new Date('2026-01-01T12:00:00Z'))

    expect(queued).toBe(3)
    expect(await new FhirProgress(aws.dynamo, TABLE).mark(tenant, 'ehr', CRITERIA)).toBe(times[0])
  })

  it('runs the remaining searches when one is refused', async () => {
    const observation = briefOf(patient())
    const { fhir, references } = intake({ criteria: ['DocumentReference?unheard=of', CRITERIA] })

    const error = await failure(fhir.poll(new Date()))

    expect(error.code).toBe('ehr-refused')
    expect(references()).toEqual([refer(observation)])
  })

  it('reads on when the EHR adds an OperationOutcome to its results, as Epic does', async () => {
    const outcome = { resourceType: 'OperationOutcome', issue: [{ severity: 'warning', code: 'processing' }] }
    const resource = { resourceType: 'Observation', id: '1', meta: { versionId: '1' } }
    await using server = await testServer((_asked, response) =>
      json(response, {
        resourceType: 'Bundle',
        entry: [
          { resource, search: { mode: 'match' } },
          { resource: outcome, search: { mode: 'outcome' } },
        ],
      }),
    )
    const { fhir, references } = intake({ baseUrl: `${server.origin}/fhir` })

    await fhir.poll(new Date())

    expect(references()).toEqual(['Observation/1'])
  })

  it('fails when the EHR answers a search with an OperationOutcome', async () => {
    await using server = await testServer((_asked, response) =>
      json(response, { resourceType: 'OperationOutcome', issue: [{ severity: 'error', code: 'timeout' }] }),
    )

    const error = await failure(intake({ baseUrl: `${server.origin}/fhir` }).fhir.poll(new Date()))

    expect(error).toMatchObject({ code: 'ehr-malformed' })
  })

  it('queues a version once, even if it cannot be read', async () => {
    const subject = patient()
    const refused = ehr.create({ ...ecgObservation(BRIEF, refer(subject)), component: [], valueString: 'soon' })
    const withdrawn = ehr.create({ ...ecgObservation(BRIEF, refer(subject)), status: 'entered-in-error' })
    const { fhir, references } = intake()

    for (let polls = 0; polls < 3; polls++) await fhir.poll(new Date())
    const before = references()
    ehr.store.change((writer) => writer.put({ ...refused, note: [{ text: 'looked at' }] }))
    await fhir.poll(new Date())

    expect(before).toEqual([refused, withdrawn].map(refer))
    expect(references()).toEqual([refused, withdrawn, refused].map(refer))
  })

  it('finds later changes after one with a time in the future', async () => {
    const now = new Date('2026-01-02T12:00:00Z')
    const resources = [{ id: 'future', lastUpdated: '2099-01-01T00:00:00Z' }]
    await using server = await testServer(({ url }, response) => {
      const since = Date.parse(new URL(url, 'http://x').searchParams.get('_lastUpdated')!.slice(2))
      const found = resources.filter(({ lastUpdated }) => Date.parse(lastUpdated) >= since)
      const entry = found.map(({ id, lastUpdated }) => ({
        resource: { resourceType: 'Observation', id, meta: { versionId: '1', lastUpdated } },
      }))
      json(response, { resourceType: 'Bundle', entry })
    })
    const { fhir, references } = intake({ baseUrl: `${server.origin}/fhir` })
    await fhir.poll(now)
    resources.unshift({ id: 'later', lastUpdated: '2026-01-02T12:01:00Z' })

    await fhir.poll(new Date('2026-01-02T12:05:00Z'))

    expect(references()).toEqual(['Observation/future', 'Observation/later'])
  })

  it('reports a response that is not a Bundle', async () => {
    await using server = await testServer((_asked, response) =>
      json(response, { resourceType: 'Bundle', entry: [{ resource: 5 }] }),
    )

    const error = await failure(intake({ baseUrl: `${server.origin}/fhir` }).fhir.poll(new Date()))

    expect(error).toMatchObject({ code: 'ehr-malformed' })
  })
})
