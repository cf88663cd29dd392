/**
 * The population stability index: how far a distribution over bins has moved from another one.
 *
 * Σ (aᵢ − eᵢ)·ln(aᵢ/eᵢ) over shares: the symmetric Kullback–Leibler divergence (Jeffreys), as credit scoring uses it to see that those who are
 * scored are no longer those a scorecard was made from (Siddiqi, Credit Risk Scorecards, 2006). By that trade's convention below .1
 * nothing has changed, and from .25 on much has. Of n that are drawn from the very same distribution over B bins it is (B − 1)/n on average
 * (n·PSI is nearly χ² with B − 1 degrees of freedom; Yurdakul and Naranjo, Journal of Risk Model Validation 14(4), 2020).
 * @module
 */

/** An empty bin would make it infinite: less than this share is taken for this. */
const LEAST_SHARE = 0.005

/**
 * @param expected counts or shares, bin by bin
 * @param actual of the same bins
 * @example populationStability([50, 50], [60, 40]) // 0.1·ln(0.6/0.5) − 0.1·ln(0.4/0.5) = 0.0405
 */
export function populationStability(expected: readonly number[], actual: readonly number[]): number {
  const [e, a] = [shares(expected), shares(actual)]
  return e.reduce((sum, share, bin) => sum + (a[bin]! - share) * Math.log(a[bin]! / share), 0)
}

function shares(counts: readonly number[]): readonly number[] {
  const total = counts.reduce((sum, count) => sum + count, 0)
  return counts.map((count) => Math.max(count / total, LEAST_SHARE))
}
