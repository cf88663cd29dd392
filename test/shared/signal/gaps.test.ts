import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bridgeGaps } from '../../../shared/signal/gaps.ts'

const NONE = Number.NaN

describe('bridgeGaps', () => {
  test.each([
    ['a lead without a gap', [1, 2, 3], [1, 2, 3], 0, 0],
    ['a short gap: a straight line', [1, NONE, NONE, 4], [1, 2, 3, 4], 2, 0],
    ['two gaps: each separately', [0, NONE, 2, NONE, 6], [0, 1, 2, 4, 6], 2, 0],
    ['a gap at the beginning: the first sample', [NONE, NONE, 5, 6], [5, 5, 5, 6], 2, 0],
    ['a gap at the end: the last sample', [5, 6, NONE], [5, 6, 6], 1, 0],
    ['a long gap: left open', [1, NONE, NONE, NONE, 4], [1, NONE, NONE, NONE, 4], 0, 3],
    ['a lead of nothing but a gap: left open', [NONE, NONE], [NONE, NONE], 0, 2],
    ['a lead without samples: nothing', [], [], 0, 0],
  ])('handles %s', (_, samples, expected, bridged, open) => {
    const lead = Float64Array.from(samples)

    const gaps = bridgeGaps(lead, 2)

    expect([...lead]).toEqual(expected)
    expect(gaps).toEqual({ bridged, open })
  })

  test('never changes an existing sample, and accounts for every missing one', () => {
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
