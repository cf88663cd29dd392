/**
 * Site calibration: what a site has measured about a bundle on its own people, or states about them (calibration, thresholds, base rates).
 *
 * The correction is linear in log-odds, after the bundle's own calibration: `corrected = scale · bundle + offset`. A stated base rate adds
 * `logit(stated) − logit(base rate that was learned from)` (a prior shift: Saerens et al. 2002, Neural Computation 14:21-41, for two
 * classes). It keeps the order of people, so a threshold that is moved by the same shift keeps its sensitivity and specificity.
 * @module
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import * as z from 'zod'
import type { BlockId } from '../domain/bundle-branch-blocks.ts'
import { CONDITION_IDS, type ConditionId } from '../domain/conditions.ts'
import { logit, predictiveValues, priorShift, shifted, sigmoid } from '../domain/prevalence.ts'
import type { Person } from '../domain/recording.ts'
import type { PredictiveValue } from '../domain/result.ts'
import { CodedError } from '../errors.ts'
import type { Bundle, Manifest } from './bundle.ts'
import { type Limits, limitIn, mapLimits, type Threshold } from './limits.ts'

/** File name in `evaluate --out`, in `.local` and in the screening Lambda's model folder. */
export const SITE_FILE = 'site-calibration.json'

const Share = z.number().gt(0).lt(1)

const SiteCondition = z.object({
  id: z.enum(CONDITION_IDS),
  /** People of the site's cohort with a known label and a screened ECG, and how many of them have the condition. */
  n: z.int().nonnegative(),
  positives: z.int().nonnegative(),
  /** Absent where the cohort is too small or has no labels for this condition. */
  fitted: z
    .object({
      method: z.enum(['none', 'temperature', 'platt']),
      /** Applied to the bundle's log-odds: scale · log-odds + offset. */
      scale: z.number().positive(),
      offset: z.number(),
      /** Share of the cohort's ECGs with the condition. */
      prevalence: Share,
      /** Probabilities after scale and offset, before `prevalence` below. */
      thresholds: z.object({ youden: Share, sensitivity90: Share }),
    })
    .optional(),
  /** Base rate that the site states for the people whom it screens. */
  prevalence: Share.optional(),
})

export const SiteCalibration = z.object({
  schema: z.literal(1),
  modelBundle: z.string(),
  /** SHA-256 of the only bundle that this calibration is valid for. */
  modelSha256: z.hex().length(64),
  conditions: z.array(SiteCondition),
})
export type SiteCalibration = z.infer<typeof SiteCalibration>

/** Stated base rates by condition. */
export type Prevalences = Readonly<Partial<Record<ConditionId, number>>>

/** A site calibration in effect. */
export interface Site {
  readonly calibration: SiteCalibration
  /** Text of the file. */
  readonly text: string
  /** SHA-256 of `text`, recorded in the provenance of every result that it corrects. */
  readonly sha256: string
  /** One per condition, in the manifest's order. */
  readonly corrections: readonly Correction[]
}

/** How the log-odds and thresholds of one condition change. */
export interface Correction {
  readonly scale: number
  readonly offset: number
  /** On the corrected probability. */
  readonly thresholds: Manifest['conditions'][number]['thresholds']
  /** On the corrected probability. Absent where the site has its own thresholds, or where the bundle has no limits. */
  readonly limits?: Limits
  /** At the site's stated prevalence. Absent where the site has fitted its own thresholds, whose sensitivity is unknown. */
  readonly predictiveValue?: PredictiveValue
}

/** Serialises a site calibration for its file. */
export function siteText(calibration: SiteCalibration): string {
  return `${JSON.stringify(calibration, null, 2)}\n`
}

/**
 * Reads a site calibration for a bundle.
 * @throws CodedError `calibration-missing`, `calibration-corrupt`, `calibration-mismatch` (made for another bundle), `prevalence-unknown`
 */
export async function readSite(path: string, bundle: Bundle): Promise<Site> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new CodedError('calibration-missing', { field: 'site' }, { cause })
  })
  return parseSite(text, bundle)
}

/**
 * Parses a site calibration for a bundle.
 * @throws CodedError `calibration-corrupt`, `calibration-mismatch` (made for another bundle), `prevalence-unknown`
 */
