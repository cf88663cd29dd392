/**
 * Gaps: samples that were lost on the way, NaN in a lead.
 * @module
 */

export interface Gaps {
  /** Samples that were filled in. */
  readonly bridged: number
  /** Samples of gaps that are too long to fill in; they are still NaN. */
  readonly open: number
}

/**
 * Draws a straight line over each gap of at most `maxSamples`, in place; at an end the nearest sample is held.
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
