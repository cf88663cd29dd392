import { join, resolve } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { logit, sigmoid } from '../../../shared/domain/prevalence.ts'
import { SHIPPED_BUNDLE } from '../../../shared/inference/active-bundle.ts'
import { type Bundle, Manifest, readBundle } from '../../../shared/inference/bundle.ts'
import { type Limits, limitFor, limitIn, mapLimits } from '../../../shared/inference/limits.ts'
import { Screener } from '../../../shared/inference/screener.ts'
import {
  correctionFor,
  isBorderline,
  thresholdFor,
  withPrevalences,
} from '../../../shared/inference/site-calibration.ts'
import { CARDIACNETS_V1 } from '../../../shared/signal/profile.ts'
import { WindowPreparer } from '../../../shared/signal/window-preparer.ts'
import { readRecording } from '../../../streams/formats/index.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'

const LIMITS: Limits = {
  dataset: 'made up',
  falseAlarms: 0.025,
  bands: [
    { sex: 'male', fromAge: 0, belowAge: 50, n: 120, threshold: 0.6 },
    { sex: 'female', fromAge: 0, belowAge: 50, n: 110, threshold: 0.2 },
    { fromAge: 50, belowAge: 200, n: 300, threshold: 0.4 },
  ],
  otherwise: 0.5,
}
const CM = 1
const SAMPLES = resolve(import.meta.dirname, '../../fixtures/samples')

let bundle: Bundle

beforeAll(async () => {
  const shipped = await readBundle(SHIPPED_BUNDLE, CARDIACNETS_V1.name)
  const conditions = shipped.manifest.conditions.map((condition) => ({
    ...condition,
    operatingPoint: 'limits' as const,
    limits: LIMITS,
    borderlineLogOdds: 0.5,
    prevalence: 0.1,
  }))
  bundle = { ...shipped, manifest: { ...shipped.manifest, conditions } }
})

describe('thresholds by sex and age', () => {
  it.each([
    [{ sex: 'male', ageYears: 30 }, 0.6],
    [{ sex: 'female', ageYears: 49.9 }, 0.2],
    [{ sex: 'female', ageYears: 50 }, 0.4],
    [{ sex: 'male', ageYears: 95 }, 0.4],
    [{ sex: 'male' }, 0.5],
    [{ ageYears: 60 }, 0.5],
    [{}, 0.5],
  ] as const)('use the first band that matches %j, or the common threshold', (person, expected) => {
    expect(limitFor(LIMITS, person)).toBe(expected)
  })

  it('are stated in the finding as applied to this person', async () => {
    const { clean } = new WindowPreparer(CARDIACNETS_V1).prepare(syntheticRecording())
    const screener = await Screener.load(bundle)

    const [young, old] = await Promise.all(
      [30, 70].map((ageYears) => screener.screen(clean!, { sex: 'male', ageYears })),
    )
    await screener.release()

    expect(young!.findings[CM]!.threshold).toBe(0.6)
    expect(old!.findings[CM]!.threshold).toBe(0.4)
    for (const { probability, threshold, flagged, borderline } of [...young!.findings, ...old!.findings]) {
      expect(flagged).toBe(probability >= threshold)
      expect(borderline).toBe(isBorderline(probability, threshold, 0.5))
    }
  })

  it('shift with the site’s base rate exactly as the probability does', () => {
    const site = withPrevalences(bundle, { cm: 0.01 })
    const shift = logit(0.01) - logit(0.1)

    const correction = correctionFor(bundle, site, CM)

    expect(thresholdFor('limits', correction, { sex: 'male', ageYears: 30 }, []).threshold).toBeCloseTo(
      sigmoid(logit(0.6) + shift),
      3,
    )
    expect(thresholdFor('limits', correction, {}, []).threshold).toBeCloseTo(sigmoid(logit(0.5) + shift), 3)
  })

  it('give way to thresholds that the site fitted', () => {
    const own = { scale: 1, offset: 0, thresholds: { youden: 0.33, sensitivity90: 0.1 } }

    expect(thresholdFor('limits', own, { sex: 'male', ageYears: 30 }, ['rbbb'])).toEqual({ threshold: 0.33 })
  })

  it('are required by a manifest that refers to them', () => {
    const [first, ...others] = bundle.manifest.conditions
    const { limits: _, ...without } = first!

    expect(Manifest.safeParse({ ...bundle.manifest, conditions: [without, ...others] }).success).toBe(false)
    expect(Manifest.safeParse(bundle.manifest).success).toBe(true)
  })
})

describe('thresholds in bundle branch block', () => {
  const limits: Limits = { ...LIMITS, inBlocks: [{ block: 'rbbb', n: 120, falseAlarms: 0.1, threshold: 0.5 }] }
  const woman = { sex: 'female', ageYears: 30 } as const
  const man = { sex: 'male', ageYears: 30 } as const

  it('are raised where the ECG shows the block, and say so', () => {
    expect(limitIn(limits, woman, ['rbbb'])).toEqual({ threshold: 0.5, raisedBy: 'rbbb' })
    expect(limitIn(limits, {}, ['lbbb', 'rbbb'])).toEqual({ threshold: 0.5 })
  })

  it.each([
    ['right-bundle-branch-block', 'ph', 'rbbb'],
    ['left-bundle-branch-block', 'cm', 'lbbb'],
    ['normal', undefined, undefined],
  ] as const)('are raised by the shipped bundle in the sample %s for %s alone', async (sample, condition, block) => {
    const shipped = await readBundle(SHIPPED_BUNDLE, CARDIACNETS_V1.name)
    const recording = await readRecording(join(SAMPLES, `${sample}.hea`))
    const { clean } = new WindowPreparer(CARDIACNETS_V1).prepare(recording)
    const screener = await Screener.load(shipped)

    const { findings } = await screener.screen(clean!, recording.person)
    const { blocks } = await screener.evidence(clean!, recording.person)
    await screener.release()

    const raised = findings.filter(({ raisedBy }) => raisedBy !== undefined)
    expect(raised.map(({ condition, raisedBy }) => [condition, raisedBy])).toEqual(
      condition === undefined ? [] : [[condition, block]],
    )
    expect(blocks).toEqual(block === undefined ? [] : [block])
    for (const { probability, threshold, flagged } of findings) expect(flagged).toBe(probability >= threshold)
  })

  it('are never lowered, and stay where the ECG shows none or another', () => {
    expect(limitIn(limits, man, ['rbbb'])).toEqual({ threshold: 0.6 })
    expect(limitIn(limits, woman, ['lbbb'])).toEqual({ threshold: 0.2 })
    expect(limitIn(limits, woman, [])).toEqual({ threshold: 0.2 })
    expect(limitIn(LIMITS, woman, ['rbbb'])).toEqual({ threshold: 0.2 })
  })

  it('shift with the site’s base rate like the others', () => {
    expect(
      limitIn(
        mapLimits(limits, (threshold) => threshold / 2),
        woman,
        ['rbbb'],
      ),
    ).toEqual({
      threshold: 0.25,
      raisedBy: 'rbbb',
    })
  })
})

describe('isBorderline', () => {
  it('covers both sides of the threshold, and nothing when the bundle gives no distance', () => {
    expect(isBorderline(sigmoid(0.4), 0.5, 0.5)).toBe(true)
    expect(isBorderline(sigmoid(-0.4), 0.5, 0.5)).toBe(true)
    expect(isBorderline(sigmoid(0.6), 0.5, 0.5)).toBe(false)
    expect(isBorderline(0.5, 0.5, undefined)).toBe(false)
  })
})
