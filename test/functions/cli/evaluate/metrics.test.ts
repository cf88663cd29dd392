import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  accuracy,
  auroc,
  calibrationOf,
  operatingThresholds,
  peopleByTruth,
  rocCurve,
  type Scored,
} from '../../../../functions/cli/evaluate/metrics.ts'
import { randomNumbers } from '../../../helpers/corruptions.ts'

function scored(rows: readonly (readonly [score: number, truth: 0 | 1, person?: number])[]): Scored {
  return {
    score: Float64Array.from(rows, ([score]) => score),
    truth: Uint8Array.from(rows, ([, truth]) => truth),
    person: Int32Array.from(rows, ([, , person], i) => person ?? i),
  }
}

/** ECGs with calibrated log-odds: each is positive with its stated probability. */
function honest(n: number, seed: number): Scored {
  const random = randomNumbers(seed)
  return scored(
    Array.from({ length: n }, () => {
      const z = 6 * random() - 4
      return [z, random() < 1 / (1 + Math.exp(-z)) ? 1 : 0] as const
    }),
  )
}

describe('auroc', () => {
  it('is the share of correctly ordered pairs, with ties counted as half', () => {
    const rows = fc.array(fc.tuple(fc.integer({ min: 0, max: 8 }), fc.constantFrom(0 as const, 1 as const)), {
      minLength: 2,
      maxLength: 40,
    })
    fc.assert(
      fc.property(rows, (drawn) => {
        const positive = drawn.filter(([, truth]) => truth === 1)
        const negative = drawn.filter(([, truth]) => truth === 0)
        fc.pre(positive.length > 0 && negative.length > 0)
        const wins = positive.flatMap(([p]) => negative.map(([n]): number => (p > n ? 1 : p === n ? 0.5 : 0)))

        const area = auroc(scored(drawn))

        expect(area).toBeCloseTo(wins.reduce((a, b) => a + b) / wins.length, 12)
      }),
    )
  })
})

describe('operatingThresholds', () => {
  it('returns existing scores: the best Youden index, and the highest with 90% sensitivity', () => {
    const rows = Array.from({ length: 10 }, (_, i) => [i + 10, 1] as const)
    const others = Array.from({ length: 20 }, (_, i) => [i / 3, 0] as const)
    const roc = rocCurve(scored([...rows, [10.5, 0], ...others]))

    expect(operatingThresholds(roc)).toEqual({ youden: 10, sensitivity90: 11 })
  })
})

describe('accuracy', () => {
  it('covers the true value with its 95% interval about as often as stated', () => {
    const truth = auroc(honest(200_000, 1))

    let covered = 0
    for (let seed = 10; seed < 60; seed++) {
      const { ci } = accuracy(honest(150, seed), [0], 200).auroc
      if (ci![0] <= truth && truth <= ci![1]) covered++
    }

    expect(covered).toBeGreaterThanOrEqual(42)
  })

  it('resamples people, not ECGs: repeated ECGs do not narrow the interval', () => {
    const once = honest(120, 3)
    const rows = [...once.score].map((score, i) => [score, once.truth[i] as 0 | 1, i] as const)

    const [single, tenfold] = [scored(rows), scored(Array.from({ length: 10 }, () => rows).flat())].map((each) =>
      accuracy(each, [0]),
    )

    expect(tenfold!.auroc).toEqual(single!.auroc)
    expect(tenfold!.points).toEqual(single!.points)
  })

  it('gives no interval for a single person', () => {
    const { auroc, points } = accuracy(
      scored([
        [2, 1],
        [1, 0],
        [0, 0],
        [3, 1, 0],
      ]),
      [1.5],
    )

    expect(auroc).toEqual({ value: 1, ci: null })
    expect(points[0]!.sensitivity).toEqual({ value: 1, ci: null })
    expect(points[0]!.specificity.ci).not.toBeNull()
  })
})

describe('calibrationOf', () => {
  it('distinguishes calibrated probabilities from doubled log-odds', () => {
    const { score, truth } = honest(20_000, 5)
    const as = (scale: number) =>
      calibrationOf(
        score.map((z) => 1 / (1 + Math.exp(-scale * z))),
        truth,
      )

    const [right, wrong] = [as(1), as(2)]

    expect(right.ece).toBeLessThan(0.015)
    expect(right.bins).toHaveLength(10)
    expect(wrong.ece).toBeGreaterThan(0.05)
    expect(wrong.brier).toBeGreaterThan(right.brier)
    expect(wrong.logLoss).toBeGreaterThan(right.logLoss)
  })

  it('makes fewer bins for few ECGs, and leaves none out', () => {
    const { bins } = calibrationOf(
      Float64Array.from({ length: 37 }, (_, i) => i / 37),
      new Uint8Array(37),
    )

    expect(bins).toHaveLength(3)
    expect(bins.reduce((sum, { n }) => sum + n, 0)).toBe(37)
  })
})

describe('peopleByTruth', () => {
  it('counts a person once per label, however many ECGs', () => {
    expect(
      peopleByTruth(
        scored([
          [1, 1, 7],
          [1, 1, 7],
          [1, 0, 7],
          [1, 0, 8],
        ]),
      ),
    ).toEqual({ positive: 1, negative: 2 })
  })
})
