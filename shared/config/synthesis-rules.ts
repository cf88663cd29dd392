/**
 * What the API must know of the bundle that draws: a deployment writes it at synth, a function reads it from `SYNTHESIS_RULES`.
 * @module
 */
import * as z from 'zod'

const SynthesisRules = z.object({
  /** Of the bundle's manifest. */
  bundleSha256: z.hex().length(64),
  samplers: z.array(z.string()).min(1),
  default: z.string(),
  minimumLeads: z.int().min(1).max(12),
})
export type SynthesisRules = z.infer<typeof SynthesisRules>

/** @param text JSON, written at synth; throws for what is none */
export function parseSynthesisRules(text: string): SynthesisRules {
  return SynthesisRules.parse(JSON.parse(text))
}
