/** Rows that an older version stored stay readable: `table-28960f6.json` has every kind of row that commit 28960f6 wrote, as DynamoDB holds it. */
import { type AttributeValue, PutItemCommand } from '@aws-sdk/client-dynamodb'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SessionStore } from '../../../functions/report/session-store.ts'
import { cmrJobId, parseCmrJobId, parseEcgId } from '../../../shared/domain/ecg-id.ts'
import { AssociationStore } from '../../../shared/store/associations.ts'
import { AuditStore } from '../../../shared/store/audit.ts'
import { CmrJobStore } from '../../../shared/store/cmr-jobs.ts'
import { ecgsOfSources } from '../../../shared/store/ehr-ecgs.ts'
import { FhirProgress } from '../../../shared/store/fhir-progress.ts'
import { LEAST_MS, PopulationStore } from '../../../shared/store/population.ts'
import { ResultList } from '../../../shared/store/result-list.ts'
import { ResultStore } from '../../../shared/store/results.ts'
import { tracesBut } from '../../../shared/store/tenant-trace.ts'
import table from '../../fixtures/table-28960f6.json' with { type: 'json' }
import { AUDIT_TABLE, startTestAws, TABLE, type TestAws } from '../../helpers/aws.ts'

const TENANT = 'clinic'
const SERVER = 'https://ehr.example/fhir'
const LIVE = parseEcgId('f81a5b77-ee6b-5c21-9cad-d22e3664d4ed')!
const UPLOAD = parseEcgId('0bd25bc8-9a16-5849-82ac-0b54df1d80ef')!
const OF_EHR = parseEcgId('d1ed0cae-a518-51bc-b340-ed192988a762')!
const DELETED = parseEcgId('e71fa941-a9a9-5960-934a-cdb178cbd529')!
const WAITING = parseEcgId('51e9bd57-3992-54f7-99bc-96f1c6e55a0c')!
const SESSION = { tenant: TENANT, device: 'ward-3', session: 's1' }

const at = (minutes: number) => new Date(Date.parse('2026-11-01T08:00:00Z') + minutes * 60_000)

let aws: TestAws
let results: ResultStore
let associations: AssociationStore
let jobs: CmrJobStore

beforeAll(async () => {
  aws = await startTestAws()
  await load(TABLE, table.results)
  await load(AUDIT_TABLE, table.audit)
  results = new ResultStore(aws.dynamo, TABLE)
  associations = new AssociationStore(aws.dynamo, TABLE)
  jobs = new CmrJobStore(aws.dynamo, TABLE)
})
afterAll(() => aws?.stop())

