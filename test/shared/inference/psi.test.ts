import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { populationStability } from '../../../shared/inference/psi.ts'

describe('populationStability', () => {
  it.each([
    // (a − e)·ln(a/e), bin by bin.
    [[50, 50], [60, 40], 0.1 * Math.log(0.6 / 0.5) - 0.1 * Math.log(0.4 / 0.5)],
    [[1, 1, 1, 1], [1, 1, 1, 1], 0],
    [[1, 3], [3, 1], 0.5 * Math.log(3) * 2],
    [[0.2, 0.3, 0.5], [0.5, 0.3, 0.2], 2 * 0.3 * Math.log(2.5)],
  ])('for %j and %j is %d', (expected, actual, psi) => {
    expect(populationStability(expected, actual)).toBeCloseTo(psi, 12)
  })

  it('counts an empty bin as half a percent', () => {
    const psi = populationStability([50, 50], [100, 0])

    expect(psi).toBeCloseTo(0.5 * Math.log(1 / 0.5) + (0.005 - 0.5) * Math.log(0.005 / 0.5), 12)
  })

  const counts = fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 10, maxLength: 10 })

  it('is never negative, symmetric, and 0 for equal shares', () => {
    fc.assert(
      fc.property(counts, counts, (a, b) => {
        expect(populationStability(a, b)).toBeGreaterThanOrEqual(0)
        expect(populationStability(a, b)).toBeCloseTo(populationStability(b, a), 9)
        expect(
          populationStability(
            a,
            a.map((count) => 3 * count),
          ),
        ).toBeCloseTo(0, 12)
      }),
    )
  })

  it('averages (B − 1)/n over samples of 500 from equal bins', () => {
    let state = 1
    // Its own generator (Lehmer), so that the test is deterministic.
    const random = () => {
      state = (state * 48_271) % 2_147_483_647
      return state / 2_147_483_647
    }
    const equal = Array<number>(10).fill(1)
    const rounds = 400
    let sum = 0
    let most = 0
    for (let round = 0; round < rounds; round++) {
      const drawn = Array<number>(10).fill(0)
      for (let i = 0; i < 500; i++) drawn[Math.floor(random() * 10)]!++
      const psi = populationStability(equal, drawn)
      sum += psi
      most = Math.max(most, psi)
    }

    expect(sum / rounds).toBeCloseTo(9 / 500, 2)
    expect(most).toBeLessThan(0.08)
  })
})
