/**
 * Detects pacemaker spikes: strokes of about a millisecond that all leads show at once. Only a source with a high sampling rate shows them.
 * When a recorder filters them out, nothing is detected and nothing is reported.
 * @module
 */

/** Below this rate a spike cannot be distinguished. */
const MIN_PACING_RATE_HZ = 400

/** A spike rises and falls within the first time, with calm of the second length on either side. */
const SPIKE_S = 0.004
const CALM_S = 0.008

/** Least height over the calm in one lead, and least mean height over all leads, mV. */
const MIN_LEAD_MV = 0.03
const MIN_MEAN_MV = 0.1

/** Least share of leads that show a spike. A spike in only one or two leads is an artefact. */
const MIN_LEAD_SHARE = 2 / 3

/** Block length, s. A spike must be this many times higher than the highest value of the median block. */
const BLOCK_S = 0.1
const OVER_MIDDLE = 10

/** Number of spikes in ten seconds: fewer are artefacts, more are noise. */
const SPIKES_IN_10_S = { min: 4, max: 60 } as const

/** Detects pacing in windows of one rate and length. Owns its buffers, so one instance serves one thread. */
export class PacingDetector {
  readonly #rateHz: number
  /** At each sample: sum of the leads' heights, and number of leads with one. */
  readonly #heights: Float64Array
  readonly #seenBy: Uint8Array
  readonly #blocks: Float64Array

  constructor(rateHz: number, samples: number) {
    this.#rateHz = rateHz
    this.#heights = new Float64Array(samples)
    this.#seenBy = new Uint8Array(samples)
    this.#blocks = new Float64Array(Math.ceil(samples / (BLOCK_S * rateHz)))
  }

  /** @param leads each [samples], mV; a NaN is never part of a spike */
  isPaced(leads: readonly Float64Array[]): boolean {
    if (this.#rateHz < MIN_PACING_RATE_HZ || leads.length === 0) return false
    this.#heights.fill(0)
    this.#seenBy.fill(0)
    for (const lead of leads) this.#addHeights(lead)
    const least = Math.max(MIN_MEAN_MV * leads.length, OVER_MIDDLE * this.#middleBlock())
    const spikes = this.#countSpikes(least, MIN_LEAD_SHARE * leads.length)
    const tens = this.#heights.length / (10 * this.#rateHz)
    return spikes >= SPIKES_IN_10_S.min * tens && spikes <= SPIKES_IN_10_S.max * tens
  }

  /** The median of the blocks' highest values. */
  #middleBlock(): number {
    const blocks = this.#blocks
    const blockSamples = BLOCK_S * this.#rateHz
    blocks.fill(0)
    for (let i = 1; i + 1 < this.#heights.length; i++) {
      const height = this.#heightAround(i)
      const block = Math.floor(i / blockSamples)
      if (height > blocks[block]!) blocks[block] = height
    }
    return blocks.sort()[blocks.length >> 1]!
  }

  #countSpikes(leastMv: number, leastLeads: number): number {
    const seenBy = this.#seenBy
    let spikes = 0
    let next = 1
    for (let i = 1; i + 1 < seenBy.length; i++) {
      if (i < next || this.#heightAround(i) < leastMv) continue
      if (seenBy[i - 1]! + seenBy[i]! + seenBy[i + 1]! < leastLeads) continue
      spikes++
      next = i + BLOCK_S * this.#rateHz
    }
    return spikes
  }

  /** Sums neighbours, because the peaks of different leads may be one sample apart. */
  #heightAround(i: number): number {
    return this.#heights[i - 1]! + this.#heights[i]! + this.#heights[i + 1]!
  }

  #addHeights(lead: Float64Array): void {
    const inner = Math.round(SPIKE_S * this.#rateHz)
    const outer = inner + Math.round(CALM_S * this.#rateHz)
    for (let i = outer; i + outer < lead.length; i++) {
      const value = lead[i]!
      const before = lead[i - inner]!
      const rise = value - before
      if (rise < MIN_LEAD_MV && rise > -MIN_LEAD_MV) continue
      const after = lead[i + inner]!
      const fall = value - after
      if (!(rise * fall > 0)) continue
      const stroke = Math.min(Math.abs(rise), Math.abs(fall))
      const height = stroke - Math.max(Math.abs(before - lead[i - outer]!), Math.abs(after - lead[i + outer]!))
      if (!(height > MIN_LEAD_MV)) continue
      this.#heights[i]! += height
      this.#seenBy[i]!++
    }
  }
}
