import { ListObjectsV2Command } from '@aws-sdk/client-s3'
import { ScanCommand } from '@aws-sdk/lib-dynamodb'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { SessionStore } from '../../../functions/report/session-store.ts'
import { artifactPrefix, putObject, waveformKey } from '../../../shared/aws/payloads.ts'
import { type EcgId, fileEcgId } from '../../../shared/domain/ecg-id.ts'
import { IntakeMessage, parseMessage } from '../../../shared/messages.ts'
import { encodeWaveform } from '../../../shared/waveform/codec.ts'
import { digestOf } from '../../../streams/fhir/report/session.ts'
import { BUCKET, TABLE } from '../../helpers/aws.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'
import { makeResult } from '../../helpers/results.ts'
import { writeWfdb } from '../../helpers/wfdb-writer.ts'
import { answerOf, startTestApi, type TestApi } from './helpers.ts'

let api: TestApi
beforeAll(async () => {
  api = await startTestApi()
})
afterAll(() => api.stop())
beforeEach(() => api.receive(api.intakeUrl))

const recording = syntheticRecording({ rateHz: 100 })

/** A CSV of a recording; `note` makes it another file. */
function csv(rate = true): string {
  const rows = Array.from({ length: recording.leads[0]!.samples.length }, (_, i) =>
    [...(rate ? [i / 100] : []), ...recording.leads.map(({ samples }) => samples[i]! / 1000)].join(','),
  )
  return [[...(rate ? ['time'] : []), ...recording.leads.map(({ name }) => name)].join(','), ...rows].join('\n')
}

const upload = (body: string | FormData, query = '', tenant = 'clinic', headers: Record<string, string> = {}) =>
  api.as(tenant, `/v1/ecgs${query}`, { method: 'POST', body, headers })

function form(files: readonly { name: string; bytes: Uint8Array }[]): FormData {
  const data = new FormData()
  for (const { name, bytes } of files) data.append('file', new Blob([new Uint8Array(bytes)]), name)
  return data
}

describe('a trailing slash', () => {
  it.each(['/v1/ecgs', '/v1/operations', '/healthz', '/openapi.json'])(
    'does not change the answer of %s',
    async (path) => {
      const [plain, slash] = [await api.as('clinic', path), await api.as('clinic', `${path}/`)]

      expect(slash.status).toBe(plain.status)
      expect(slash.status).not.toBe(404)
    },
  )
})

