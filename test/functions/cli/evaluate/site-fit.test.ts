import { describe, expect, it } from 'vitest'
import type { Scored } from '../../../../functions/cli/evaluate/metrics.ts'
import { fitLine, fitSite, foldsOf } from '../../../../functions/cli/evaluate/site-fit.ts'
import { randomNumbers } from '../../../helpers/corruptions.ts'

/** `n` ECGs, `each` per person, whose true log-odds are `scale` times the bundle's, plus `offset`. */
function cohort({ n = 4000, each = 1, scale = 1, offset = 0, seed = 1 } = {}): Scored {
  const random = randomNumbers(seed)
  const score = Float64Array.from({ length: n }, () => 6 * random() - 4)
  return {
    score,
    truth: Uint8Array.from(score, (z) => (random() < 1 / (1 + Math.exp(-(scale * z + offset))) ? 1 : 0)),
    person: Int32Array.from(score, (_, i) => Math.floor(i / each)),
  }
}

describe('fitLine', () => {
  it.each([
    [0.5, 0],
    [1.6, -2],
    [1, 1],
  ])('recovers scale %f and offset %f', (scale, offset) => {
    const fitted = fitLine(cohort({ n: 40_000, scale, offset }), 'platt')

    expect(fitted.scale).toBeCloseTo(scale, 1)
    expect(fitted.offset).toBeCloseTo(offset, 1)
  })

  it('is finite for perfectly separated classes', () => {
    const score = Float64Array.from({ length: 40 }, (_, i) => (i < 20 ? -10 - i : 10 + i))
    const truth = Uint8Array.from(score, (z) => (z > 0 ? 1 : 0))

    const { scale, offset } = fitLine({ score, truth }, 'platt')

    expect(scale).toBeGreaterThan(0)
    expect(Math.abs(scale) + Math.abs(offset)).toBeLessThan(10)
  })

  it('changes only the scale with temperature scaling', () => {
    const { scale, offset } = fitLine(cohort({ n: 20_000, scale: 0.4 }), 'temperature')

    expect(scale).toBeCloseTo(0.4, 1)
    expect(offset).toBe(0)
  })
})

describe('foldsOf', () => {
  it('keeps all ECGs of a person in one fold, and spreads positives over all folds', () => {
    const data = cohort({ n: 600, each: 3 })

    const folds = foldsOf(data)

    for (const [i, fold] of folds.entries()) expect(fold).toBe(folds[Math.floor(i / 3) * 3])
    for (let fold = 0; fold < 5; fold++) {
      expect(data.truth.filter((truth, i) => truth === 1 && folds[i] === fold).length).toBeGreaterThan(10)
    }
  })
})

describe('fitSite', () => {
  it('leaves a calibrated bundle unchanged', () => {
    const fit = fitSite(cohort({ n: 300 }))

    expect(fit).toMatchObject({ fitted: { method: 'none', scale: 1, offset: 0 } })
  })

  it('corrects another base rate and odds, measured on held-out people', () => {
    const data = cohort({ scale: 0.6, offset: -1.5 })

    const fit = fitSite(data)

    if (!('fitted' in fit)) throw new Error(fit.refused)
    expect(fit.fitted.method).toBe('platt')
    expect(fit.crossValidated.ece).toBeLessThan(0.02)
    expect(fit.logLoss.platt).toBeLessThan(fit.logLoss.temperature)
    expect(fit.fitted.prevalence).toBeCloseTo(data.truth.filter((y) => y === 1).length / data.truth.length, 12)
  })

  it('sets thresholds where the corrected probability reaches them', () => {
    const data = cohort({ scale: 0.6, offset: -1.5 })

    const fit = fitSite(data)

    if (!('fitted' in fit)) throw new Error(fit.refused)
    const { scale, offset, thresholds } = fit.fitted
    const sick = data.score.filter((_, i) => data.truth[i] === 1)
    const found = sick.filter((z) => 1 / (1 + Math.exp(-(scale * z + offset))) >= thresholds.sensitivity90)
    expect(found.length / sick.length).toBeGreaterThanOrEqual(0.9)
    expect(found.length / sick.length).toBeLessThan(0.91)
  })

  it.each([9, 10])('requires ten people with the condition (%i)', (positives) => {
    const score = Float64Array.from({ length: 200 }, (_, i) => (i < positives ? 1 : -1) + (i % 7) / 3)
    const truth = Uint8Array.from(score, (_, i) => (i < positives ? 1 : 0))

    const fit = fitSite({ score, truth, person: Int32Array.from(score.keys()) })

    if (positives < 10) expect(fit).toEqual({ refused: 'too-few-positives', people: 9 })
    else expect(fit).toHaveProperty('fitted')
  })

  it('counts people, not ECGs, for the minimum', () => {
    const data = cohort({ n: 200, each: 25 })

    expect(fitSite(data)).toMatchObject({ refused: 'too-few-positives' })
  })

  it('refuses a cohort without negatives', () => {
    const data = cohort({ n: 50 })

    expect(fitSite({ ...data, truth: data.truth.fill(1) })).toEqual({ refused: 'too-few-negatives', people: 0 })
  })

  it('refuses a bundle that ranks in reverse', () => {
    expect(fitSite(cohort({ scale: -1 }))).toMatchObject({ refused: 'ranks-backwards' })
  })
})
