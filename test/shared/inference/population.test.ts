import { beforeAll, describe, expect, it } from 'vitest'
import type { Result } from '../../../shared/domain/result.ts'
import { SHIPPED_BUNDLE } from '../../../shared/inference/active-bundle.ts'
import { type Bundle, readBundle } from '../../../shared/inference/bundle.ts'
import {
  isCounted,
  Population,
  parseReference,
  type Reference,
  readReference,
  referenceOf,
} from '../../../shared/inference/population.ts'
import { parseSite, siteText } from '../../../shared/inference/site-calibration.ts'
import { makeRefusal, makeResult } from '../../helpers/results.ts'

let bundle: Bundle
let shipped: Reference

beforeAll(async () => {
  bundle = await readBundle(SHIPPED_BUNDLE, 'cardiacnets-v1')
  shipped = (await readReference(SHIPPED_BUNDLE, bundle))!
})

/** A result whose scores are all `probability`. */
const scored = (probability: number): Result =>
  makeResult({ findings: makeResult().findings.map((finding) => ({ ...finding, probability })) })

/** Evenly from 0 to 1: the edges are then the tenths. */
const evenly = (n: number) => Array.from({ length: n }, (_, i) => scored((i + 0.5) / n))

function countsOf(population: Population, results: readonly Result[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const bin of results.flatMap((result) => population.binsOf(result))) counts[bin] = (counts[bin] ?? 0) + 1
  return counts
}

describe('the drift reference of the shipped bundle', () => {
  it('has ten rising bins per condition', () => {
    expect(shipped.dataset).toContain('PTB-XL fold 8')
    for (const { id } of bundle.manifest.conditions) {
      const edges = shipped.scores[id]!
      expect(edges).toEqual([...edges].sort((a, b) => a - b))
    }
  })

  it('is refused for a bundle with other scores', () => {
    const text = JSON.stringify({ ...shipped, scoresSha256: 'f'.repeat(64) })

    expect(() => parseReference(text, bundle)).toThrow('calibration-mismatch')
    expect(() => parseReference('{', bundle)).toThrow('calibration-corrupt')
  })
})

describe('Population', () => {
  it('reports no shift when it matches its reference', () => {
    const reference = referenceOf(bundle, 'made up', evenly(1000))
    const population = new Population(reference, bundle, undefined)

    const { scores, quality } = population.shifts(countsOf(population, evenly(500)))

    expect(reference.scores.cad!.map((edge) => Math.round(edge * 100) / 100)).toEqual([
      0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9,
    ])
    expect(scores.map(([id]) => id)).toEqual(['cad', 'cm', 'pericarditis', 'hf', 'ph'])
    for (const [, shift] of scores) expect(shift).toBeLessThan(0.001)
    expect(quality).toBe(0)
  })

  it('reports the shift that the formula gives when half of it is in two bins', () => {
    const population = new Population(referenceOf(bundle, 'made up', evenly(1000)), bundle, undefined)
    const results = [...evenly(250), ...Array.from({ length: 250 }, (_, i) => scored(i % 2 === 0 ? 0.05 : 0.95))]

    const { scores } = population.shifts(countsOf(population, results))

    // Eight bins hold .05 instead of .1, two hold .3.
    const psi = 8 * (0.05 - 0.1) * Math.log(0.5) + 2 * (0.3 - 0.1) * Math.log(3)
    for (const [, shift] of scores) expect(shift).toBeCloseTo(psi, 2)
  })

  it('uses the same bins after a site correction, which keeps the order', () => {
    const fitted = { method: 'platt', scale: 0.5, offset: -1, prevalence: 0.2 } as const
    const thresholds = { youden: 0.2, sensitivity90: 0.1 }
    const conditions = [{ id: 'cad' as const, n: 50, positives: 10, fitted: { ...fitted, thresholds } }]
    const site = parseSite(siteText({ schema: 1, modelBundle: 'b@1', modelSha256: bundle.sha256, conditions }), bundle)
    const reference = referenceOf(bundle, 'made up', evenly(1000))
    const corrected = (p: number) => 1 / (1 + Math.exp(-(0.5 * Math.log(p / (1 - p)) - 1)))

    const plain = new Population(reference, bundle, undefined).binsOf(scored(0.34))
    const moved = new Population(reference, bundle, site).binsOf(scored(corrected(0.34)))

    expect(plain).toContain('cad_3')
    expect(moved).toContain('cad_3')
  })

  it('counts a refused ECG by its reason only, and reports no shift of too few scores', () => {
    const population = new Population(shipped, bundle, undefined)

    const bins = population.binsOf(makeRefusal())
    const { scores, quality } = population.shifts({ quality_flat: 250, quality_acceptable: 250 })

    expect(bins).toEqual(['quality_flat'])
    expect(scores).toEqual([])
    expect(quality).toBeGreaterThan(1)
  })

  it('counts each uploaded ECG, and the first window per day of a live session', () => {
    const live = { kind: 'mqtt', device: 'd1', session: 's1' } as const
    const counted = (seconds: number) => isCounted(live, seconds * 500, 500)

    expect([0, 10, 86_390, 86_400, 86_410].map(counted)).toEqual([true, false, false, true, false])
    expect(isCounted({ kind: 'upload' }, 12_345, 500)).toBe(true)
  })
})
