/**
 * How a probability moves with the prevalence that it is stated for: a prior shift in log-odds
 * (Saerens et al. 2002, Neural Computation 14:21-41, for two classes). The site's calibration and the console share it.
 * @module
 */

/** Log-odds of a probability; infinite at 0 and 1. */
export const logit = (probability: number) => Math.log(probability / (1 - probability))

/** Probability of log-odds. */
export const sigmoid = (logOdds: number) => 1 / (1 + Math.exp(-logOdds))

/** By how much log-odds move where a condition is as frequent as `stated`, and the model was calibrated where it is as frequent as `learned`. */
export const priorShift = (stated: number, learned: number) => logit(stated) - logit(learned)

/** A probability, or a threshold of one, after a shift of its log-odds. */
export const shifted = (probability: number, shift: number) => sigmoid(logit(probability) + shift)

/**
 * Predictive values at a prevalence (Bayes).
 * @returns the share with the condition of those who are flagged, and the share without it of those who are not; `undefined` where one is never seen
 */
export function predictiveValues(
  prevalence: number,
  { sensitivity, specificity }: { readonly sensitivity: number; readonly specificity: number },
): { positive: number; negative: number } | undefined {
  const found = prevalence * sensitivity
  const missed = prevalence * (1 - sensitivity)
  const falselyFlagged = (1 - prevalence) * (1 - specificity)
  const cleared = (1 - prevalence) * specificity
  if (found + falselyFlagged === 0 || missed + cleared === 0) return undefined
  return { positive: found / (found + falselyFlagged), negative: cleared / (missed + cleared) }
}
