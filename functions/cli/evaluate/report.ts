/**
 * The figures of `report.json`: how a bundle performs on a cohort. Contains counts and names of conditions, never a file or a person.
 * @module
 */
import { CONDITION_NAMES, type ConditionId } from '../../../shared/domain/conditions.ts'
import { logit } from '../../../shared/domain/prevalence.ts'
import { type Evidence, NOTICE } from '../../../shared/domain/result.ts'
import type { Bundle, Manifest } from '../../../shared/inference/bundle.ts'
import {
  type Correction,
  correctedProbability,
  correctionFor,
  type Site,
  type SiteCalibration,
  thresholdFor,
} from '../../../shared/inference/site-calibration.ts'
import type { Cohort } from './cohort.ts'
import {
  accuracy,
  type CalibrationFigures,
  calibrationOf,
  type Interval,
  peopleByTruth,
  type RocPoint,
  rocCurve,
  type Scored,
} from './metrics.ts'
import type { RowOutcome } from './screening.ts'
import { fitSite, LEAST_PEOPLE, type SiteFit } from './site-fit.ts'

/** Number of labelled ECGs, of positive ones, and of people in each group. */
export interface Counts {
  readonly n: number
  readonly positives: number
  readonly people: number
  readonly positivePeople: number
}

export interface Subgroup extends Counts {
  readonly name: string
  /** Absent when one class has fewer than ten people. */
  readonly auroc?: Interval
  readonly sensitivity?: Interval
  readonly specificity?: Interval
}

export interface ConditionReport extends Counts {
  readonly id: ConditionId
  readonly name: string
  readonly evidence: Evidence
  /** AUROC in the bundle's manifest. */
  readonly published: Manifest['conditions'][number]['auroc']
  /** Labelled ECGs that were refused or could not be read, and how many of them are positive. */
  readonly unscreened: { readonly n: number; readonly positives: number }
  readonly operatingPoint: Manifest['conditions'][number]['operatingPoint']
  /** Absent when the cohort has only one class. */
  readonly figures?: {
    readonly auroc: Interval
    readonly thresholds: Readonly<
      Record<'youden' | 'sensitivity90', { threshold: number; sensitivity: Interval; specificity: Interval }>
    >
    /** At the limits by sex and age, where the bundle has them and the site has no thresholds of its own. */
    readonly limits?: { readonly sensitivity: Interval; readonly specificity: Interval }
    readonly calibration: CalibrationFigures
    readonly roc: readonly RocPoint[]
  }
  readonly subgroups: readonly Subgroup[]
  readonly site: SiteFit
}

export interface Report {
  readonly schema: 1
  readonly cohort: {
    readonly ecgs: number
    readonly people: number
    readonly screened: number
    /** Reason (of the quality gate) or error code → number of ECGs. */
    readonly refused: Readonly<Record<string, number>>
    readonly failed: Readonly<Record<string, number>>
  }
  readonly modelBundle: string
  readonly modelSha256: string
  /** SHA-256 of the site calibration that was in effect, if any. */
  readonly site?: string
  readonly profile: string
  readonly codeVersion: string
  readonly conditions: readonly ConditionReport[]
  readonly notice: string
}

const AGES = [
  { name: 'under 50', from: 0, below: 50 },
  { name: '50 to 64', from: 50, below: 65 },
  { name: '65 to 79', from: 65, below: 80 },
  { name: '80 and over', from: 80, below: Number.POSITIVE_INFINITY },
]

interface Screened {
  readonly logOdds: number
  readonly probability: number
  /** Log-odds relative to the threshold for this person. */
  readonly above: number
  readonly truth: boolean
  readonly person: number
  readonly sex: 'male' | 'female' | undefined
  readonly ageYears: number | undefined
}

/** Figures of every condition with a column in the cohort, as the bundle and the site calibration in effect serve them. */
export function reportOf(
  cohort: Cohort,
  outcomes: readonly RowOutcome[],
  bundle: Bundle,
  site: Site | undefined,
  codeVersion: string,
): Report {
  const { manifest, sha256 } = bundle
  const tally = (status: 'refused' | 'failed') => {
    const counts: Record<string, number> = {}
    for (const outcome of outcomes) {
      if (outcome.status === status) counts[outcome.reason] = (counts[outcome.reason] ?? 0) + 1
    }
    return counts
  }
  return {
    schema: 1,
    cohort: {
      ecgs: cohort.rows.length,
      people: cohort.people,
      screened: outcomes.filter(({ status }) => status === 'screened').length,
      refused: tally('refused'),
      failed: tally('failed'),
    },
    modelBundle: `${manifest.name}@${manifest.version}`,
    modelSha256: sha256,
    ...(site === undefined ? {} : { site: site.sha256 }),
    profile: manifest.profile,
    codeVersion,
    conditions: manifest.conditions.flatMap((condition, index) =>
      cohort.conditions.includes(condition.id) ? [conditionReport(condition, index, outcomes, bundle, site)] : [],
    ),
    notice: NOTICE,
  }
}

