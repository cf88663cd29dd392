import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { COUNTING, QUERIES } from '../../../streams/gateway/queries.ts'
import { Store } from '../../../streams/gateway/store.ts'

describe("the gateway's store", () => {
  let store: Store
  beforeEach(() => {
    store = new Store(':memory:', { limitBytes: 1e9, forwards: true })
  })
  afterEach(() => store.close())

  const hot = Object.keys(QUERIES).filter((name) => !(COUNTING as readonly string[]).includes(name))

  it.each(hot)('uses an index: %s', (name) => {
    const plan = store.explain(name as keyof typeof QUERIES) // one of its keys

    expect(plan.filter((step) => /^SCAN (?!CONSTANT)/.test(step) && !/USING (?:COVERING )?INDEX/.test(step))).toEqual(
      [],
    )
  })

  it('rolls back a transaction that throws', () => {
    expect(() =>
      store.transaction(() => {
        store.book.addOrder({ placer: 'P' }, '4711', 1)
        throw new Error('no')
      }),
    ).toThrow('no')

    expect(store.book.openOrder('4711')).toBeUndefined()
  })
})