describe('a table written at commit 28960f6', () => {
  it('gives results with their origin, person and arrival time', async () => {
    const live = await results.judged(TENANT, LIVE)
    const ofEhr = await results.judged(TENANT, OF_EHR)

    expect(live?.result).toMatchObject({ ecgId: LIVE, version: 1, status: 'screened' })
    expect(live?.origin).toEqual({ kind: 'mqtt', device: 'ward-3', session: 's1' })
    expect(live?.person).toEqual({ sex: 'female', ageYears: 61 })
    expect(live?.arrivedAt).toEqual(at(1))
    expect(ofEhr?.origin).toEqual({ kind: 'fhir', server: SERVER, source: 'Observation/77' })
    expect(JSON.parse((await results.latest(TENANT, UPLOAD)) ?? '{}').status).toBe('refused')
  })

  it('gives markers of received and deleted ECGs', async () => {
    expect(await results.isReceived(TENANT, WAITING)).toBe(true)
    expect(await results.isDeleted(TENANT, DELETED)).toBe(true)
    expect(await results.hasRows(TENANT, DELETED)).toBe(false)
    expect(await results.devicesOf(TENANT, LIVE)).toEqual(new Set(['ward-3']))
  })

  it('gives the result list by page and by filter', async () => {
    const list = new ResultList(aws.dynamo, TABLE)

    const first = await list.page(TENANT, { limit: 2 })
    const rest = await list.page(TENANT, { limit: 2, after: first.next })
    const refused = await list.page(TENANT, { limit: 2, filter: { status: 'refused', from: new Date(0) } })

    expect([...first.items, ...rest.items].map(({ ecgId }) => ecgId)).toEqual([OF_EHR, UPLOAD, LIVE])
    expect(rest.next).toBeUndefined()
    expect(refused.items.map(({ ecgId }) => ecgId)).toEqual([UPLOAD])
  })

  it('gives jobs in every state', async () => {
    const all = await jobs.ofEcg(TENANT, OF_EHR)
    const news = await jobs.news(TENANT, `${at(0).getTime().toString(36)}.`, at(20))

    expect(all.map(({ seed, status }) => [seed, status]).toSorted()).toEqual([
      [1, 'queued'],
      [2, 'running'],
      [3, 'done'],
    ])
    // They count as drawn from version 1, and asking for the same drawing again finds them.
    expect(all.map((job) => [job.version, cmrJobId(job)])).toEqual(all.map(({ jobId }) => [1, jobId]))
    expect(all.find(({ seed }) => seed === 3)?.artifacts).toMatchObject([{ name: 'sax.dcm', bytes: 1234 }])
    expect(news.items.map(({ item }) => item)).toEqual([
      { jobId: expect.any(String), ecgId: OF_EHR, status: 'queued' },
      { jobId: expect.any(String), ecgId: OF_EHR, status: 'running', step: 3, steps: 8 },
      { jobId: expect.any(String), ecgId: OF_EHR, status: 'done' },
    ])
  })

  it('lets a worker continue its running job', async () => {
    const [running] = (await jobs.ofEcg(TENANT, OF_EHR)).filter(({ status }) => status === 'running')
    const holder = { tenant: TENANT, jobId: parseCmrJobId(running?.jobId ?? '')!, worker: 'w1' }

    expect(await jobs.progress(holder, OF_EHR, { step: 4, steps: 8 }, at(13))).toBe(true)
    expect(await jobs.progress({ ...holder, worker: 'w2' }, OF_EHR, undefined, at(13))).toBe(false)
  })

  it('gives associations, devices and waiting results', async () => {
    const patients = await associations.patientsOf(TENANT, 'ward-3')

    expect([patients(at(0)), patients(at(45)), patients(at(-90))]).toEqual(['Patient/1', 'Patient/2', undefined])
    expect(await associations.devices(TENANT)).toEqual(['ward-3'])
    expect((await associations.unidentified(TENANT, { limit: 5 })).items).toEqual([
      { device: 'cart-1', at: at(5), ecgId: WAITING, origin: { kind: 'upload', device: 'cart-1' } },
    ])
  })

  it('lets a live session continue', async () => {
    const sessions = new SessionStore(aws.dynamo, TABLE)

    const [digest] = await sessions.windows(SESSION)
    const head = await sessions.touch(SESSION, at(3))

    expect(digest).toMatchObject({ ecgId: LIVE, firstSample: 5000, at: at(0), heartRateBpm: 71 })
    expect(head).toMatchObject({ token: 'token-1', reported: { 'Patient/1': ['hf'] }, lastAt: at(3).getTime() })
    expect(await sessions.newest(SESSION, 3)).toEqual([digest])
  })

  it('gives the progress at an EHR and the ECGs of its resources', async () => {
    const progress = new FhirProgress(aws.dynamo, TABLE)

    expect(await progress.mark(TENANT, SERVER, 'Observation?code=ecg')).toBe('2026-11-01T07:59:00Z')
    expect(await progress.isTaken(TENANT, SERVER, 'Observation/77', '2')).toBe(true)
    expect(await progress.isTaken(TENANT, SERVER, 'Observation/77', '3')).toBe(false)
    expect(await ecgsOfSources(aws.dynamo, TABLE, TENANT, SERVER, new Set(['Observation/77']))).toEqual([OF_EHR])
  })

  it('lets a drift population continue', async () => {
    const population = new PopulationStore(aws.dynamo, TABLE, '5'.repeat(64), 2)

    const counts = await population.add(['age:60', 'lead:V2'], new Date(at(0).getTime() + LEAST_MS))

    expect(counts).toEqual({ 'age:60': 2, 'lead:V1': 1, 'lead:V2': 1 })
  })

  it('gives an audit trail across days', async () => {
    const audit = new AuditStore(aws.dynamo, AUDIT_TABLE, 365)

    const entries = await Array.fromAsync(audit.entries({ tenant: TENANT, since: at(0), until: at(48 * 60) }))

    expect(entries.map(({ at: time, action, ecgIds }) => [time, action, ecgIds])).toEqual([
      [at(1), 'ecg.read', [LIVE]],
      [at(24 * 60), 'ecg.delete', [DELETED]],
    ])
  })

  it('gives the reported ECGs and sessions of a tenant', async () => {
    const [trace] = await tracesBut(aws.dynamo, TABLE, new Set())

    expect(trace?.ecgIds.toSorted()).toEqual([OF_EHR, UPLOAD, DELETED, WAITING].toSorted())
    expect(trace?.summaryIds).toHaveLength(2)
  })
})

async function load(TableName: string, rows: readonly object[]): Promise<void> {
  for (const row of rows) {
    const Item = Object.fromEntries(Object.entries(row).map(([name, value]) => [name, attributeOf(value)]))
    await aws.dynamo.send(new PutItemCommand({ TableName, Item }))
  }
}

/** JSON has no bytes: they are base64 in the file. */
const attributeOf = (value: AttributeValue | { readonly B: string }): AttributeValue =>
  typeof value.B === 'string' ? { B: Buffer.from(value.B, 'base64') } : (value as AttributeValue)
