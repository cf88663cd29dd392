/**
 * The six limb leads have two independent voltages: any two leads give the other four (Einthoven 1912, Goldberger 1942). Precordial leads
 * cannot be derived and are never invented.
 * @module
 */
import { type LeadName, LIMB_LEADS } from '../domain/leads.ts'

/** Coefficients of each limb lead: a·I + b·II. */
const OF_I_AND_II: ReadonlyMap<LeadName, readonly [a: number, b: number]> = new Map([
  ['I', [1, 0]],
  ['II', [0, 1]],
  ['III', [-1, 1]],
  ['aVR', [-0.5, -0.5]],
  ['aVL', [1, -0.5]],
  ['aVF', [-0.5, 1]],
])

/**
 * Derives the limb leads that `known` lacks from the first two that it has; empty when it has fewer than two.
 * @param known lead → [samples], all in the same unit
 */
export function deriveLimbLeads(known: ReadonlyMap<LeadName, Float64Array>): Map<LeadName, Float64Array> {
  const derived = new Map<LeadName, Float64Array>()
  const [first, second] = LIMB_LEADS.filter((name) => known.has(name))
  if (first === undefined || second === undefined) return derived
  const [x, y] = [known.get(first)!, known.get(second)!]
  const [xa, xb] = OF_I_AND_II.get(first)!
  const [ya, yb] = OF_I_AND_II.get(second)!
  const determinant = xa * yb - xb * ya
  for (const name of LIMB_LEADS.filter((lead) => !known.has(lead))) {
    const [a, b] = OF_I_AND_II.get(name)!
    const ofX = (a * yb - b * ya) / determinant
    const ofY = (b * xa - a * xb) / determinant
    derived.set(
      name,
      x.map((value, i) => ofX * value + ofY * y[i]!),
    )
  }
  return derived
}
