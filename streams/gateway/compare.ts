/**
 * Compares the gateway's and the cloud's screening of an ECG. The first result stands, and differences are counted.
 * @module
 */
import type { Result } from '../../shared/domain/result.ts'

export type Difference = 'none' | 'rounding' | 'numbers' | 'flags'

/** Largest difference that another processor's arithmetic may cause in a probability, or in an index relative to its interval. */
const ROUNDING = 1e-4

/** Difference between two results of the same version, bundle and profile; `undefined` when these differ. */
export function differenceOf(ours: Result, clouds: Result): Difference | undefined {
  const isSame =
    ours.ecgId === clouds.ecgId &&
    ours.version === clouds.version &&
    ours.provenance.modelSha256 === clouds.provenance.modelSha256 &&
    ours.provenance.profile === clouds.provenance.profile &&
    ours.provenance.site === clouds.provenance.site
  if (!isSame) return undefined
  const flags = ({ status, findings }: Result) =>
    JSON.stringify([status, findings.map(({ condition, flagged }) => [condition, flagged])])
  if (flags(ours) !== flags(clouds)) return 'flags'
  const gaps = [
    ...ours.findings.map(({ probability }, i) => Math.abs(probability - clouds.findings[i]!.probability)),
    ...ours.indices.map(({ value, low, high }, i) => {
      const other = clouds.indices[i]?.value ?? Number.POSITIVE_INFINITY
      return value === other ? 0 : Math.abs(value - other) / Math.max(high - low, Number.EPSILON)
    }),
  ]
  const largest = Math.max(0, ...gaps)
  if (largest === 0) return 'none'
  return largest <= ROUNDING ? 'rounding' : 'numbers'
}
