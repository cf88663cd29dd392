/**
 * A model bundle: ONNX files, `manifest.json` and `MODEL_CARD.md`. No file of a bundle is used unless it matches the manifest.
 * @module
 */
import { createHash } from 'node:crypto'
import { createReadStream, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import * as z from 'zod'
import { BLOCK_IDS } from '../domain/bundle-branch-blocks.ts'
import { CONDITION_IDS, INDICES } from '../domain/conditions.ts'
import { EVIDENCES } from '../domain/result.ts'
import { CodedError } from '../errors.ts'
import { Limits } from './limits.ts'
import { SynthesisManifest } from './synthesis-manifest.ts'

const Evidence = z.enum(EVIDENCES)
const Tensor = z.object({
  name: z.string(),
  type: z.string(),
  /** A number is a fixed size, a name a free one. */
  shape: z.array(z.union([z.int().positive(), z.string()])),
})

const Condition = z
  .object({
    id: z.enum(CONDITION_IDS),
    evidence: Evidence,
    /** probability = sigmoid(scale · logit + offset) */
    calibration: z.object({ scale: z.number().positive(), offset: z.number() }),
    thresholds: z.object({ youden: z.number().min(0).max(1), sensitivity90: z.number().min(0).max(1) }),
    /** `limits`: by sex and age, see `limits` below. */
    operatingPoint: z.enum(['youden', 'sensitivity90', 'limits']),
    /** Absent in bundles from before there were operating points by sex and age. */
    limits: Limits.optional(),
    /** A finding is borderline within this many log-odds of the threshold: another ECG of the same person differs by as much. */
    borderlineLogOdds: z.number().nonnegative().optional(),
    auroc: z.object({ value: z.number(), ci: z.tuple([z.number(), z.number()]), dataset: z.string() }),
    /** At the operating point. Absent where they are unknown, as for conditions learned from a teacher's reading. */
    operating: z
      .object({ sensitivity: z.number().min(0).max(1), specificity: z.number().min(0).max(1), dataset: z.string() })
      .optional(),
    /** Share of ECGs with the condition in the data that `calibration` was fitted on; a site's base rate is corrected from it. */
    prevalence: z.number().gt(0).lt(1).optional(),
  })
  .refine(({ operatingPoint, limits }) => operatingPoint !== 'limits' || limits !== undefined, { path: ['limits'] })

const Index = z.object({
  id: z.string(),
  evidence: Evidence,
  /** Pearson correlation with the truth on held-out people; null where nobody's is known, and the index is then not given. */
  correlation: z.number().min(-1).max(1).nullable(),
  /** 90% interval = mean ± intervalScale · standard deviation (split conformal). */
  intervalScale: z.number().positive(),
})

export const Manifest = z.object({
  schema: z.literal(1),
  name: z.string(),
  version: z.string(),
  profile: z.string(),
  licence: z.string(),
  files: z.array(z.object({ path: z.string().regex(/^[\w.-]+$/), sha256: z.hex().length(64), bytes: z.int() })).min(1),
  tensors: z.record(z.string(), z.object({ inputs: z.array(Tensor), outputs: z.array(Tensor) })),
  conditions: z.array(Condition).length(CONDITION_IDS.length),
  indices: z.array(Index).length(INDICES.length),
  /** Absent in bundles from before there was an `ood` output. */
  ood: z
    .object({
      threshold: z.number(),
      /** Share of real validation ECGs above `threshold`. */
      falseAlarms: z.number().min(0).max(1),
      dataset: z.string(),
    })
    .optional(),
  /** In the order of the output `block_logits`. Absent in bundles that read no bundle branch blocks. */
  blocks: z
    .array(
      z.object({
        id: z.enum(BLOCK_IDS),
        /** The ECG shows the block where its logit reaches this. */
        threshold: z.number(),
        /** Share found of the ECGs of `dataset` in which a reader stated the block, and of the others. */
        sensitivity: z.number().min(0).max(1),
        falseAlarms: z.number().min(0).max(1),
        dataset: z.string(),
      }),
    )
    .optional(),
  /** Absent in bundles that only screen. */
  synthesis: SynthesisManifest.optional(),
  training: z.looseObject({}),
  notice: z.string(),
})
export type Manifest = z.infer<typeof Manifest>

export interface Bundle {
  readonly directory: string
  readonly manifest: Manifest
  /** SHA-256 of `manifest.json`, which covers every other file through the hashes in it. */
  readonly sha256: string
}

/**
 * Reads a bundle's manifest and checks it against this code: profile, order of conditions and indices.
 * @throws CodedError `bundle-missing`, `bundle-corrupt`, `bundle-mismatch`
 */
export async function readBundle(directory: string, profile: string): Promise<Bundle> {
  return bundleOf(directory, profile)
}

/**
 * Synchronous form of `readBundle`.
 * @throws CodedError `bundle-missing`, `bundle-corrupt`, `bundle-mismatch`
 */
export function bundleOf(directory: string, profile: string): Bundle {
  let bytes: Buffer
  try {
    bytes = readFileSync(join(directory, 'manifest.json'))
  } catch (cause) {
    throw new CodedError('bundle-missing', { field: 'manifest.json', folder: directory }, { cause })
  }
  const manifest = parseManifest(bytes.toString('utf8'), directory)
  if (manifest.profile !== profile) throw new CodedError('bundle-mismatch', { field: 'profile' })
  for (const [position, id] of CONDITION_IDS.entries()) {
    if (manifest.conditions[position]!.id !== id)
      throw new CodedError('bundle-mismatch', { field: `conditions.${position}.id` })
  }
  for (const [position, { id }] of INDICES.entries()) {
    if (manifest.indices[position]!.id !== id)
      throw new CodedError('bundle-mismatch', { field: `indices.${position}.id` })
  }
  return { directory, manifest, sha256: createHash('sha256').update(bytes).digest('hex') }
}

function parseManifest(text: string, folder: string): Manifest {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw new CodedError('bundle-corrupt', { field: 'manifest.json', folder })
  }
  const parsed = Manifest.safeParse(json)
  if (parsed.success) return parsed.data
  throw new CodedError('bundle-corrupt', {
    field: `manifest.json:${parsed.error.issues[0]!.path.join('.')}`,
    folder,
  })
}

/**
 * Compares one of the bundle's files with the manifest, byte by byte.
 * @returns path of the file
 * @throws CodedError `bundle-corrupt` when the file is missing or differs from the manifest
 */
export async function verifyFile(bundle: Bundle, name: string): Promise<string> {
  const path = join(bundle.directory, name)
  const expected = bundle.manifest.files.find((file) => file.path === name)
  const hash = createHash('sha256')
  if (expected === undefined) throw new CodedError('bundle-corrupt', { field: name, folder: bundle.directory })
  try {
    await pipeline(createReadStream(path), hash)
  } catch (cause) {
    throw new CodedError('bundle-corrupt', { field: name, folder: bundle.directory }, { cause })
  }
  if (hash.digest('hex') !== expected.sha256)
    throw new CodedError('bundle-corrupt', { field: name, folder: bundle.directory })
  return path
}
