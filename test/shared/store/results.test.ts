import { GetCommand, ScanCommand } from '@aws-sdk/lib-dynamodb'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { documents } from '../../../shared/aws/clients.ts'
import { type EcgId, fileEcgId } from '../../../shared/domain/ecg-id.ts'
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
  const store = () => new ResultStore(aws.dynamo, TABLE)
  const list = () => new ResultList(aws.dynamo, TABLE)
  const flagging = (...flagged: readonly string[]) => {
    const { findings } = makeResult({})
    return findings.map((finding) => ({ ...finding, flagged: flagged.includes(finding.condition) }))
  }
  const secondsLater = (seconds: number) => new Date(NOW.getTime() + 1000 * seconds)

  it('continues after a later version of an ECG', async () => {
    const tenant = 'versions'
    const [older, ecgId] = ['0', '1'].map((sha256) => fileEcgId({ tenant, sha256 })) as [EcgId, EcgId]
    await store().putOnce(tenant, { kind: 'upload' }, makeResult({ ecgId: older }), NOW)
    await store().putOnce(tenant, { kind: 'upload' }, makeResult({ ecgId }), secondsLater(1))
    await store().putOnce(tenant, { kind: 'upload' }, makeResult({ ecgId, version: 2 }), secondsLater(2))

    const first = await list().page(tenant, { limit: 1 })
    const second = await list().page(tenant, { limit: 1, after: first.next })

    expect([first, second].flatMap(({ items }) => items.map(({ version = 1 }) => version))).toEqual([2, 1])
    expect(second).toMatchObject({ items: [{ ecgId: older }] })
    expect(second.next).toBeUndefined()
  })

  it.each([
    ['in order', [1, 2, 3]],
    ['in any order', [2, 3, 1]],
    ['twice', [1, 2, 3, 2, 1]],
  ])('shows only the newest version of an ECG whose versions arrive %s', async (order, versions) => {
    const tenant = `newest-${order}`.replaceAll(' ', '-')
    const ecgId = fileEcgId({ tenant, sha256: '' })

    for (const [index, version] of versions.entries()) {
      const findings = flagging(...(version === 3 ? [] : ['cad']))
      await store().putOnce(tenant, { kind: 'upload' }, makeResult({ ecgId, version, findings }), secondsLater(index))
    }

    const { items } = await list().page(tenant, { limit: 10 })
    expect(items).toMatchObject([{ ecgId, version: 3, flagged: [] }])
    expect((await list().page(tenant, { limit: 10, filter: { flagged: 'cad' } })).items).toEqual([])
    for (const version of [1, 2, 3]) {
      expect(JSON.parse((await store().latest(tenant, ecgId, version))!)).toMatchObject({ version })
    }
    expect(await store().judged(tenant, ecgId)).toMatchObject({ result: { version: 3 } })
  })

  it('continues from an entry that was replaced meanwhile', async () => {
    const tenant = 'replaced'
    const [first, second] = ['0', '1'].map((sha256) => fileEcgId({ tenant, sha256 })) as [EcgId, EcgId]
    await store().putOnce(tenant, { kind: 'upload' }, makeResult({ ecgId: first }), NOW)
    await store().putOnce(tenant, { kind: 'upload' }, makeResult({ ecgId: second }), secondsLater(1))
    const { next } = await list().page(tenant, { limit: 1 })
    await store().putOnce(tenant, { kind: 'upload' }, makeResult({ ecgId: second, version: 2 }), secondsLater(2))

    const { items } = await list().page(tenant, { limit: 1, after: next })

    expect(items).toMatchObject([{ ecgId: first }])
  })

  it('keeps another tenant’s version of the same id', async () => {
    const ecgId = fileEcgId({ tenant: 'either', sha256: '' })
    await store().putOnce('this', { kind: 'upload' }, makeResult({ ecgId }), NOW)
    await store().putOnce('that', { kind: 'upload' }, makeResult({ ecgId, version: 2 }), NOW)

    expect((await list().page('this', { limit: 10 })).items).toMatchObject([{ ecgId }])
  })

  it('leaves nothing of a deleted ECG when a late version arrives', async () => {
    const tenant = 'deleted'
    const ecgId = fileEcgId({ tenant, sha256: '' })
    await store().putOnce(tenant, { kind: 'upload' }, makeResult({ ecgId }), NOW)
    await store().markDeleted(tenant, ecgId)
    await store().removeRows(tenant, ecgId)

    const stored = await store().putOnce(tenant, { kind: 'upload' }, makeResult({ ecgId, version: 2 }), NOW)

    expect(stored).toEqual({ kind: 'deleted' })
    expect((await rowsOf(tenant)).map(({ sk }) => sk)).toEqual(['deleted'])
  })
})

describe('ResultStore.message', () => {
  it('is the newest result byte for byte, with its origin', async () => {
    const tenant = 'again'
    const store = new ResultStore(aws.dynamo, TABLE)
    const ecgId = fileEcgId({ tenant, sha256: '' })
    const origin: Origin = { kind: 'mqtt', device: 'd1', session: 's1' }
    const corrected = makeResult({ ecgId, version: 2 })
    await store.putOnce(tenant, origin, makeResult({ ecgId }), NOW)
    await store.putOnce(tenant, origin, corrected, NOW)

    const message = await store.message(tenant, ecgId)

    expect(message).toEqual({ schema: 1, tenant, origin, result: JSON.stringify(corrected) })
    expect(await store.message('another', ecgId)).toBeUndefined()
  })
})