describe('POST /v1/ecgs', () => {
  it('accepts a file and returns the location of its result', async () => {
    const response = await upload(csv(), '?unit=mV')

    expect(response.status).toBe(202)
    const body = await answerOf(response)
    expect(body).toMatchObject({ status: 'pending', windows: 1 })
    const location = response.headers.get('location')!
    expect(location).toBe(`/v1/ecgs/${body.ecgId}`)
    const [sent] = await api.receive(api.intakeUrl)
    expect(parseMessage(IntakeMessage, sent!.Body!)).toMatchObject({
      tenant: 'clinic',
      ecgId: body.ecgId,
      origin: { kind: 'upload' },
    })
    const pending = await api.as('clinic', location)
    expect([pending.status, pending.headers.get('retry-after')]).toEqual([202, '1'])
  })

  it('gives the same file the same ID within a tenant, and another in another tenant', async () => {
    const ids = await Promise.all(
      ['clinic', 'clinic', 'other'].map(
        async (tenant) => (await answerOf(await upload(csv(), '?unit=mV', tenant))).ecgId,
      ),
    )

    expect(ids[1]).toBe(ids[0])
    expect(ids[2]).not.toBe(ids[0])
  })

  it('accepts a recording of several files as a form, in any order', async () => {
    const files = writeWfdb(recording)

    const responses = [await upload(form(files)), await upload(form(files.toReversed()))]

    const bodies = await Promise.all(responses.map(answerOf))
    expect(responses.map(({ status }) => status)).toEqual([202, 202])
    expect(bodies[1]!.ecgId).toBe(bodies[0]!.ecgId)
  })

  it('records the device named by the uploader', async () => {
    await upload(csv(), '?unit=mV&device=cart-7')

    const [sent] = await api.receive(api.intakeUrl)
    expect(parseMessage(IntakeMessage, sent!.Body!).origin).toEqual({ kind: 'upload', device: 'cart-7' })
  })

  it.each([
    ['an empty body', '', '', 400, 'payload-empty'],
    ['a file that is not an ECG', 'hello', '', 415, 'format-unknown'],
    ['an unknown format', csv(), '?format=pdf', 415, 'format-unsupported'],
    ['an invalid device name', csv(), '?device=a/b', 400, 'field-invalid'],
    ['a rate that is not a number', csv(), '?rateHz=fast', 400, 'field-invalid'],
  ])('refuses %s', async (_, body, query, status, code) => {
    const response = await upload(body, query)

    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject({ code })
    expect(await api.receive(api.intakeUrl)).toEqual([])
  })

  it.each(['../record.dat', '..\\record.dat', '/etc/passwd', '..'])('refuses the file name %s', async (name) => {
    const [header, signals] = writeWfdb(recording)

    const response = await upload(form([header, { ...signals, name }]))

    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ code: 'field-invalid', field: 'filename' })
  })

  it('refuses a malformed form', async () => {
    const response = await upload('not a form', '', 'clinic', { 'content-type': 'multipart/form-data; boundary=x' })

    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ code: 'payload-malformed' })
  })

  it('refuses a compressed body', async () => {
    const response = await upload(csv(), '', 'clinic', { 'content-encoding': 'gzip' })

    expect(response.status).toBe(415)
    expect(await response.json()).toMatchObject({ field: 'content-encoding' })
  })
})

describe('GET /v1/ecgs/{id}', () => {
  it('answers with the stored result, byte for byte', async () => {
    const { result, ecgId } = await api.screened('clinic')

    const response = await api.as('clinic', `/v1/ecgs/${ecgId}`)

    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toContain('application/json')
    expect(response.headers.get('cache-control')).toBe('private, no-cache')
    expect(await response.text()).toBe(JSON.stringify(result))
  })

  it('answers 304 when the client has the result', async () => {
    const { ecgId } = await api.screened('clinic')
    const etag = (await api.as('clinic', `/v1/ecgs/${ecgId}`)).headers.get('etag')!

    const same = await api.as('clinic', `/v1/ecgs/${ecgId}`, { headers: { 'if-none-match': `"x", ${etag}` } })
    const other = await api.as('clinic', `/v1/ecgs/${ecgId}`, { headers: { 'if-none-match': '"x"' } })

    expect([same.status, await same.text()]).toEqual([304, ''])
    expect(other.status).toBe(200)
  })

  it.each(['', '/waveform'])('answers 404 to another tenant (%s)', async (path) => {
    const { ecgId } = await api.screened('clinic')
    await putObject(api.s3, BUCKET, waveformKey('raw', 'clinic', ecgId), encodeWaveform(recording))

    const response = await api.as('other', `/v1/ecgs/${ecgId}${path}`)

    expect(response.status).toBe(404)
    expect(await response.json()).toMatchObject({ code: 'not-found' })
  })

  it.each(['nonsense', '00000000-0000-5000-8000-000000000000', '..%2F..%2Fetc'])('answers 404 for %s', async (id) => {
    const response = await api.as('clinic', `/v1/ecgs/${id}`)

    expect(response.status).toBe(404)
    expect(response.headers.get('content-type')).toBe('application/problem+json')
  })

  it('hides internal errors, and reports them without their text', async () => {
    const results = Object.assign(Object.create(api.results), {
      latest: async () => {
        throw new Error('patient 4711 at 10.0.0.1')
      },
    })
    const broken = await startTestApi({ results })
    const { ecgId } = await api.screened('clinic')

    const response = await broken.as('clinic', `/v1/ecgs/${ecgId}`)
    await broken.stop()

    expect(response.status).toBe(500)
    expect(`${await response.text()}${JSON.stringify(broken.reported)}`).not.toContain('4711')
    expect(broken.reported).toEqual([{ code: 'internal', cause: 'Error' }])
  })
})

