/**
 * Drift of the screened population: counts scores and quality verdicts in bins, and compares them with a reference.
 *
 * The reference is stored beside the bundle (`drift-reference.json`). For each condition it has the edges of ten bins, each of which holds
 * a tenth of the reference's ECGs, and how many of these the quality gate refused, by reason. A bundle ships with a reference from the ECGs
 * that its thresholds were set on; a site makes its own with `models reference`.
 * @module
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { CONDITION_IDS, type ConditionId } from '../domain/conditions.ts'
import { logit } from '../domain/prevalence.ts'
import { QUALITY_REASONS } from '../domain/quality.ts'
import type { Result } from '../domain/result.ts'
import { CodedError } from '../errors.ts'
import type { Origin } from '../messages.ts'
import type { Bundle } from './bundle.ts'
import { populationStability } from './psi.ts'
import { correctedProbability, correctionFor, type Site } from './site-calibration.ts'

/** File name in the bundle, in `.local` and in the screening Lambda's model folder. */
export const REFERENCE_FILE = 'drift-reference.json'

const BINS = 10

/** Verdict of the quality gate on an ECG: `acceptable`, or the most frequent reason for its refusal. */
const VERDICTS = ['acceptable', ...QUALITY_REASONS] as const
type Verdict = (typeof VERDICTS)[number]

export const Reference = z.object({
  schema: z.literal(1),
  /** Identifies what the scores depend on, see `scoresSha256`. */
  scoresSha256: z.hex().length(64),
  /** Name of the ECGs that the reference was made from. */
  dataset: z.string(),
  /** Inner edges of the bins, ascending: probabilities as the bundle states them, without a site's correction. */
  scores: z.record(z.enum(CONDITION_IDS), z.array(z.number().gt(0).lt(1)).length(BINS - 1)),
  /** Number of ECGs by verdict. */
  quality: z.record(z.enum(VERDICTS), z.int().nonnegative()),
})
export type Reference = z.infer<typeof Reference>

/** Number of ECGs per bin, by the names that `binsOf` returns. */
export type BinCounts = Readonly<Record<string, number>>

/** Population stability index (PSI) of each condition's scores, and of the verdicts. */
export interface Shifts {
  readonly scores: readonly (readonly [ConditionId, number])[]
  readonly quality: number
}

/** A week of one live session must not count as much as a week of resting ECGs. */
const DAY_S = 86_400
const WINDOW_S = 10

/** With fewer scores, ten bins are not informative. */
const LEAST_SCORED = 100

/**
 * Whether a window counts for the population: every ECG does; of a live session, its first window and then one a day.
 * @param firstSample index of the window's first sample within its session
 */
export function isCounted(origin: Origin, firstSample: number, rateHz: number): boolean {
  return origin.kind !== 'mqtt' || (firstSample / rateHz) % DAY_S < WINDOW_S
}

/** SHA-256 of the screening model and its calibration: the same for bundles that give the same scores. */
function scoresSha256({ manifest }: Bundle): string {
  const model = manifest.files.find(({ path }) => path === 'screen.onnx')?.sha256
  const calibrations = manifest.conditions.map(({ id, calibration: { scale, offset } }) => [id, scale, offset])
  return createHash('sha256')
    .update(JSON.stringify([model, calibrations]))
    .digest('hex')
}

/** Reads the reference in a folder; `undefined` where there is none that fits, because screening goes on without it. */
export async function readReference(folder: string, bundle: Bundle): Promise<Reference | undefined> {
  try {
    return parseReference(await readFile(join(folder, REFERENCE_FILE), 'utf8'), bundle)
  } catch {
    return undefined
  }
}

/**
 * Parses a reference.
 * @throws CodedError `calibration-corrupt`, `calibration-mismatch` (made for a bundle with other scores)
 */
