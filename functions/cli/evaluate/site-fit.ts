/**
 * Fits a bundle's probabilities to the people of a site.
 * @module
 */
import { createHash } from 'node:crypto'
import { sigmoid } from '../../../shared/domain/prevalence.ts'
import { roundDown, type SiteCalibration } from '../../../shared/inference/site-calibration.ts'
import {
  type CalibrationFigures,
  calibrationOf,
  operatingThresholds,
  peopleByTruth,
  rocCurve,
  type Scored,
} from './metrics.ts'

/** Fewest people with the condition, and without it, for a fit. */
export const LEAST_PEOPLE = 10

const FOLDS = 5

/** From the simplest to the most flexible. */
const METHODS = ['none', 'temperature', 'platt'] as const
type Method = (typeof METHODS)[number]

type Fitted = NonNullable<SiteCalibration['conditions'][number]['fitted']>

export type SiteFit =
  | { readonly refused: 'too-few-positives' | 'too-few-negatives' | 'ranks-backwards'; readonly people: number }
  | {
      readonly fitted: Fitted
      /** On people who were not in the fit. */
      readonly crossValidated: CalibrationFigures
      /** Mean cross-validated log loss of each method; the lowest was chosen. */
      readonly logLoss: Readonly<Record<Method, number>>
    }

/**
 * Chooses among none, temperature and Platt scaling by the log loss on left-out people, then fits the chosen method to all. Thresholds
 * depend only on the order of the scores, so they are as good here as they can appear.
 * @param scored the bundle's own log-odds
 */
export function fitSite(scored: Scored): SiteFit {
  const { positive, negative } = peopleByTruth(scored)
  if (positive < LEAST_PEOPLE) return { refused: 'too-few-positives', people: positive }
  if (negative < LEAST_PEOPLE) return { refused: 'too-few-negatives', people: negative }
  const whole = fitLine(scored, 'platt')
  // The condition is more likely here where the bundle's score is lower; rescaling cannot correct that.
  if (whole.scale <= 0) return { refused: 'ranks-backwards', people: positive }

  const folds = foldsOf(scored)
  const tried = METHODS.map((method) => {
    const probability = new Float64Array(scored.score.length)
    let isForward = true
    for (let fold = 0; fold < FOLDS; fold++) {
      const { scale, offset } = fitLine(
        pick(scored, (i) => folds[i] !== fold),
        method,
      )
      isForward &&= scale > 0
      for (const [i, score] of scored.score.entries()) {
        if (folds[i] === fold) probability[i] = sigmoid(scale * score + offset)
      }
    }
    const figures = calibrationOf(probability, scored.truth)
    return { method, figures, loss: isForward ? figures.logLoss : Number.POSITIVE_INFINITY }
  })
  const best = tried.reduce((kept, next) => (next.loss < kept.loss ? next : kept))
  const { scale, offset } = fitLine(scored, best.method)
  const thresholds = operatingThresholds(rocCurve(scored))
  const asProbability = (score: number) => roundDown(sigmoid(scale * score + offset))
  return {
    fitted: {
      method: best.method,
      scale,
      offset,
      prevalence: scored.truth.reduce((sum, value) => sum + value, 0) / scored.truth.length,
      thresholds: { youden: asProbability(thresholds.youden), sensitivity90: asProbability(thresholds.sensitivity90) },
    },
    crossValidated: best.figures,
    logLoss: {
      none: tried[0]!.figures.logLoss,
      temperature: tried[1]!.figures.logLoss,
      platt: tried[2]!.figures.logLoss,
    },
  }
}

/** Fold of each ECG. All ECGs of a person are in one fold, and every fold has its share of people with the condition. */
export function foldsOf({ truth, person }: Scored): Uint8Array {
  const isPositive = new Map<number, boolean>()
  for (const [i, id] of person.entries()) isPositive.set(id, truth[i] === 1 || isPositive.get(id) === true)
  const shuffled = [...isPositive.keys()]
    .map((id) => ({ id, key: createHash('sha256').update(String(id)).digest('hex') }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
  const fold = new Map<number, number>()
  for (const wanted of [true, false]) {
    const some = shuffled.filter(({ id }) => isPositive.get(id) === wanted)
    for (const [place, { id }] of some.entries()) fold.set(id, place % FOLDS)
  }
  return Uint8Array.from(person, (id) => fold.get(id)!)
}

function pick({ score, truth, person }: Scored, keep: (i: number) => boolean): Scored {
  return {
    score: score.filter((_, i) => keep(i)),
    truth: truth.filter((_, i) => keep(i)),
    person: person.filter((_, i) => keep(i)),
  }
}

/**
 * Scale and offset of least cross-entropy, by Newton's method with backtracking (Lin, Lin & Weng 2007, Machine Learning 68:267-276). The
 * targets are Platt's (1999), slightly inside 0 and 1, so that perfectly separated classes also have a finite solution.
 */
export function fitLine(
  { score, truth }: Pick<Scored, 'score' | 'truth'>,
  method: Method,
): { scale: number; offset: number } {
  let [scale, offset] = [1, 0]
  if (method === 'none') return { scale, offset }
  const positives = truth.reduce((sum, value) => sum + value, 0)
  const high = (positives + 1) / (positives + 2)
  const low = 1 / (truth.length - positives + 2)
  const loss = (a: number, b: number) => {
    let sum = 0
    for (let i = 0; i < score.length; i++) {
      const z = a * score[i]! + b
      sum += Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z))) - (truth[i] === 1 ? high : low) * z
    }
    return sum
  }
  let current = loss(scale, offset)
  for (let iteration = 0; iteration < 100; iteration++) {
    let [gradA, gradB, aa, ab, bb] = [0, 0, 1e-12, 0, 1e-12]
    for (let i = 0; i < score.length; i++) {
      const x = score[i]!
      const p = sigmoid(scale * x + offset)
      const excess = p - (truth[i] === 1 ? high : low)
      const curve = p * (1 - p)
      gradA += excess * x
      gradB += excess
      aa += curve * x * x
      ab += curve * x
      bb += curve
    }
    const determinant = aa * bb - ab * ab
    const stepA = method === 'platt' ? (bb * gradA - ab * gradB) / determinant : gradA / aa
    const stepB = method === 'platt' ? (aa * gradB - ab * gradA) / determinant : 0
    let size = 1
    let next = loss(scale - stepA, offset - stepB)
    for (; next > current && size > 1e-10; next = loss(scale - size * stepA, offset - size * stepB)) size /= 2
    if (!(next < current)) break
    scale -= size * stepA
    offset -= size * stepB
    if (current - next < 1e-10 * (1 + Math.abs(current))) break
    current = next
  }
  return { scale, offset }
}
