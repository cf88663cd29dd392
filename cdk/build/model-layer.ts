/**
 * The deployed model bundle is a Lambda layer, so that a new bundle changes no code and an old one can be restored without code changes.
 * @module
 */
import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import * as lambda from 'aws-cdk-lib/aws-lambda'
import type { Construct } from 'constructs'
import { activeBundle, activeReference, activeSite, referenceIn, siteIn } from '../../shared/inference/active-bundle.ts'
import { type Bundle, bundleOf } from '../../shared/inference/bundle.ts'
import { REFERENCE_FILE } from '../../shared/inference/population.ts'
import { SITE_FILE } from '../../shared/inference/site-calibration.ts'
import { CARDIACNETS_V1 } from '../../shared/signal/profile.ts'

export interface Model {
  readonly bundle: Bundle
  /** Path of the site calibration, if any. */
  readonly site: string | undefined
  /** Path of the drift reference, if any. */
  readonly reference: string | undefined
}

/** Files of a bundle that screening reads. */
const MODEL_FILES = ['manifest.json', 'screen.onnx'] as const

/** Folder of the layer's bundle in a function; Lambda unpacks layers into /opt. */
export const MODEL_DIR = '/opt/model'

/**
 * Reads the model to deploy.
 * @param folder of the bundle (and its site calibration); when absent, the choice of `models use`
 * @throws CodedError for a bundle that this code cannot run: at synth and not at the first cold start
 */
export function readModel(folder?: string): Model {
  const directory = folder ?? activeBundle()
  return {
    bundle: bundleOf(directory, CARDIACNETS_V1.name),
    site: folder === undefined ? activeSite() : siteIn(folder),
    reference: folder === undefined ? activeReference() : referenceIn(folder),
  }
}

/**
 * Writes the content of the layer. The same bundle gives the same content.
 * @returns its folder
 * @throws Error for a file that differs from the manifest
 */
export function stageModel({ bundle, site, reference }: Model, outdir: string): string {
  const folder = join(outdir, 'model-layer')
  const model = join(folder, 'model')
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(model, { recursive: true })
  for (const name of MODEL_FILES) cpSync(join(bundle.directory, name), join(model, name))
  const sha256 = createHash('sha256')
    .update(readFileSync(join(model, 'screen.onnx')))
    .digest('hex')
  if (bundle.manifest.files.find(({ path }) => path === 'screen.onnx')?.sha256 !== sha256) {
    throw new Error(`screen.onnx of ${bundle.directory} is not what its manifest says`)
  }
  if (site !== undefined) cpSync(site, join(model, SITE_FILE))
  if (reference !== undefined) cpSync(reference, join(model, REFERENCE_FILE))
  return folder
}

/**
 * Makes the layer.
 * @param folder as `stageModel` returned it
 */
export function modelLayer(scope: Construct, { bundle }: Model, folder: string): lambda.LayerVersion {
  const { name, version } = bundle.manifest
  return new lambda.LayerVersion(scope, 'model', {
    code: lambda.Code.fromAsset(folder),
    description: `${name}@${version} ${bundle.sha256.slice(0, 12)}`,
    compatibleRuntimes: [lambda.Runtime.NODEJS_24_X],
  })
}
