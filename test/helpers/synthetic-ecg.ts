/**
 * A made-up ECG of twelve leads that the quality gate accepts: Gaussian waves a beat, no one's heart.
 * @module
 */
import { LEADS, type LeadName } from '../../shared/domain/leads.ts'
import type { Recording } from '../../shared/domain/recording.ts'

interface SyntheticEcg {
  readonly seconds?: number
  readonly rateHz?: number
  readonly heartRateBpm?: number
  readonly leads?: readonly LeadName[]
  readonly gainUv?: number
  readonly startedAt?: string
}

/** Waves of a beat: seconds from the R peak, width in seconds, share of the lead's R amplitude. */
const WAVES = [
  { at: -0.17, width: 0.025, share: 0.12 },
  { at: -0.025, width: 0.008, share: -0.1 },
  { at: 0, width: 0.011, share: 1 },
  { at: 0.028, width: 0.01, share: -0.22 },
  { at: 0.26, width: 0.045, share: 0.28 },
]

/** R amplitude of I, II and V1 to V6 in mV; the other limb leads follow. */
const R_MV: Partial<Record<LeadName, number>> = {
  I: 0.8,
  II: 1.2,
  V1: -0.7,
  V2: -0.5,
  V3: 0.6,
  V4: 1.3,
  V5: 1.5,
  V6: 1.1,
}

/** @returns a recording with integer samples; the same options give the same samples */
export function syntheticEcg(options: SyntheticEcg = {}): Recording {
  const { seconds = 10, rateHz = 500, heartRateBpm = 72, leads = LEADS, gainUv = 1, startedAt } = options
  const rr = 60 / heartRateBpm
  const shape = Float64Array.from({ length: Math.round(seconds * rateHz) }, (_, i) => {
    const phase = ((i / rateHz + 0.6 * rr) % rr) - 0.4 * rr
    return WAVES.reduce((sum, { at, width, share }) => sum + share * Math.exp(-0.5 * ((phase - at) / width) ** 2), 0)
  })
  const random = noise()
  const noiseMv = new Map(LEADS.map((name) => [name, shape.map(() => 0.01 * random())]))
  const base = (name: LeadName) => shape.map((value, i) => R_MV[name]! * value + noiseMv.get(name)![i]!)
  const [i, ii] = [base('I'), base('II')]
  const derived: Partial<Record<LeadName, Float64Array>> = {
    III: ii.map((value, t) => value - i[t]!),
    aVR: ii.map((value, t) => -(value + i[t]!) / 2),
    aVL: i.map((value, t) => value - ii[t]! / 2),
    aVF: ii.map((value, t) => value - i[t]! / 2),
  }
  return {
    format: 'synthetic',
    rateHz,
    ...(startedAt === undefined ? {} : { startedAt }),
    leads: leads.map((name) => {
      const mv = name === 'I' ? i : name === 'II' ? ii : (derived[name] ?? base(name))
      return { name, gainUv, samples: Int32Array.from(mv, (value) => Math.round((1000 * value) / gainUv)) }
    }),
  }
}

/** Deterministic values in [−1, 1) (mulberry32). */
function noise(): () => number {
  let state = 1
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1
  }
}
