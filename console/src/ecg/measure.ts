/**
 * Caliper measurements between two points on the paper.
 * @module
 */

export interface Point {
  /** Seconds into the recording, at a sample. */
  readonly s: number
  /** Millivolts from 0 mV of the row. */
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
  /** Beats per minute if the distance is an RR interval. */
  readonly bpm: number | undefined
  /** QTc if the distance is a QT interval (Bazett 1920; Fridericia 1920), ms. */
  readonly qtcBazett: number | undefined
  readonly qtcFridericia: number | undefined
}

/** Rounds to the nearest sample. */
export const snap = (seconds: number, rateHz: number) => Math.round(seconds * rateHz) / rateHz

/** @param rrMs mean RR interval for the QTc; without it there is no QTc */
export function reading({ from, to }: Caliper, rrMs: number | undefined): Reading {
  const ms = Math.abs(to.s - from.s) * 1000
  const rr = rrMs === undefined ? undefined : rrMs / 1000
  // A QT interval is 150 to 800 ms; a QTc of a longer distance has no meaning.
  const isQt = ms >= 150 && ms <= 800
  return {
    ms,
    mv: to.mv - from.mv,
    bpm: ms >= 150 ? 60_000 / ms : undefined,
    qtcBazett: rr === undefined || !isQt ? undefined : ms / Math.sqrt(rr),
    qtcFridericia: rr === undefined || !isQt ? undefined : ms / Math.cbrt(rr),
  }
}

/** Repeats the caliper's distance to both sides. Returns seconds between `begin` and `end`. */
export function marchOut({ from, to }: Caliper, begin: number, end: number): number[] {
  const step = Math.abs(to.s - from.s)
  if (step < 0.1) return []
  const first = Math.min(from.s, to.s)
  const before = Math.floor((first - begin) / step)
  const count = Math.floor((end - first) / step)
  return Array.from({ length: before + count + 1 }, (_, i) => first + (i - before) * step)
}
