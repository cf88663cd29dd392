/**
 * Kinds of damage to a lead, for the quality gate's table and tests. Deterministic: a seed always gives the same damage.
 * @module
 */
import { filled } from './filled.ts'

/** Mulberry32: a small generator of uniform numbers in [0, 1). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Box and Muller's normal numbers. */
function normal(random: () => number): () => number {
  return () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}

/** White noise, three times smoothed by leaky integration, so that little of it is above `cutoffHz`; scaled to `rms`. */
function slowNoise(samples: number, rateHz: number, cutoffHz: number, rms: number, random: () => number): Float64Array {
  const draw = normal(random)
  const noise = filled(new Float64Array(samples), draw)
  const keep = Math.exp((-2 * Math.PI * cutoffHz) / rateHz)
  for (let pass = 0; pass < 3; pass++) {
    let level = 0
    for (let i = 0; i < samples; i++) {
      level = keep * level + noise[i]!
      noise[i] = level
    }
  }
  return scaledTo(noise, rms)
}

function scaledTo(noise: Float64Array, rms: number): Float64Array {
  let sum = 0
  for (const value of noise) sum += value
  const mean = sum / noise.length
  let square = 0
  for (const value of noise) square += (value - mean) ** 2
  const deviation = Math.sqrt(square / noise.length)
  return filled(new Float64Array(noise.length), (i) => ((noise[i]! - mean) * rms) / deviation)
}

const hum = (samples: number, rateHz: number, amplitude: number, phase: number) =>
  filled(new Float64Array(samples), (i) => amplitude * Math.sin((2 * Math.PI * 50 * i) / rateHz + phase))

const changed = (mv: Float64Array, change: (value: number, i: number) => number) =>
  filled(new Float64Array(mv.length), (i) => change(mv[i]!, i))

const plus = (a: Float64Array, b: Float64Array) => changed(a, (value, i) => value + b[i]!)

export interface Corruption {
  readonly name: string
  /** Whether it can be seen at 100 Hz, where 50 Hz is no more than the edge of the band. */
  readonly seenAt100Hz: boolean
  /** A damaged copy of a lead, mV. */
  apply(mv: Float64Array, rateHz: number, random: () => number): Float64Array
}

/** The heights are those of bedside trouble: a reader of the strip would not use this lead. */
export const CORRUPTIONS: readonly Corruption[] = [
  {
    name: 'lead off: drift and mains instead of the heart',
    seenAt100Hz: true,
    apply: (mv, rateHz, random) =>
      plus(slowNoise(mv.length, rateHz, 0.2, 1.5, random), hum(mv.length, rateHz, 0.15, random())),
  },
  {
    name: 'flat: a dead channel with a microvolt of noise',
    seenAt100Hz: true,
    apply: (mv, _, random) => changed(mv, () => 0.001 * Math.round(2 * random() - 1)),
  },
  {
    name: 'stuck converter: one value for three seconds',
    seenAt100Hz: true,
    apply(mv, rateHz, random) {
      const from = Math.floor(random() * 6 * rateHz)
      return changed(mv, (value, i) => (i >= from && i < from + 3 * rateHz ? mv[from]! : value))
    },
  },
  {
    name: 'saturated: clipped at a third of its deflection',
    seenAt100Hz: true,
    apply(mv) {
      const sorted = mv.toSorted()
      const middle = sorted[sorted.length >> 1]!
      const high = middle + (sorted.at(-1)! - middle) / 3
      const low = middle + (sorted[0]! - middle) / 3
      return changed(mv, (value) => Math.min(high, Math.max(low, value)))
    },
  },
  {
    name: 'muscle: broad noise of 0.3 mV rms',
    seenAt100Hz: true,
    apply(mv, _, random) {
      const draw = normal(random)
      return changed(mv, (value) => value + 0.3 * draw())
    },
  },
  {
    name: 'mains: 50 Hz of 1 mV',
    seenAt100Hz: false,
    apply: (mv, rateHz, random) => plus(mv, hum(mv.length, rateHz, 1, random())),
  },
  {
    name: 'baseline jumps: three of 3 mV',
    seenAt100Hz: true,
    apply(mv, rateHz, random) {
      const at = [2, 5, 8].map((second) => (second + random()) * rateHz)
      return changed(mv, (value, i) => value + (at.filter((jump) => i >= jump).length % 2) * 3)
    },
  },
  {
    name: 'gap of half a second',
    seenAt100Hz: true,
    apply(mv, rateHz, random) {
      const from = Math.floor(random() * 9 * rateHz)
      return changed(mv, (value, i) => (i >= from && i < from + rateHz / 2 ? Number.NaN : value))
    },
  },
  {
    name: 'electrode motion: up to 10 Hz, 1 mV rms',
    seenAt100Hz: true,
    apply(mv, rateHz, random) {
      const wide = slowNoise(mv.length, rateHz, 10, 1, random)
      const slow = slowNoise(mv.length, rateHz, 1, 0.3, random)
      return plus(
        mv,
        scaledTo(
          changed(wide, (value, i) => value - slow[i]!),
          1,
        ),
      )
    },
  },
  {
    name: 'noise instead of the heart, as large as it',
    seenAt100Hz: true,
    apply(mv, _, random) {
      const draw = normal(random)
      const rms = Math.sqrt(mv.reduce((sum, value) => sum + value * value, 0) / mv.length)
      return changed(mv, () => rms * draw())
    },
  },
  {
    name: 'wrong unit: a thousand times too large',
    seenAt100Hz: true,
    apply: (mv) => changed(mv, (value) => value * 1000),
  },
  {
    name: 'coarse converter: steps of a quarter of its deflection',
    seenAt100Hz: true,
    apply(mv) {
      const step = (Math.max(...mv) - Math.min(...mv)) / 4
      return changed(mv, (value) => Math.round(value / step) * step)
    },
  },
]
