/**
 * Discrimination and calibration of a score: ROC, operating points, calibration, and confidence intervals.
 * @module
 */

/** Scores of n ECGs, with the truth and the person of each. */
export interface Scored {
  readonly score: Float64Array
  /** 1 with the condition, 0 without. */
  readonly truth: Uint8Array
  /** Number of the person, from 0. */
  readonly person: Int32Array
}

export interface RocPoint {
  /** Scores from this value on count as positive. */
  readonly threshold: number
  readonly sensitivity: number
  readonly specificity: number
}

/** The ROC curve from the strictest threshold to the most lenient, one point per distinct score. Needs both classes. */
export function rocCurve({ score, truth }: Pick<Scored, 'score' | 'truth'>): RocPoint[] {
  const order = descending(score)
  const positives = truth.reduce((sum, value) => sum + value, 0)
  const negatives = truth.length - positives
  const points: RocPoint[] = []
  let truePositives = 0
  for (const [rank, i] of order.entries()) {
    truePositives += truth[i]!
    if (score[order[rank + 1]!] === score[i]) continue
    points.push({
      threshold: score[i]!,
      sensitivity: truePositives / positives,
      specificity: 1 - (rank + 1 - truePositives) / negatives,
    })
  }
  return points
}

/** Thresholds by the same two rules as the bundle's: largest sensitivity + specificity; highest threshold with sensitivity 0.9. */
export function operatingThresholds(roc: readonly RocPoint[]): { youden: number; sensitivity90: number } {
  const gain = ({ sensitivity, specificity }: RocPoint) => sensitivity + specificity
  const youden = roc.reduce((best, point) => (gain(point) > gain(best) ? point : best))
  return { youden: youden.threshold, sensitivity90: roc.find(({ sensitivity }) => sensitivity >= 0.9)!.threshold }
}

/** Area under the ROC curve, with ties counted half. `weight` counts an ECG several times or not at all. NaN without both classes. */
export function auroc(
  { score, truth }: Pick<Scored, 'score' | 'truth'>,
  order = descending(score),
  weight?: Float64Array,
) {
  let above = 0
  let area = 0
  let negatives = 0
  for (let rank = 0; rank < order.length; ) {
    const tied = score[order[rank]!]
    let positive = 0
    let negative = 0
    for (; rank < order.length && score[order[rank]!] === tied; rank++) {
      const i = order[rank]!
      const times = weight === undefined ? 1 : weight[i]!
      if (truth[i] === 1) positive += times
      else negative += times
    }
    area += negative * (above + positive / 2)
    above += positive
    negatives += negative
  }
  return area / (above * negatives)
}

export interface Interval {
  readonly value: number
  /** 95% interval; `null` when it rests on fewer than two people. */
  readonly ci: readonly [number, number] | null
}

export interface Accuracy {
  readonly auroc: Interval
  /** At each of the given thresholds. */
  readonly points: readonly { readonly sensitivity: Interval; readonly specificity: Interval }[]
}

const REPLICATES = 1000

/**
 * AUROC, and sensitivity and specificity at thresholds, with 95% percentile intervals. The bootstrap draws people, each with all of their
 * ECGs (Field & Welsh 2007, J R Stat Soc B 69:369-390). Deterministic for the same input.
 */
export function accuracy(scored: Scored, thresholds: readonly number[], replicates = REPLICATES): Accuracy {
  const { score, person } = scored
  const order = descending(score)
  const weight = new Float64Array(score.length).fill(1)
  const measure = () => [auroc(scored, order, weight), ...thresholds.flatMap((at) => rates(scored, at, weight))]
  const values = measure()

  const people = [...new Set(person)]
  const place = new Map(people.map((id, i) => [id, i]))
  const owner = Int32Array.from(person, (id) => place.get(id)!)
  const drawn = new Int32Array(people.length)
  const random = randomNumbers(20241120)
  const samples: number[][] = values.map(() => [])
  for (let replicate = 0; replicate < replicates; replicate++) {
    drawn.fill(0)
    for (let i = 0; i < people.length; i++) drawn[Math.floor(random() * people.length)]!++
    for (let i = 0; i < weight.length; i++) weight[i] = drawn[owner[i]!]!
    for (const [at, value] of measure().entries()) if (!Number.isNaN(value)) samples[at]!.push(value)
  }
  const interval = (at: number): Interval => ({
    value: values[at]!,
    ci: carriers(scored, at) < 2 ? null : percentiles(samples[at]!),
  })
  return {
    auroc: interval(0),
    points: thresholds.map((_, i) => ({ sensitivity: interval(1 + 2 * i), specificity: interval(2 + 2 * i) })),
  }
}

