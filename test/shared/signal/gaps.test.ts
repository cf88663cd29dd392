import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bridgeGaps } from '../../../shared/signal/gaps.ts'

const NONE = Number.NaN

describe('gaps', () => {
  test.each([
    ['a lead without one', [1, 2, 3], [1, 2, 3], 0, 0],
    ['a short one by a straight line', [1, NONE, NONE, 4], [1, 2, 3, 4], 2, 0],
    ['two, each for itself', [0, NONE, 2, NONE, 6], [0, 1, 2, 4, 6], 2, 0],
    ['one at the beginning by the first sample', [NONE, NONE, 5, 6], [5, 5, 5, 6], 2, 0],
    ['one at the end by the last sample', [5, 6, NONE], [5, 6, 6], 1, 0],
    ['a long one not at all', [1, NONE, NONE, NONE, 4], [1, NONE, NONE, NONE, 4], 0, 3],
    ['a lead of nothing else not at all', [NONE, NONE], [NONE, NONE], 0, 2],
    ['a lead without samples not at all', [], [], 0, 0],
  ])('are bridged: %s', (_, samples, expected, bridged, open) => {
    const lead = Float64Array.from(samples)

    const gaps = bridgeGaps(lead, 2)

    expect([...lead]).toEqual(expected)
    expect(gaps).toEqual({ bridged, open })
  })

  test('never change a sample that is there, and are all accounted for', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.constant(NONE), fc.integer())), fc.nat(5), (samples, maxSamples) => {
        const lead = Float64Array.from(samples)

        const { bridged, open } = bridgeGaps(lead, maxSamples)

        expect(samples.every((value, i) => Number.isNaN(value) || value === lead[i])).toBe(true)
        expect(bridged + open).toBe(samples.filter(Number.isNaN).length)
        expect(lead.filter(Number.isNaN)).toHaveLength(open)
      }),
    )
  })
})