describe('GET /v1/ecgs/{id}/waveform', () => {
  it('returns the recorded samples in pieces', async () => {
    const { ecgId } = await api.screened('clinic')
    await putObject(api.s3, BUCKET, waveformKey('raw', 'clinic', ecgId), encodeWaveform(recording))

    const whole = await answerOf(await api.as('clinic', `/v1/ecgs/${ecgId}/waveform`))
    const piece = await answerOf(await api.as('clinic', `/v1/ecgs/${ecgId}/waveform?from=2&seconds=0.5`))

    expect(whole).toMatchObject({ ecgId, rateHz: 100, samples: 1000, firstSample: 0 })
    expect(whole.leads[1]).toEqual({ name: 'II', gainUv: 1, samples: [...recording.leads[1]!.samples] })
    expect(piece.firstSample).toBe(200)
    expect(piece.leads[1]!.samples).toEqual([...recording.leads[1]!.samples.subarray(200, 250)])
  })

  it('returns only the requested leads', async () => {
    const { ecgId } = await api.screened('clinic')
    await putObject(api.s3, BUCKET, waveformKey('raw', 'clinic', ecgId), encodeWaveform(recording))

    const response = await api.as('clinic', `/v1/ecgs/${ecgId}/waveform?leads=V2,II`)
    const refused = await api.as('clinic', `/v1/ecgs/${ecgId}/waveform?leads=II;V2`)

    expect(await response.json()).toMatchObject({ leads: [{ name: 'II' }, { name: 'V2' }] })
    expect(refused.status).toBe(400)
  })

  it.each(['from=-1', 'seconds=0', 'seconds=31', 'seconds=x'])('refuses %s', async (query) => {
    const { ecgId } = await api.screened('clinic')

    const response = await api.as('clinic', `/v1/ecgs/${ecgId}/waveform?${query}`)

    expect(response.status).toBe(400)
  })
})

describe('GET /v1/ecgs?samePatientAs', () => {
  const TENANT = 'same-patient'
  const of = (device: string) => ({ kind: 'mqtt' as const, device, session: 's' })
  const on = (day: number) => ({ startedAt: `2026-01-0${day}T12:00:00.000Z`, firstSample: 0, durationMs: 10_000 })
  const wear = (tenant: string, device: string, patient: string, from: number, to?: number) => {
    const at = (day: number) => new Date(`2026-01-0${day}T00:00:00Z`)
    return api.associations.put(tenant, device, { patient, from: at(from), to: to === undefined ? to : at(to) })
  }
  const take = async (device: string, day: number, tenant = TENANT) =>
    (await api.screened(tenant, { span: on(day) }, of(device))).ecgId
  const list = async (query: string) => answerOf(await api.as(TENANT, `/v1/ecgs?${query}`))
  const idsOf = ({ items }: Awaited<ReturnType<typeof list>>) => items.map(({ ecgId }) => ecgId)

  it('lists the ECGs of the patient from every device, and of nobody else', async () => {
    await wear(TENANT, 'cart', 'Patient/1', 1, 3)
    await wear(TENANT, 'cart', 'Patient/2', 3)
    await wear(TENANT, 'holter', 'Patient/1', 4, 6)
    await wear('elsewhere', 'cart', 'Patient/1', 1)
    const first = await take('cart', 2)
    await take('cart', 4) // of Patient/2
    await take('cart', 2, 'elsewhere')
    const second = await take('holter', 5)
    await take('holter', 7) // nobody's

    expect(idsOf(await list(`samePatientAs=${first}`))).toEqual([second, first])
    expect(idsOf(await list(`samePatientAs=${second}&device=cart`))).toEqual([first])
    const page = await list(`samePatientAs=${first}&limit=1`)
    expect(idsOf(page)).toEqual([second])
    expect(idsOf(await list(`samePatientAs=${first}&limit=1&after=${page.next}`))).toEqual([first])
  })

  it('is empty when nobody said whose the ECG is', async () => {
    const id = await take('unclaimed', 2)

    expect(await list(`samePatientAs=${id}`)).toEqual({ items: [] })
  })

  it('answers 404 for an ECG of another tenant, and 400 for what is no id', async () => {
    const { ecgId } = await api.screened('elsewhere', {}, of('cart'))

    expect((await api.as(TENANT, `/v1/ecgs?samePatientAs=${ecgId}`)).status).toBe(404)
    expect((await api.as(TENANT, '/v1/ecgs?samePatientAs=Patient/1')).status).toBe(400)
  })
})

