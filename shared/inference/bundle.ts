/**
 * A model bundle: ONNX files, `manifest.json` and `MODEL_CARD.md`. Nothing runs from a bundle that does not match its manifest.
 * @module
 */
import { createHash } from 'node:crypto'
import { createReadStream, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import * as z from 'zod'
import { CONDITION_IDS, INDICES } from '../domain/conditions.ts'
import { EVIDENCES } from '../domain/result.ts'
import { CodedError } from '../errors.ts'
import { Limits } from './limits.ts'
import { SynthesisManifest } from './synthesis-manifest.ts'

const Evidence = z.enum(EVIDENCES)
const Tensor = z.object({
  name: z.string(),
  type: z.string(),
  /** Numbers are fixed sizes, names are free ones. */
  shape: z.array(z.union([z.int().positive(), z.string()])),
})

const Condition = z
  .object({
    id: z.enum(CONDITION_IDS),
    evidence: Evidence,
    /** probability = sigmoid(scale · logit + offset) */
    calibration: z.object({ scale: z.number().positive(), offset: z.number() }),
    thresholds: z.object({ youden: z.number().min(0).max(1), sensitivity90: z.number().min(0).max(1) }),
    /** `limits`: by sex and age, as below. */
    operatingPoint: z.enum(['youden', 'sensitivity90', 'limits']),
    /** Absent in bundles made before operating points by sex and age were. */
    limits: Limits.optional(),
    /** Log-odds to either side of the threshold within which a finding is borderline: another look at the same person moves it as far. */
    borderlineLogOdds: z.number().nonnegative().optional(),
    auroc: z.object({ value: z.number(), ci: z.tuple([z.number(), z.number()]), dataset: z.string() }),
    /** Of the operating point; absent where they are not known, as of what a teacher's reading taught. */
    operating: z
      .object({ sensitivity: z.number().min(0).max(1), specificity: z.number().min(0).max(1), dataset: z.string() })
      .optional(),
    /** Share of the ECGs with the condition where `calibration` was fitted: what a site's base rate is corrected from. */
    prevalence: z.number().gt(0).lt(1).optional(),
  })
  .refine(({ operatingPoint, limits }) => operatingPoint !== 'limits' || limits !== undefined, { path: ['limits'] })

const Index = z.object({
  id: z.string(),
  evidence: Evidence,
  /** Pearson correlation with the truth on held-out people. */
  correlation: z.number().min(-1).max(1),
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
  /** Absent in bundles made before the output `ood` was. */
  ood: z
    .object({
      threshold: z.number(),
      /** Share of real validation ECGs above `threshold`. */
      falseAlarms: z.number().min(0).max(1),
      dataset: z.string(),
    })
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
  /** sha256 of `manifest.json`, and through the hashes in it of everything else. */
  readonly sha256: string
}

/**
 * Reads a bundle's manifest and checks it against this code: profile, order of conditions and indices.
 * @throws CodedError `bundle-missing`, `bundle-corrupt`, `bundle-mismatch`
 */
export async function readBundle(directory: string, profile: string): Promise<Bundle> {
  return bundleOf(directory, profile)
}

/** `readBundle` at once. */
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
 * Compares one of the bundle's files with the manifest, byte for byte.
 * @returns its path
 * @throws CodedError `bundle-corrupt` when it is missing or other than the manifest says
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
