/**
 * Population stability index (PSI): how far one distribution over bins has moved from another.
 *
 * PSI = Σ (aᵢ − eᵢ)·ln(aᵢ/eᵢ) over shares, the symmetric Kullback–Leibler divergence (Jeffreys). Credit scoring uses it to detect that the
 * scored population no longer resembles the one that a scorecard was made from (Siddiqi, Credit Risk Scorecards, 2006). By its convention,
 * below 0.1 nothing has changed and from 0.25 on much has. For n draws from the same distribution over B bins, its mean is (B − 1)/n (n·PSI
 * is nearly χ² with B − 1 degrees of freedom; Yurdakul and Naranjo, Journal of Risk Model Validation 14(4), 2020).
 * @module
 */

/** Smallest share that is used; an empty bin would make the index infinite. */
const LEAST_SHARE = 0.005

/**
 * Computes the index.
 * @param expected counts or shares per bin
 * @param actual counts or shares of the same bins
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