describe('GET /v1/ecgs/{id}/subject', () => {
  const device = { kind: 'mqtt' as const, device: 'holter-7', session: 's' }
  const subject = async (ecgId: string) => (await api.as('clinic', `/v1/ecgs/${ecgId}/subject`)).json()

  it('names the patient of the device at the time of the ECG', async () => {
    const { ecgId } = await api.screened('clinic', {}, device)
    const before = await subject(ecgId)
    await api.associations.put('clinic', 'holter-7', {
      patient: 'Patient/123',
      from: new Date('2026-01-02T03:00:00Z'),
      to: new Date('2026-01-02T04:00:00Z'),
    })
    const span = { startedAt: '2026-01-02T04:00:00.000Z', firstSample: 0, durationMs: 10_000 }
    const later = await api.screened('clinic', { span }, device)

    expect(before).toEqual({ source: 'mqtt', device: 'holter-7' })
    const spans = [{ from: '2026-01-02T03:00:00.000Z', to: '2026-01-02T04:00:00.000Z' }]
    expect(await subject(ecgId)).toEqual({ source: 'mqtt', device: 'holter-7', patient: 'Patient/123', spans })
    expect(await subject(later.ecgId)).toEqual({ source: 'mqtt', device: 'holter-7' })
  })

  it('names no patient for an ECG from an EHR', async () => {
    const { ecgId } = await api.screened('clinic', {}, { kind: 'fhir', server: 'ehr', source: 'Observation/1' })

    expect(await subject(ecgId)).toEqual({ source: 'fhir' })
  })

  it('answers 404 for an unknown ECG', async () => {
    expect((await api.as('clinic', '/v1/ecgs/nonsense/subject')).status).toBe(404)
  })
})

