/**
 * Order statistics of measured times.
 * @module
 */

/** The value below which `share` of the values lie (nearest rank); NaN for no values. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
}

export const median = (values: readonly number[]) => quantile(values, 0.5)

/** Rounds to significant digits. */
export const round = (value: number, digits = 3) => Number(value.toPrecision(digits))

/** Median duration of a call, ms: `rounds` rounds of `calls` calls each, after one warm-up round. */
export async function millisecondsPerCall(
  rounds: number,
  calls: number,
  call: (i: number) => unknown,
): Promise<number> {
  const times: number[] = []
  for (let at = 0; at <= rounds; at++) {
    const startedMs = performance.now()
    for (let i = 0; i < calls; i++) await call(i)
    if (at > 0) times.push((performance.now() - startedMs) / calls)
  }
  return median(times)
}
