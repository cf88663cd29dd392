/**
 * Gaps: runs of lost samples, NaN in a lead.
 * @module
 */

export interface Gaps {
  /** Samples that were interpolated. */
  readonly bridged: number
  /** Samples in gaps that are too long to interpolate; they stay NaN. */
  readonly open: number
}

/**
 * Interpolates each gap of at most `maxSamples` linearly, in place. At an end of the lead the nearest sample is repeated.
 * @param lead [n], NaN where a sample is missing
 */
export function bridgeGaps(lead: Float64Array, maxSamples: number): Gaps {
  let bridged = 0
  let open = 0
  for (let i = 0; i < lead.length; i++) {
    if (!Number.isNaN(lead[i]!)) continue
    const first = i
    while (i < lead.length && Number.isNaN(lead[i]!)) i++
    const length = i - first
    if (length > maxSamples || length === lead.length) {
      open += length
      continue
    }
    const before = first > 0 ? lead[first - 1]! : lead[i]!
    const after = i < lead.length ? lead[i]! : before
    const step = (after - before) / (length + 1)
    for (let j = 0; j < length; j++) lead[first + j] = before + (j + 1) * step
    bridged += length
  }
  return { bridged, open }
}