function conditionReport(
  condition: Manifest['conditions'][number],
  index: number,
  outcomes: readonly RowOutcome[],
  bundle: Bundle,
  site: Site | undefined,
): ConditionReport {
  const { id, evidence, operatingPoint } = condition
  const correction = correctionFor(bundle, site, index)
  const labelled = outcomes.filter(({ row }) => row.labels[id] !== undefined)
  const screened = labelled.flatMap((outcome): Screened[] => {
    if (outcome.status !== 'screened') return []
    const logOdds = outcome.logOdds[index]!
    const { row, about, blocks } = outcome
    const probability = correctedProbability(correction, logOdds)
    const { threshold } = thresholdFor(operatingPoint, correction, about, blocks)
    return [
      {
        logOdds,
        probability,
        above: logit(probability) - logit(threshold),
        truth: row.labels[id] === true,
        person: row.person,
        sex: about.sex,
        ageYears: about.ageYears,
      },
    ]
  })
  const lost = labelled.filter(({ status }) => status !== 'screened')
  const served = scoredBy(screened, ({ probability }) => probability)
  const { positive, negative } = peopleByTruth(served)
  return {
    id,
    name: CONDITION_NAMES.get(id) ?? id,
    evidence,
    published: condition.auroc,
    ...countsOf(served),
    unscreened: { n: lost.length, positives: lost.filter(({ row }) => row.labels[id] === true).length },
    operatingPoint,
    ...(positive > 0 && negative > 0 ? { figures: figuresOf(screened, correction) } : {}),
    subgroups: subgroupsOf(screened),
    site: fitSite(scoredBy(screened, ({ logOdds }) => logOdds)),
  }
}

function figuresOf(screened: readonly Screened[], { thresholds, limits }: Correction) {
  const served = scoredBy(screened, ({ probability }) => probability)
  const { auroc, points } = accuracy(served, [thresholds.youden, thresholds.sensitivity90])
  return {
    auroc,
    thresholds: {
      youden: { threshold: thresholds.youden, ...points[0]! },
      sensitivity90: { threshold: thresholds.sensitivity90, ...points[1]! },
    },
    ...(limits === undefined ? {} : { limits: atOwnThreshold(screened) }),
    calibration: calibrationOf(served.score, served.truth),
    roc: rocCurve(served),
  }
}

/** Sensitivity and specificity with each person at their own threshold. */
function atOwnThreshold(screened: readonly Screened[]) {
  return accuracy(
    scoredBy(screened, ({ above }) => above),
    [0],
  ).points[0]!
}

function subgroupsOf(screened: readonly Screened[]): Subgroup[] {
  const groups = [
    ...(['female', 'male'] as const).map((sex) => ({ name: sex, has: (each: Screened) => each.sex === sex })),
    ...AGES.map(({ name, from, below }) => ({
      name,
      has: ({ ageYears }: Screened) => ageYears !== undefined && ageYears >= from && ageYears < below,
    })),
  ]
  return groups.flatMap(({ name, has }) => {
    const some = screened.filter(has)
    const scored = scoredBy(some, ({ probability }) => probability)
    if (scored.score.length === 0) return []
    const { positive, negative } = peopleByTruth(scored)
    if (Math.min(positive, negative) < LEAST_PEOPLE) return [{ name, ...countsOf(scored) }]
    return [{ name, ...countsOf(scored), auroc: accuracy(scored, []).auroc, ...atOwnThreshold(some) }]
  })
}

function scoredBy(screened: readonly Screened[], score: (each: Screened) => number): Scored {
  return {
    score: Float64Array.from(screened, score),
    truth: Uint8Array.from(screened, ({ truth }) => (truth ? 1 : 0)),
    person: Int32Array.from(screened, ({ person }) => person),
  }
}

function countsOf(scored: Scored): Counts {
  return {
    n: scored.truth.length,
    positives: scored.truth.reduce((sum, value) => sum + value, 0),
    people: new Set(scored.person).size,
    positivePeople: peopleByTruth(scored).positive,
  }
}

/** The site calibration that the cohort supports; `undefined` when nothing could be fitted. */
export function siteOf({ modelBundle, modelSha256, conditions }: Report): SiteCalibration | undefined {
  const fitted = conditions.flatMap(({ id, people, positivePeople, site }) =>
    'fitted' in site ? [{ id, n: people, positives: positivePeople, fitted: site.fitted }] : [],
  )
  return fitted.length === 0 ? undefined : { schema: 1, modelBundle, modelSha256, conditions: fitted }
}
