/**
 * How a probability changes with the prevalence that it is stated for: a prior shift in log-odds (Saerens et al. 2002, Neural Computation
 * 14:21-41, for two classes). Used by the site calibration and the console.
 * @module
 */

/** Log-odds of a probability; infinite at 0 and 1. */
export const logit = (probability: number) => Math.log(probability / (1 - probability))

/** Probability from log-odds. */
export const sigmoid = (logOdds: number) => 1 / (1 + Math.exp(-logOdds))

/** Shift of the log-odds from the prevalence that the model was calibrated at (`learned`) to the stated one. */
export const priorShift = (stated: number, learned: number) => logit(stated) - logit(learned)

/** A probability, or a threshold on one, after a shift of its log-odds. */
export const shifted = (probability: number, shift: number) => sigmoid(logit(probability) + shift)

/**
 * Predictive values at a prevalence (Bayes).
 * @returns share of flagged people who have the condition, and share of unflagged people who do not; `undefined` where one of the groups is
 * empty
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
