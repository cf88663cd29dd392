/**
 * What the API needs to know about the bundle that draws cines. A deployment writes it at synth; a function reads it from
 * `SYNTHESIS_RULES`.
 * @module
 */
import * as z from 'zod'

const SynthesisRules = z.object({
  /** SHA-256 of the bundle's manifest. */
  bundleSha256: z.hex().length(64),
  samplers: z.array(z.string()).min(1),
  default: z.string(),
  minimumLeads: z.int().min(1).max(12),
})
export type SynthesisRules = z.infer<typeof SynthesisRules>

/**
 * Parses the rules that were written at synth.
 * @param text JSON
 * @throws SyntaxError, ZodError for any other text
 */
export function parseSynthesisRules(text: string): SynthesisRules {
  return SynthesisRules.parse(JSON.parse(text))
}