export function parseReference(text: string, bundle: Bundle): Reference {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw new CodedError('calibration-corrupt', { field: 'reference' })
  }
  const parsed = Reference.safeParse(json)
  if (!parsed.success) {
    throw new CodedError('calibration-corrupt', { field: `reference:${parsed.error.issues[0]!.path.join('.')}` })
  }
  if (parsed.data.scoresSha256 !== scoresSha256(bundle)) {
    throw new CodedError('calibration-mismatch', { field: 'scoresSha256' })
  }
  return parsed.data
}

/** SHA-256 of a reference. Counts are kept per reference, because another reference has other bins. */
export const referenceSha256 = (reference: Reference) =>
  createHash('sha256').update(JSON.stringify(reference)).digest('hex')

/** Assigns results to the bins of a reference. */
export class Population {
  readonly #reference: Reference
  /** Edges for probabilities as findings state them here: corrected by the site, which keeps their order. */
  readonly #edges: ReadonlyMap<ConditionId, readonly number[]>

  constructor(reference: Reference, bundle: Bundle, site: Site | undefined) {
    this.#reference = reference
    this.#edges = new Map(
      bundle.manifest.conditions.map(({ id }, i) => {
        const correction = correctionFor(bundle, site, i)
        return [id, (reference.scores[id] ?? []).map((edge) => correctedProbability(correction, logit(edge)))]
      }),
    )
  }

  /** Names of the bins of a result: one verdict and, unless it is refused, one bin per condition. */
  binsOf({ quality, findings }: Result): readonly string[] {
    const scores = findings.map(({ condition, probability }) => {
      const edges = this.#edges.get(condition) ?? []
      return scoreBin(condition, edges.filter((edge) => probability >= edge).length)
    })
    return [verdictBin(verdictOf(quality)), ...scores]
  }

  /** How far a population has moved from the reference. Scores are absent where too few ECGs were screened. */
  shifts(counts: BinCounts): Shifts {
    const of = (bins: readonly string[]) => bins.map((bin) => counts[bin] ?? 0)
    const scores = [...this.#edges.keys()].flatMap((id) => {
      const actual = of(Array.from({ length: BINS }, (_, bin) => scoreBin(id, bin)))
      const scored = actual.reduce((sum, count) => sum + count, 0)
      return scored < LEAST_SCORED ? [] : [[id, populationStability(Array(BINS).fill(1), actual)] as const]
    })
    const expected = VERDICTS.map((verdict) => this.#reference.quality[verdict] ?? 0)
    return { scores, quality: populationStability(expected, of(VERDICTS.map(verdictBin))) }
  }
}

/**
 * Makes a reference from results without a site's correction.
 * @throws CodedError `field-invalid` when there are too few
 */
export function referenceOf(bundle: Bundle, dataset: string, results: readonly Result[]): Reference {
  const verdicts = results.map(({ quality }) => verdictOf(quality))
  const quality = Object.fromEntries(VERDICTS.map((verdict) => [verdict, verdicts.filter((v) => v === verdict).length]))
  const scores = bundle.manifest.conditions.map(({ id }) => {
    const sorted = results.flatMap(
      ({ findings }) => findings.find(({ condition }) => condition === id)?.probability ?? [],
    )
    if (sorted.length < LEAST_SCORED) throw new CodedError('field-invalid', { field: 'ecgs', atLeast: LEAST_SCORED })
    sorted.sort((a, b) => a - b)
    return [id, Array.from({ length: BINS - 1 }, (_, bin) => sorted[Math.round(((bin + 1) * sorted.length) / BINS)]!)]
  })
  return Reference.parse({
    schema: 1,
    scoresSha256: scoresSha256(bundle),
    dataset,
    scores: Object.fromEntries(scores),
    quality,
  })
}

const verdictOf = ({ verdict, reasons: [reason] }: Result['quality']): Verdict =>
  verdict === 'refused' && reason !== undefined ? reason : 'acceptable'

const verdictBin = (verdict: Verdict) => `quality_${verdict.replaceAll('-', '_')}`
const scoreBin = (id: ConditionId, bin: number) => `${id}_${bin}`
