import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { logit, sigmoid } from '../../../shared/domain/prevalence.ts'
import { chooseBundle, SHIPPED_BUNDLE, siteIn } from '../../../shared/inference/active-bundle.ts'
import { type Bundle, readBundle } from '../../../shared/inference/bundle.ts'
import { Screener } from '../../../shared/inference/screener.ts'
import {
  correctedProbability,
  parseSite,
  readSite,
  roundDown,
  type SiteCalibration,
  siteText,
  withPrevalences,
} from '../../../shared/inference/site-calibration.ts'
import { CARDIACNETS_V1 } from '../../../shared/signal/profile.ts'
import { WindowPreparer } from '../../../shared/signal/window-preparer.ts'
import { codedError } from '../../helpers/errors.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'

const LEARNED = 0.25
const CAD = 0

let shipped: Bundle
/** The shipped bundle as it would be if its manifest stated base rates. */
let bundle: Bundle

beforeAll(async () => {
  shipped = await readBundle(SHIPPED_BUNDLE, CARDIACNETS_V1.name)
  const conditions = shipped.manifest.conditions.map(({ prevalence: _, ...condition }) => condition)
  shipped = { ...shipped, manifest: { ...shipped.manifest, conditions } }
  bundle = {
    ...shipped,
    manifest: {
      ...shipped.manifest,
      conditions: conditions.map((condition) => ({ ...condition, prevalence: LEARNED })),
    },
  }
})

const calibration = (overrides: Partial<SiteCalibration['conditions'][number]> = {}): SiteCalibration => ({
  schema: 1,
  modelBundle: 'cardiacnets-compact@0.1.0',
  modelSha256: bundle.sha256,
  conditions: [
    {
      id: 'cad',
      n: 400,
      positives: 80,
      fitted: {
        method: 'platt',
        scale: 0.8,
        offset: -0.5,
        prevalence: 0.2,
        thresholds: { youden: 0.3, sensitivity90: 0.15 },
      },
      ...overrides,
    },
  ],
})

describe('a site calibration', () => {
  it('corrects the conditions that it names and no others', () => {
    const { corrections } = parseSite(siteText(calibration()), bundle)

    expect(corrections[CAD]).toEqual({
      scale: 0.8,
      offset: -0.5,
      thresholds: { youden: 0.3, sensitivity90: 0.15 },
    })
    expect(corrections[1]).toEqual({
      scale: 1,
      offset: 0,
      thresholds: bundle.manifest.conditions[1]!.thresholds,
      limits: bundle.manifest.conditions[1]!.limits,
    })
  })

  it('gives predictive values at a base rate, from the bundle’s sensitivity and specificity', () => {
    const conditions = bundle.manifest.conditions.map((condition, i) =>
      i === CAD
        ? { ...condition, operating: { sensitivity: 0.8, specificity: 0.9, dataset: 'some people' } }
        : { ...condition, operating: undefined },
    )
    const measured = { ...bundle, manifest: { ...bundle.manifest, conditions } }

    const { corrections } = withPrevalences(measured, { cad: 0.05, cm: 0.05 })

    // Of 1,000 people 50 have it: 40 are flagged, and 95 of the 950 without it.
    expect(corrections[CAD]!.predictiveValue).toEqual({ prevalence: 0.05, positive: 0.2963, negative: 0.9884 })
    expect(corrections[1]!.predictiveValue).toBeUndefined()
  })

  it('gives no predictive values when the site fitted its own thresholds', () => {
    const { corrections } = parseSite(siteText(calibration({ prevalence: 0.05 })), bundle)

    expect(corrections[CAD]!.predictiveValue).toBeUndefined()
  })

  it('shifts log-odds from its cohort’s base rate to the site’s', () => {
    const { corrections } = parseSite(siteText(calibration({ prevalence: 0.05 })), bundle)

    const shift = Math.log(0.05 / 0.95) - Math.log(0.2 / 0.8)
    expect(corrections[CAD]!.scale).toBe(0.8)
    expect(corrections[CAD]!.offset).toBeCloseTo(-0.5 + shift, 12)
    expect(corrections[CAD]!.thresholds.youden).toBeCloseTo(sigmoid(logit(0.3) + shift), 4)
  })

  it.each([
    ['belongs to another bundle', () => ({ ...calibration(), modelSha256: 'a'.repeat(64) }), 'calibration-mismatch'],
    ['reverses the order of scores', () => withScale(-1), 'calibration-corrupt'],
    ['has a condition twice', () => doubled(), 'calibration-corrupt'],
    ['has a newer schema version', () => ({ ...calibration(), schema: 2 }), 'calibration-corrupt'],
  ])('is refused when it %s', (_, draft, code) => {
    const error = codedError(() => parseSite(JSON.stringify(draft()), bundle))

    expect(error.code).toBe(code)
  })

  it('is refused when it is missing or not JSON', async () => {
    expect(codedError(() => parseSite('{', bundle)).code).toBe('calibration-corrupt')
    await expect(readSite('nowhere.json', bundle)).rejects.toMatchObject({ code: 'calibration-missing' })
  })
})

