/**
 * A result small enough for one message of AWS IoT Core: everything except most of the 82 indices. The whole result is at `GET
 * /v1/ecgs/{ecgId}?version=`.
 * @module
 */
import { parseResult, type Result } from './result.ts'

/** Form in which a site's devices get results: `whole` as they are stored, or `summary`. */
export const DEVICE_RESULTS = ['whole', 'summary'] as const
export type DeviceResults = (typeof DEVICE_RESULTS)[number]

/** Indices of a summary, most informative first. */
export const HEADLINE_INDICES: readonly string[] = [
  'lvEf',
  'lvEdv',
  'lvMass',
  'rvEdv',
  'rvEf',
  'laMaxVolume',
  'longitudinalStrainGlobal',
]

/** Most bytes of a summary. A billing unit of AWS IoT Core is 5 × 1024 bytes; the rest is for the topic and the MQTT 5 properties. */
export const SUMMARY_BYTES = 4608

/** How many entries a summary left out, so that nobody mistakes it for the whole. Absent in a whole result. */
export interface Omitted {
  readonly indices: number
  readonly warnings: number
}

/** Has the form of a result, with fewer indices. */
export type ResultSummary = Result & { readonly omitted: Omitted }

/**
 * Shortens a result. The same result always gives the same bytes.
 * @param json a result as stored
 * @returns JSON of at most `SUMMARY_BYTES` bytes
 * @throws SyntaxError for text that is not JSON
 */
export function summaryOf(json: string): string {
  const result = parseResult(json)
  const indices = HEADLINE_INDICES.flatMap((id) => result.indices.find((each) => each.id === id) ?? [])
  const warnings = [...result.warnings]
  for (;;) {
    const omitted = {
      indices: result.indices.length - indices.length,
      warnings: result.warnings.length - warnings.length,
    }
    const text = JSON.stringify({ ...result, indices, warnings, omitted } satisfies ResultSummary)
    if (Buffer.byteLength(text) <= SUMMARY_BYTES || indices.length + warnings.length === 0) return text
    // A recording may have hundreds of warnings. A warning that withholds findings is also named in the findings.
    if (warnings.length > MOST_WARNINGS || indices.length === 0) warnings.length = Math.floor(warnings.length / 2)
    else indices.pop()
  }
}

/** Above this number, warnings are removed before indices. */
const MOST_WARNINGS = 4
