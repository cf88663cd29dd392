/**
 * The quality gate: which leads of a window are usable, and whether the window is. Its input is the source's samples without mains hum,
 * before gaps are bridged and before resampling. Source of the thresholds: docs/quality-gate.md.
 * @module
 */
import type { LeadName } from '../domain/leads.ts'
import type { LeadVerdict, Quality, QualityReason } from '../domain/quality.ts'
import { LeadMeasurer, type LeadMeasures } from './lead-measures.ts'
import { PacingDetector } from './pacing.ts'

export interface GateLead {
  readonly name: LeadName
  /** [samples], mV at the source's rate, NaN where a sample is missing. */
  readonly mv: Float64Array
  /** Step of the converter, µV. */
  readonly gainUv: number
}

export interface GateWindow {
  readonly rateHz: number
  /** All of the same length. */
  readonly leads: readonly GateLead[]
}

export interface GateVerdict extends Pick<Quality, 'verdict' | 'reasons'> {
  /** A verdict for each lead of the window. */
  readonly leads: ReadonlyMap<LeadName, LeadVerdict>
}

export interface GateLimits {
  readonly minSeconds: number
  readonly maxBridgedGapMs: number
}

/** Largest share of missing samples, however short each gap is. */
const MAX_MISSING_SHARE = 0.1

/** Largest plausible range of a lead; a larger one has a wrong unit. */
const MAX_RANGE_MV = 25

/** Largest share of clipped samples. */
const MAX_RAIL_SHARE = 0.015

/** Smallest complex. Without complexes, a channel that hardly moves is dead and one that floats has an open electrode. */
const MIN_QRS_MV = 0.02
const MIN_FLOAT_MV = 0.5

/** Longest time without a change, and fewest distinct levels, of a working converter. */
const MAX_HOLD_S = 1.5
const MIN_LEVELS = 20

/**
 * Largest baseline wander. Beyond it, a lead without complexes is `lead-off`; a lead with complexes is judged by its baseline after the
 * chain's baseline removal.
 */
const MAX_WANDER_MV = 2.5
const MAX_LEFT_MV = 1.5
const MIN_PEAKEDNESS = 6

/** Largest noise in the band of every source, above 50 Hz, and as a share of the complexes. */
const MAX_NOISE_MV = 0.03
const MAX_FAST_MV = 0.1
const MAX_NOISE_OF_QRS = 0.15

/** Largest swing between complexes. Beyond it, a lead that does not repeat itself as a tachycardia does is being moved. */
const MAX_SWING_MV = 0.35
const MIN_REPETITION = 0.5

/** Judges windows one after another. Owns its buffers, so one instance serves one thread. */
export class QualityGate {
  readonly #limits: GateLimits
  #rateHz = 0
  #samples = 0
  #measurer: LeadMeasurer | undefined
  #pacing: PacingDetector | undefined

  constructor(limits: GateLimits) {
    this.#limits = limits
  }

  /**
   * Judges a window. It is refused when it is too short or paced, or when fewer than half of its leads are acceptable.
   * @example
   * const { verdict, reasons } = gate.judge({ rateHz: 500, leads: [{ name: 'II', mv, gainUv: 1 }] })
   */
  judge({ rateHz, leads }: GateWindow): GateVerdict {
    const samples = leads[0]?.mv.length ?? 0
    if (samples < Math.floor(this.#limits.minSeconds * rateHz)) {
      return {
        verdict: 'refused',
        reasons: ['too-short'],
        leads: new Map(leads.map(({ name }) => [name, 'too-short'])),
      }
    }
    const { measurer, pacing } = this.#tools(rateHz, samples)
    const verdicts = new Map<LeadName, LeadVerdict>()
    for (const { name, mv, gainUv } of leads) {
      verdicts.set(name, this.#judgeLead(measurer.measure(mv, gainUv / 1000), measurer))
    }
    const isPaced = pacing.isPaced(leads.map(({ mv }) => mv))
    const acceptable = leads.filter(({ name }) => verdicts.get(name) === 'acceptable').length
    const tooFew = acceptable === 0 || 2 * acceptable < leads.length
    const reasons: QualityReason[] = [
      ...(isPaced ? (['paced'] as const) : []),
      ...(tooFew ? byFrequency(verdicts.values()) : []),
    ]
    return { verdict: reasons.length === 0 ? 'acceptable' : 'refused', reasons, leads: verdicts }
  }

  #judgeLead(measures: LeadMeasures, measurer: LeadMeasurer): LeadVerdict {
    const { qrsMv, qrsFloorMv, noiseMv } = measures
    if (measures.longestGapS * 1000 > this.#limits.maxBridgedGapMs || measures.missingShare > MAX_MISSING_SHARE)
      return 'gap'
    if (measures.rangeMv > MAX_RANGE_MV) return 'saturated'
    if (measures.longestHoldS > MAX_HOLD_S) return 'flat'
    if (qrsMv < MIN_QRS_MV) return measures.rangeMv > MIN_FLOAT_MV ? 'lead-off' : 'flat'
    if (measures.railShare > MAX_RAIL_SHARE) return 'saturated'
    if (measures.levels < MIN_LEVELS) return 'flat'
    const isPeaked = qrsMv >= MIN_PEAKEDNESS * qrsFloorMv
    if (measures.wanderMv > MAX_WANDER_MV) {
      if (!isPeaked) return 'lead-off'
      if (measures.leftMv > MAX_LEFT_MV) return 'noise'
    }
    if (noiseMv > MAX_NOISE_MV || measures.fastMv > MAX_FAST_MV || noiseMv > MAX_NOISE_OF_QRS * qrsMv) return 'noise'
    if (!isPeaked && measures.swingMv > MAX_SWING_MV && measurer.repetition() < MIN_REPETITION) return 'noise'
    return 'acceptable'
  }

  #tools(rateHz: number, samples: number): { measurer: LeadMeasurer; pacing: PacingDetector } {
    if (
      this.#measurer === undefined ||
      this.#pacing === undefined ||
      rateHz !== this.#rateHz ||
      samples !== this.#samples
    ) {
      this.#measurer = new LeadMeasurer(rateHz, samples)
      this.#pacing = new PacingDetector(rateHz, samples)
      this.#rateHz = rateHz
      this.#samples = samples
    }
    return { measurer: this.#measurer, pacing: this.#pacing }
  }
}

function byFrequency(verdicts: Iterable<LeadVerdict>): QualityReason[] {
  const counts = new Map<QualityReason, number>()
  for (const verdict of verdicts) {
    if (verdict !== 'acceptable' && verdict !== 'missing') counts.set(verdict, (counts.get(verdict) ?? 0) + 1)
  }
  return [...counts].sort(([, a], [, b]) => b - a).map(([reason]) => reason)
}