const withScale = (scale: number) => {
  const draft = calibration()
  return { ...draft, conditions: [{ ...draft.conditions[0], fitted: { ...draft.conditions[0]!.fitted, scale } }] }
}

const doubled = () => {
  const draft = calibration()
  return { ...draft, conditions: [draft.conditions[0], draft.conditions[0]] }
}

describe('withPrevalences', () => {
  it('corrects probabilities by the odds form of Bayes’ rule', () => {
    const { corrections } = withPrevalences(bundle, { cad: 0.05 })

    const before = 0.4
    const after = sigmoid(corrections[CAD]!.scale * logit(before) + corrections[CAD]!.offset)
    const positive = (before / LEARNED) * 0.05
    const negative = ((1 - before) / (1 - LEARNED)) * 0.95
    expect(after).toBeCloseTo(positive / (positive + negative), 12)
  })

  it('refuses a bundle that does not state its training base rates', () => {
    const error = codedError(() => withPrevalences(shipped, { hf: 0.05 }))

    expect(error).toMatchObject({ code: 'prevalence-unknown', detail: { condition: 'hf' } })
  })

  it('keeps what a site calibration fitted', () => {
    const fitted = parseSite(siteText(calibration()), bundle)

    const site = withPrevalences(bundle, { cad: 0.1, hf: 0.02 }, fitted)

    expect(site.calibration.conditions.map(({ id, prevalence }) => [id, prevalence])).toEqual([
      ['cad', 0.1],
      ['hf', 0.02],
    ])
    expect(site.calibration.conditions[0]!.fitted).toEqual(calibration().conditions[0]!.fitted)
    expect(site.sha256).not.toBe(fitted.sha256)
  })

  it.each([0.0001, 0.01, 0.2, 0.49, 0.9])('changes no decision at %f', (prevalence) => {
    const { corrections } = withPrevalences(bundle, { cad: prevalence })
    const threshold = bundle.manifest.conditions[CAD]!.thresholds.youden
    const correction = corrections[CAD]!

    for (const logOdds of [-6, -2, logit(threshold) - 0.01, logit(threshold), logit(threshold) + 0.01, 0, 3]) {
      const isFlagged = correctedProbability(correction, logOdds) >= correction.thresholds.youden
      expect([logOdds, isFlagged]).toEqual([logOdds, logOdds >= logit(threshold)])
    }
  })
})

describe('roundDown', () => {
  it.each([
    [0.123449, 0.1234],
    [0.123451, 0.1234],
    [0.00012346789, 0.0001234],
    [0.1, 0.1],
    [0.0999999, 0.09999],
    [0.99999, 0.9999],
  ])('rounds %f to %f', (value, expected) => {
    expect(roundDown(value)).toBe(expected)
  })
})

describe('Screener', () => {
  it('states the corrected probability and threshold', async () => {
    const site = parseSite(siteText(calibration({ prevalence: 0.05 })), bundle)
    const { clean } = new WindowPreparer(CARDIACNETS_V1).prepare(syntheticRecording())
    const plain = await Screener.load(bundle)
    const corrected = await Screener.load(bundle, site)

    const [before, after, { logOdds }] = [
      await plain.screen(clean!),
      await corrected.screen(clean!),
      await corrected.evidence(clean!),
    ]

    const { scale, offset, thresholds } = site.corrections[CAD]!
    expect(before.findings[CAD]!.probability).toBeCloseTo(sigmoid(logOdds[CAD]!), 3)
    expect(after.findings[CAD]!.probability).toBeCloseTo(sigmoid(scale * logOdds[CAD]! + offset), 4)
    expect(after.findings[CAD]!.threshold).toBe(thresholds.youden)
    expect(after.findings.slice(1)).toEqual(before.findings.slice(1))
    expect(after.indices).toEqual(before.indices)
    await Promise.all([plain.release(), corrected.release()])
  })
})

describe('chooseBundle', () => {
  it('keeps the site calibration byte for byte, and drops it with the next bundle', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'cardiacnets-choice-'))
    const path = join(folder, 'mine.json')
    const text = JSON.stringify(calibration())
    await writeFile(path, text)

    await chooseBundle(SHIPPED_BUNDLE, await readSite(path, bundle), folder)
    const kept = await readFile(siteIn(folder)!, 'utf8')
    await chooseBundle(SHIPPED_BUNDLE, undefined, folder)
    const forgotten = siteIn(folder)

    expect(kept).toBe(text)
    expect(forgotten).toBeUndefined()
    await rm(folder, { recursive: true })
  })
})