describe('GET /v1/ecgs', () => {
  /** Seven ECGs of their own tenant, the last to arrive first. */
  async function seven(tenant: string): Promise<EcgId[]> {
    const ids: EcgId[] = []
    for (let i = 0; i < 7; i++) {
      const span = { startedAt: `2026-01-0${i + 1}T00:00:00.000Z`, firstSample: 0, durationMs: 10_000 }
      const refused = i % 2 === 0 ? {} : { status: 'refused' as const, findings: [] }
      const origin = { kind: 'mqtt' as const, device: `d${i % 3}`, session: 's' }
      const { ecgId } = await api.screened(tenant, { span, ...refused }, origin, new Date(Date.UTC(2026, 1, 1, 0, i)))
      ids.unshift(ecgId)
    }
    return ids
  }

  async function pages(tenant: string, query: string): Promise<string[][]> {
    const seen: string[][] = []
    let after = ''
    do {
      const page = await answerOf(await api.as(tenant, `/v1/ecgs?${query}${after}`))
      seen.push(page.items.map(({ ecgId }) => ecgId))
      after = page.next === undefined ? '' : `&after=${page.next}`
    } while (after !== '')
    return seen
  }

  it('lists each ECG once, page by page, and none of another tenant', async () => {
    const ids = await seven('paging')

    const shown = await pages('paging', 'limit=3')

    expect(shown.map(({ length }) => length)).toEqual([3, 3, 1])
    expect(shown.flat()).toEqual(ids)
  })

  it('lists heart rate, highest released probability, refusal reasons, warnings and arrival time', async () => {
    const withheld = { reason: 'electrodes-exchanged' as const }
    const [highest, ...others] = makeResult().findings
    const findings = [{ ...highest!, probability: 0.9, withheld }, ...others]
    const warnings = [{ code: 'electrodes-exchanged' as const, which: 'RA-LA' }]
    const leads = makeResult().quality
    const refused = { ...leads, verdict: 'refused' as const, reasons: ['flat' as const], heartRateBpm: null }
    await api.screened('listed', { findings, warnings, version: 2, supersedes: 1 })
    await api.screened('listed', { status: 'refused', findings: [], indices: [], quality: refused })

    const { items } = await answerOf(await api.as('listed', '/v1/ecgs'))

    expect(items).toEqual([
      expect.objectContaining({ status: 'refused', reasons: ['flat'], flagged: [] }),
      expect.objectContaining({
        heartRateBpm: leads.heartRateBpm,
        top: { condition: others[0]!.condition, probability: others[0]!.probability },
        warnings: ['electrodes-exchanged'],
        version: 2,
        arrivedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      }),
    ])
    expect(items[0]).not.toHaveProperty('heartRateBpm')
    expect(items[0]).not.toHaveProperty('top')
  })

  it('ends after a full last page', async () => {
    await seven('full')

    expect((await pages('full', 'limit=7')).map(({ length }) => length)).toEqual([7])
  })

  it.each([
    ['device=d1', [4, 1]],
    ['search=1', [4, 1]],
    ['search=D1', []],
    ['status=refused', [5, 3, 1]],
    ['flagged=cad', [6, 4, 2, 0]],
    ['flagged=hf', []],
    ['from=2026-01-03T00:00:00Z&to=2026-01-05T00:00:00Z', [3, 2]],
    ['from=2026-01-03T00:00:00Z&status=screened', [6, 4, 2]],
  ])('filters by %s', async (query, wanted) => {
    const tenant = `filter-${query.replaceAll(/[^a-z0-9]/g, '')}`.slice(0, 60)
    const ids = await seven(tenant)

    const shown = await pages(tenant, `limit=2&${query}`)

    expect(shown.flat()).toEqual(wanted.map((i) => ids[6 - i]))
  })

  const cursor = (...parts: unknown[]) => Buffer.from(JSON.stringify(parts)).toString('base64url')
  const id = '00000000-0000-5000-8000-000000000000'
  const arrival = `2026-01-01T00:00:00.000Z#${id}#aaaaaaaa`
  it.each([
    ['nonsense', 'x'],
    ['other JSON', cursor(1, 2, 3)],
    ['empty values', cursor('clinic#', '', '')],
    ['a partly invalid key', cursor(`clinic#${id}`, 'result#x', arrival)],
    ['another tenant', cursor(`other#${id}`, `result#${'a'.repeat(64)}#p`, arrival)],
    ['two ECGs', cursor(`clinic#${fileEcgId({ tenant: 'a', sha256: 'b' })}`, `result#${'a'.repeat(64)}#p`, arrival)],
    ['an excessive length', 'a'.repeat(5000)],
  ])('answers 400 to a cursor with %s', async (_, after) => {
    const response = await api.as('clinic', `/v1/ecgs?after=${after}`)

    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ code: 'field-invalid', field: 'after' })
  })

  it.each(['limit=0', 'limit=101', 'limit=x', 'status=odd', 'flagged=flu', 'from=yesterday', 'device=%23'])(
    'answers 400 and names the field for %s',
    async (query) => {
      const response = await api.as('clinic', `/v1/ecgs?${query}`)

      expect(response.status).toBe(400)
      expect(await response.json()).toMatchObject({ code: 'field-invalid', field: query.split('=')[0] })
    },
  )
})

