/**
 * What a caliper says of two points of the paper.
 * @module
 */

export interface Point {
  /** Seconds into the recording, at a sample. */
  readonly s: number
  /** Millivolts from the row's 0. */
  readonly mv: number
}

export interface Caliper {
  readonly from: Point
  readonly to: Point
  readonly row: number
}

export interface Reading {
  readonly ms: number
  readonly mv: number
  /** Beats a minute, were this the time between two. */
  readonly bpm: number | undefined
  /** Were this a QT: corrected for the rate (Bazett 1920; Fridericia 1920), ms. */
  readonly qtcBazett: number | undefined
  readonly qtcFridericia: number | undefined
}

/** To the nearest sample. */
export const snap = (seconds: number, rateHz: number) => Math.round(seconds * rateHz) / rateHz

/** @param rrMs mean time between two beats, for the QTc; without it there is none */
export function reading({ from, to }: Caliper, rrMs: number | undefined): Reading {
  const ms = Math.abs(to.s - from.s) * 1000
  const rr = rrMs === undefined ? undefined : rrMs / 1000
  // A QT is between 150 and 800 ms; of a longer distance a QTc would be nonsense.
  const isQt = ms >= 150 && ms <= 800
  return {
    ms,
    mv: to.mv - from.mv,
    bpm: ms >= 150 ? 60_000 / ms : undefined,
    qtcBazett: rr === undefined || !isQt ? undefined : ms / Math.sqrt(rr),
    qtcFridericia: rr === undefined || !isQt ? undefined : ms / Math.cbrt(rr),
  }
}

/** The caliper's distance set off again and again, to both sides: seconds, between `begin` and `end`. */
export function marchOut({ from, to }: Caliper, begin: number, end: number): number[] {
  const step = Math.abs(to.s - from.s)
  if (step < 0.1) return []
  const first = Math.min(from.s, to.s)
  const before = Math.floor((first - begin) / step)
  const count = Math.floor((end - first) / step)
  return Array.from({ length: before + count + 1 }, (_, i) => first + (i - before) * step)
}
