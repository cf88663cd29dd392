import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { fileEcgId } from '../../../shared/domain/ecg-id.ts'
import { AssociationStore, type Unidentified } from '../../../shared/store/associations.ts'
import { startTestAws, TABLE, type TestAws } from '../../helpers/aws.ts'

let aws: TestAws
let store: AssociationStore
let device = 'd0'
let count = 0

beforeAll(async () => {
  aws = await startTestAws()
  store = new AssociationStore(aws.dynamo, TABLE)
})
afterAll(() => aws.stop())
beforeEach(() => {
  device = `d${++count}`
})

const on = (day: number) => new Date(Date.UTC(2026, 0, day))

function waiting(day: number, overrides: Partial<Unidentified> = {}): Unidentified {
  const ecgId = fileEcgId({ tenant: 'clinic', sha256: `${device}-${day}` })
  return { device, at: on(day), ecgId, origin: { kind: 'mqtt', device, session: 's' }, ...overrides }
}

describe('the patient of a device', () => {
  it('is known from the beginning (inclusive) to the end (exclusive) of the association', async () => {
    await store.put('clinic', device, { patient: 'Patient/1', from: on(1), to: on(3) })
    await store.put('clinic', device, { patient: 'Patient/2', from: on(3) })

    const patients = await Promise.all(
      [on(0), on(1), on(2), on(3), on(30)].map((at) => store.patientOf('clinic', device, at)),
    )

    expect(patients).toEqual([undefined, 'Patient/1', 'Patient/1', 'Patient/2', 'Patient/2'])
  })

  it('is unknown to another tenant and for another device', async () => {
    await store.put('clinic', device, { patient: 'Patient/1', from: on(1) })

    expect(await store.patientOf('other', device, on(2))).toBeUndefined()
    expect(await store.patientOf('clinic', `${device}x`, on(2))).toBeUndefined()
  })

  it.each([
    ['within', 2, 3],
    ['over the beginning', 0, 2],
    ['over the end', 4, 9],
    ['around', 0, 9],
    ['without an end', 0, undefined],
  ])('cannot overlap another association (%s)', async (_, from, to) => {
    await store.put('clinic', device, { patient: 'Patient/1', from: on(1), to: on(5) })

    const second = store.put('clinic', device, {
      patient: 'Patient/2',
      from: on(from),
      to: to === undefined ? to : on(to),
    })

    await expect(second).rejects.toMatchObject({ code: 'association-overlap' })
    expect(await store.patientOf('clinic', device, on(2))).toBe('Patient/1')
  })

  it('changes when an association with the same beginning is put again', async () => {
    await store.put('clinic', device, { patient: 'Patient/1', from: on(1) })

    await store.put('clinic', device, { patient: 'Patient/1', from: on(1), to: on(2) })

    expect(await store.patientOf('clinic', device, on(2))).toBeUndefined()
  })

  it('is set by exactly one of several concurrent overlapping associations', async () => {
    const puts = Array.from({ length: 8 }, (_, i) =>
      store.put('clinic', device, { patient: `Patient/${i}`, from: new Date(on(1).getTime() + i), to: on(2) }),
    )

    const outcomes = await Promise.allSettled(puts)

    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'association-overlap' })
    }
  })

  it('cannot end before it begins', async () => {
    const put = store.put('clinic', device, { patient: 'Patient/1', from: on(2), to: on(2) })

    await expect(put).rejects.toMatchObject({ code: 'field-invalid', detail: { field: 'to' } })
  })
})

describe('a result of a device without an association', () => {
  it('waits, is released by a matching association, and leaves the list when it is reported', async () => {
    for (const day of [1, 2, 3]) await store.patientOrWait('clinic', waiting(day))

    const released: Unidentified[] = []
    for await (const each of store.waitingFor('clinic', device, { from: on(2), to: on(3) })) released.push(each)
    await store.markReported('clinic', waiting(2))

    expect(released).toEqual([waiting(2)])
    const { items } = await store.unidentified('clinic', { limit: 10, device })
    expect(items).toEqual([waiting(1), waiting(3)])
  })

  it('waits once even if it is repeated, and not at all when its patient is known', async () => {
    await store.put('clinic', device, { patient: 'Patient/1', from: on(5) })

    const patients = [
      await store.patientOrWait('clinic', waiting(1)),
      await store.patientOrWait('clinic', waiting(1)),
      await store.patientOrWait('clinic', waiting(6)),
    ]

    expect(patients).toEqual([undefined, undefined, 'Patient/1'])
    expect((await store.unidentified('clinic', { limit: 10, device })).items).toEqual([waiting(1)])
  })

  it('is listed once, page by page, within its own tenant only', async () => {
    const tenant = `tenant-${device}`
    const all = [1, 2, 3, 4, 5].map((day) => waiting(day))
    for (const result of all) await store.markUnidentified(tenant, result)

    const seen: Unidentified[] = []
    let after: string | undefined
    do {
      const page = await store.unidentified(tenant, { limit: 2, after })
      seen.push(...page.items)
      after = page.next
    } while (after !== undefined)

    expect(seen).toEqual(all)
    expect((await store.unidentified(`other-${device}`, { limit: 10 })).items).toEqual([])
  })

  it.each(['', 'x', '####', 'a'.repeat(2000)])('is not listed from an invalid cursor (%s)', async (after) => {
    await expect(store.unidentified('clinic', { limit: 2, after })).rejects.toMatchObject({ code: 'field-invalid' })
  })
})
