import { GetCommand, ScanCommand } from '@aws-sdk/lib-dynamodb'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { documents } from '../../../shared/aws/clients.ts'
import { fileEcgId } from '../../../shared/domain/ecg-id.ts'
import type { Origin } from '../../../shared/messages.ts'
import { ResultList } from '../../../shared/store/result-list.ts'
import { ResultStore } from '../../../shared/store/results.ts'
import { startTestAws, TABLE, type TestAws } from '../../helpers/aws.ts'
import { makeResult } from '../../helpers/results.ts'

let aws: TestAws
beforeAll(async () => {
  aws = await startTestAws()
})
afterAll(() => aws.stop())

const NOW = new Date('2026-01-02T00:00:00Z')

async function rowsOf(tenant: string) {
  const { Items = [] } = await documents(aws.dynamo).send(new ScanCommand({ TableName: TABLE }))
  return Items.filter(({ pk }) => String(pk).startsWith(`${tenant}#`))
}

describe('ResultStore.putOnce', () => {
  it.each([
    [undefined, undefined],
    [365, Date.UTC(2027, 0, 2) / 1000],
  ])('with a retention of %s days sets the expiry to %s', async (days, expiresAt) => {
    const tenant = `kept-${days}`
    const store = new ResultStore(aws.dynamo, TABLE, days)

    await store.putOnce(tenant, { kind: 'upload' }, makeResult({ ecgId: fileEcgId({ tenant, sha256: '' }) }), NOW)

    expect((await rowsOf(tenant)).map((row) => row.expiresAt)).toEqual([expiresAt])
  })
})

describe('ResultStore.markReceived', () => {
  it('links an ECG to its EHR resource until deletion', async () => {
    const tenant = 'hospital'
    const store = new ResultStore(aws.dynamo, TABLE)
    const ecgId = fileEcgId({ tenant, sha256: '' })
    const origin: Origin = { kind: 'fhir', server: 'ehr', source: 'Observation/7' }
    const Key = { pk: 'hospital#fhir#ehr', sk: `ecg#Observation/7#${ecgId}` }
    const link = async () => (await documents(aws.dynamo).send(new GetCommand({ TableName: TABLE, Key }))).Item

    await store.markReceived(tenant, ecgId, origin)
    const known = await link()
    await store.removeRows(tenant, ecgId)

    expect(known).toEqual(Key)
    expect(await link()).toBeUndefined()
    expect(await rowsOf(tenant)).toEqual([])
  })
})

describe('ResultList', () => {
  it('continues after a later version of an ECG', async () => {
    const tenant = 'versions'
    const store = new ResultStore(aws.dynamo, TABLE)
    const list = new ResultList(aws.dynamo, TABLE)
    const ecgId = fileEcgId({ tenant, sha256: '' })
    await store.putOnce(tenant, { kind: 'upload' }, makeResult({ ecgId }), NOW)
    const corrected = makeResult({ ecgId, version: 2 })
    await store.putOnce(tenant, { kind: 'upload' }, corrected, new Date(NOW.getTime() + 1000))

    const first = await list.page(tenant, { limit: 1 })
    const second = await list.page(tenant, { limit: 1, after: first.next })

    expect([...first.items, ...second.items].map(({ version = 1 }) => version)).toEqual([2, 1])
  })
})