/**
 * Number of people that a value rests on: those of the smaller class for the AUROC (at 0), those of one class for a sensitivity or
 * specificity.
 */
function carriers(scored: Scored, at: number): number {
  const { positive, negative } = peopleByTruth(scored)
  return at === 0 ? Math.min(positive, negative) : at % 2 === 1 ? positive : negative
}

/** Number of people with an ECG with the condition, and with one without it. */
export function peopleByTruth({ truth, person }: Pick<Scored, 'truth' | 'person'>): {
  positive: number
  negative: number
} {
  const having = (value: number) => new Set(person.filter((_, i) => truth[i] === value)).size
  return { positive: having(1), negative: having(0) }
}

function rates(
  { score, truth }: Scored,
  threshold: number,
  weight: Float64Array,
): [sensitivity: number, specificity: number] {
  let [positives, negatives, truePositives, trueNegatives] = [0, 0, 0, 0]
  for (let i = 0; i < score.length; i++) {
    const isCalled = score[i]! >= threshold
    if (truth[i] === 1) {
      positives += weight[i]!
      if (isCalled) truePositives += weight[i]!
    } else {
      negatives += weight[i]!
      if (!isCalled) trueNegatives += weight[i]!
    }
  }
  return [truePositives / positives, trueNegatives / negatives]
}

function percentiles(values: number[]): [number, number] {
  const sorted = Float64Array.from(values).sort()
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!
  return [at(0.025), at(0.975)]
}

export interface CalibrationBin {
  /** Mean probability of the ECGs in the bin. */
  readonly predicted: number
  /** Share of the ECGs with the condition. */
  readonly observed: number
  /** 95% interval (Wilson 1927). */
  readonly ci: readonly [number, number]
  readonly n: number
}

export interface CalibrationFigures {
  /** Mean squared difference between probability and truth (Brier 1950). */
  readonly brier: number
  /** Expected calibration error over `bins`: mean |predicted − observed|, weighted by n. In small samples it is biased upwards. */
  readonly ece: number
  readonly logLoss: number
  readonly bins: readonly CalibrationBin[]
}

/**
 * Agreement of probabilities with outcomes. Bins hold equal numbers of ECGs: ten bins, or fewer when a bin would have less than ten ECGs.
 */
export function calibrationOf(probability: Float64Array, truth: Uint8Array): CalibrationFigures {
  const n = probability.length
  const order = descending(probability).reverse()
  const count = Math.max(1, Math.min(10, Math.floor(n / 10)))
  const bins = Array.from({ length: count }, (_, bin): CalibrationBin => {
    const members = order.subarray(Math.floor((bin * n) / count), Math.floor(((bin + 1) * n) / count))
    const mean = (values: ArrayLike<number>) => members.reduce((sum, i) => sum + values[i]!, 0) / members.length
    const observed = mean(truth)
    return { predicted: mean(probability), observed, ci: wilson(observed, members.length), n: members.length }
  })
  const average = (of: (p: number, y: number) => number) =>
    probability.reduce((sum, p, i) => sum + of(p, truth[i]!), 0) / n
  return {
    brier: average((p, y) => (p - y) ** 2),
    ece: bins.reduce((sum, bin) => sum + (bin.n / n) * Math.abs(bin.predicted - bin.observed), 0),
    logLoss: average((p, y) => -Math.log(Math.max(1e-12, y === 1 ? p : 1 - p))),
    bins,
  }
}

function wilson(share: number, n: number): [number, number] {
  const z = 1.96
  const middle = (share + z ** 2 / (2 * n)) / (1 + z ** 2 / n)
  const half = (z / (1 + z ** 2 / n)) * Math.sqrt((share * (1 - share)) / n + z ** 2 / (4 * n ** 2))
  return [Math.max(0, middle - half), Math.min(1, middle + half)]
}

/** Indices from the highest score to the lowest. */
function descending(score: Float64Array): Int32Array {
  return Int32Array.from(score.keys()).sort((a, b) => score[b]! - score[a]!)
}

/** Uniform numbers in [0, 1), deterministic for a seed: a 32-bit linear congruential generator whose high bits are mixed once. */
function randomNumbers(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32
  }
}