describe('DELETE /v1/ecgs/{id}', () => {
  /** Every key in the table and the bucket that has the id in it. */
  async function traces(ecgId: EcgId): Promise<string[]> {
    const { Items = [] } = await api.dynamo.send(new ScanCommand({ TableName: TABLE }))
    const { Contents = [] } = await api.s3.send(new ListObjectsV2Command({ Bucket: BUCKET }))
    const keys = [...Items.map(({ pk, sk }) => `${pk} ${sk}`), ...Contents.map(({ Key }) => Key!)]
    return keys.filter((key) => key.includes(ecgId))
  }

  it('leaves only a deletion marker', async () => {
    const origin = { kind: 'mqtt' as const, device: 'd9', session: 's' }
    const { ecgId, result } = await api.screened('clinic', {}, origin)
    await api.results.putOnce(
      'clinic',
      origin,
      { ...result, provenance: { ...result.provenance, modelSha256: 'c'.repeat(64) } },
      new Date(),
    )
    await api.associations.markUnidentified('clinic', {
      device: 'd9',
      at: new Date(result.span.startedAt!),
      ecgId,
      origin,
    })
    for (const key of [
      waveformKey('raw', 'clinic', ecgId),
      waveformKey('clean', 'clinic', ecgId),
      `${artifactPrefix('clinic', ecgId)}1/cine.dcm`,
    ]) {
      await putObject(api.s3, BUCKET, key, Buffer.from('x'))
    }
    const sessions = new SessionStore(api.dynamo, TABLE)
    const inSession = { tenant: 'clinic', device: 'd9', session: 's' }
    const digest = digestOf(result, new Date(), true)
    await sessions.addWindow(inSession, digest, new Date(), async () => digest)
    expect(await traces(ecgId)).toHaveLength(6)

    const response = await api.as('clinic', `/v1/ecgs/${ecgId}`, { method: 'DELETE' })
    await api.upkeep()

    expect(response.status).toBe(204)
    expect(await traces(ecgId)).toEqual([`clinic#${ecgId} deleted`])
    expect(await sessions.windows(inSession)).toEqual([])
    expect((await api.as('clinic', `/v1/ecgs/${ecgId}`)).status).toBe(404)
    expect((await api.as('clinic', `/v1/ecgs/${ecgId}/waveform`)).status).toBe(404)
  })

  it('can be repeated', async () => {
    const { ecgId } = await api.screened('clinic')

    const statuses = [1, 2].map(async () => (await api.as('clinic', `/v1/ecgs/${ecgId}`, { method: 'DELETE' })).status)

    expect(await Promise.all(statuses)).toEqual([204, 204])
  })

  it('does not affect another tenant’s ECG', async () => {
    const { ecgId, result } = await api.screened('clinic')

    const response = await api.as('other', `/v1/ecgs/${ecgId}`, { method: 'DELETE' })

    expect(response.status).toBe(404)
    expect(await api.results.latest('clinic', ecgId)).toBe(JSON.stringify(result))
  })

  it('deletes an ECG in progress, whose result is not stored', async () => {
    const { ecgId } = await answerOf(await upload(csv(), '?unit=mV', 'early'))
    await api.as('early', `/v1/ecgs/${ecgId}`, { method: 'DELETE' })
    await api.upkeep()

    const { stored } = await api.screened('early', { ecgId })

    expect(stored).toEqual({ kind: 'deleted' })
    expect(await traces(ecgId)).toEqual([`early#${ecgId} deleted`])
  })

  it('applies until the file is uploaded again', async () => {
    const { ecgId } = await answerOf(await upload(csv(), '?unit=mV', 'again'))
    await api.as('again', `/v1/ecgs/${ecgId}`, { method: 'DELETE' })

    const tooSoon = await upload(csv(), '?unit=mV', 'again')
    await api.upkeep()
    const response = await upload(csv(), '?unit=mV', 'again')
    const { stored } = await api.screened('again', { ecgId })

    // An unfinished deletion would remove the new ECG too.
    expect([tooSoon.status, tooSoon.headers.get('retry-after')]).toEqual([503, '5'])
    expect(response.status).toBe(202)
    expect(stored.kind).toBe('new')
  })
})
