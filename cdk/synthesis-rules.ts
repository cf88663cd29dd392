/**
 * What a deployment tells the API of the bundle that draws.
 * @module
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Manifest } from '../shared/inference/bundle.ts'
import type { SynthesisRules } from '../shared/synthesis-rules.ts'

/** Of the bundle in a folder; `undefined` where it only screens. */
export function readSynthesisRules(bundle: string): SynthesisRules | undefined {
  const text = readFileSync(join(bundle, 'manifest.json'))
  const { synthesis } = Manifest.parse(JSON.parse(text.toString('utf8')))
  if (synthesis === undefined) return undefined
  return {
    bundleSha256: createHash('sha256').update(text).digest('hex'),
    samplers: synthesis.samplers.map(({ name }) => name),
    default: synthesis.default,
    minimumLeads: synthesis.minimumLeads,
  }
}