export function parseSite(text: string, bundle: Bundle): Site {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw new CodedError('calibration-corrupt', { field: 'site' })
  }
  const parsed = SiteCalibration.safeParse(json)
  if (!parsed.success) {
    throw new CodedError('calibration-corrupt', { field: `site:${parsed.error.issues[0]!.path.join('.')}` })
  }
  const calibration = parsed.data
  if (calibration.modelSha256 !== bundle.sha256) throw new CodedError('calibration-mismatch', { field: 'modelSha256' })
  const ids = calibration.conditions.map(({ id }) => id)
  if (new Set(ids).size < ids.length) throw new CodedError('calibration-corrupt', { field: 'site:conditions' })
  return {
    calibration,
    text,
    sha256: createHash('sha256').update(text).digest('hex'),
    corrections: bundle.manifest.conditions.map((condition) =>
      correctionOf(
        condition,
        calibration.conditions.find(({ id }) => id === condition.id),
      ),
    ),
  }
}

/**
 * Adds stated base rates to a site's calibration, or makes a calibration with nothing else.
 * @throws CodedError `prevalence-unknown` for a condition without a base rate to correct from
 */
export function withPrevalences(bundle: Bundle, prevalences: Prevalences, site?: Site): Site {
  const before = site?.calibration.conditions ?? []
  const conditions = CONDITION_IDS.flatMap((id) => {
    const known = before.find((condition) => condition.id === id)
    const prevalence = prevalences[id]
    if (prevalence === undefined) return known === undefined ? [] : [known]
    return [{ id, n: 0, positives: 0, ...known, prevalence }]
  })
  const { name, version } = bundle.manifest
  return parseSite(
    siteText({ schema: 1, modelBundle: `${name}@${version}`, modelSha256: bundle.sha256, conditions }),
    bundle,
  )
}

/** @throws CodedError `prevalence-unknown` when the base rate of the calibration data is unknown */
function correctionOf(
  condition: Manifest['conditions'][number],
  stated: SiteCalibration['conditions'][number] | undefined,
): Correction {
  const { scale, offset, thresholds, limits }: Correction = stated?.fitted ?? uncorrected(condition)
  if (stated?.prevalence === undefined) return { scale, offset, thresholds, ...(limits && { limits }) }
  const learned = stated.fitted?.prevalence ?? condition.prevalence
  if (learned === undefined) throw new CodedError('prevalence-unknown', { condition: condition.id })
  const shift = priorShift(stated.prevalence, learned)
  const moved = (threshold: number) => roundDown(shifted(threshold, shift))
  return {
    scale,
    offset: offset + shift,
    thresholds: { youden: moved(thresholds.youden), sensitivity90: moved(thresholds.sensitivity90) },
    ...(limits && { limits: mapLimits(limits, moved) }),
    ...(stated.fitted === undefined ? predictiveValueOf(condition, stated.prevalence) : {}),
  }
}

function predictiveValueOf(
  { operating }: Manifest['conditions'][number],
  prevalence: number,
): Pick<Correction, 'predictiveValue'> {
  const values = operating && predictiveValues(prevalence, operating)
  if (values === undefined) return {}
  return { predictiveValue: { prevalence, positive: round(values.positive), negative: round(values.negative) } }
}

const uncorrected = ({ thresholds, limits }: Manifest['conditions'][number]): Correction => ({
  scale: 1,
  offset: 0,
  thresholds,
  ...(limits && { limits }),
})

/** Rounds to four significant digits: more than the model's precision, few enough to hide differences in the last bit. */
export const round = (value: number) => Number(value.toPrecision(4))

/** Rounds a threshold to four significant digits, so that every value that reaches it before rounding also reaches it after. */
export function roundDown(threshold: number): number {
  const rounded = round(threshold)
  return rounded <= threshold ? rounded : round(rounded - 10 ** (Math.floor(Math.log10(threshold)) - 3))
}

/** The probability that a finding states. */
export function correctedProbability({ scale, offset }: Correction, logOdds: number): number {
  return round(sigmoid(scale * logOdds + offset))
}

/** The correction of a condition: the site's, otherwise none. */
export function correctionFor(bundle: Bundle, site: Site | undefined, index: number): Correction {
  return site?.corrections[index] ?? uncorrected(bundle.manifest.conditions[index]!)
}

/**
 * The threshold for this person and an ECG that shows these blocks. A site's own thresholds take precedence over the bundle's limits by sex,
 * age and block.
 */
export function thresholdFor(
  operatingPoint: Manifest['conditions'][number]['operatingPoint'],
  { thresholds, limits }: Correction,
  person: Person,
  blocks: readonly BlockId[],
): Threshold {
  if (operatingPoint !== 'limits') return { threshold: thresholds[operatingPoint] }
  return limits === undefined ? { threshold: thresholds.youden } : limitIn(limits, person, blocks)
}

/** Whether a probability lies within this many log-odds of a threshold. */
export function isBorderline(probability: number, threshold: number, withinLogOdds: number | undefined): boolean {
  return withinLogOdds !== undefined && Math.abs(logit(probability) - logit(threshold)) <= withinLogOdds
}
