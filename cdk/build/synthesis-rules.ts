/**
 * Rules of the synthesis bundle that a deployment passes to the API.
 * @module
 */

import type { SynthesisRules } from '../../shared/config/synthesis-rules.ts'
import type { Bundle } from '../../shared/inference/bundle.ts'

/** The rules of a bundle; `undefined` when it only screens. */
export function synthesisRules({ manifest: { synthesis }, sha256 }: Bundle): SynthesisRules | undefined {
  if (synthesis === undefined) return undefined
  return {
    bundleSha256: sha256,
    samplers: synthesis.samplers.map(({ name }) => name),
    default: synthesis.default,
    minimumLeads: synthesis.minimumLeads,
  }
}
