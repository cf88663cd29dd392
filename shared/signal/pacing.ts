/**
 * Pacemaker spikes: strokes of a millisecond that all leads show at once. Seen only where the source samples fast enough; a recorder that
 * filters them out leaves nothing to see (then nothing is said).
 * @module
 */

/** Below this rate a spike is no longer a stroke of its own. */
const MIN_PACING_RATE_HZ = 400

/** A spike rises and falls within the first and has calm within the second on either side. */
const SPIKE_S = 0.004
const CALM_S = 0.008

/** Height over the calm that counts in a lead, and mean height over all leads that makes a spike, mV. */
const MIN_LEAD_MV = 0.03
const MIN_MEAN_MV = 0.1

/** Share of the leads that see a spike: what one or two leads see is an artefact. */
const MIN_LEAD_SHARE = 2 / 3

/** The window is looked at in blocks of this length; a spike is this much higher than the middle block's highest value. */
const BLOCK_S = 0.1
const OVER_MIDDLE = 10

/** Spikes in ten seconds: fewer are artefacts, more are noise. */
const SPIKES_IN_10_S = { min: 4, max: 60 } as const

/** Looks for pacing in windows of one rate and length; owns its buffers. */
export class PacingDetector {
  readonly #rateHz: number
  /** Sum of the leads' heights, and how many leads have one. */
  readonly #heights: Float64Array
  readonly #seenBy: Uint8Array
  readonly #blocks: Float64Array

  constructor(rateHz: number, samples: number) {
    this.#rateHz = rateHz
    this.#heights = new Float64Array(samples)
    this.#seenBy = new Uint8Array(samples)
    this.#blocks = new Float64Array(Math.ceil(samples / (BLOCK_S * rateHz)))
  }

  /** @param leads each [samples], mV; NaN is never part of a spike */
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

  /** The peaks of different leads may lie a sample apart. */
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
