/**
 * Checks that the leads of a window are consistent. Twelve leads come from nine electrodes: two of the six limb leads are independent and
 * the other four follow from them (Einthoven 1912, Goldberger 1942), and no two leads are equal. A file that violates this was exported or
 * wired wrongly.
 * @module
 */
import { LEADS, type LeadName } from '../domain/leads.ts'
import type { ResultWarning } from '../domain/warnings.ts'

type Rule = readonly [Term, Term, Term]
type Term = readonly [lead: LeadName, factor: number]

/** Weighted sums of leads that must be zero. */
const RULES: readonly Rule[] = [
  [
    ['III', 1],
    ['II', -1],
    ['I', 1],
  ],
  [
    ['aVR', 1],
    ['I', 0.5],
    ['II', 0.5],
  ],
  [
    ['aVL', 1],
    ['I', -1],
    ['II', 0.5],
  ],
  [
    ['aVF', 1],
    ['II', -1],
    ['I', 0.5],
  ],
]

/**
 * Largest residual of such a sum: as a share of the smallest lead in it, and in mV. Half a step of each converter, slightly different
 * filters and baseline wander leave less. A lead in the place of another leaves more than the lead itself.
 */
const MAX_LEFT = 0.5
const MIN_LEFT_MV = 0.05
/** Differences of values up to this are below `MIN_LEFT_MV`, and so is their deviation. */
const NEAR_ZERO_MV = 0.4 * MIN_LEFT_MV

export interface ConsistencyLead {
  readonly name: LeadName
  /** [samples], mV; NaN where a sample is missing. */
  readonly mv: Float64Array
  /** Step of the converter, µV. */
  readonly gainUv: number
}

/**
 * Warnings about leads with the same signal, and about limb leads that do not follow from the others. Leads with the same signal are left
 * out of the second check.
 * @param leads the leads that the quality gate accepted
 */
export function leadWarnings(leads: readonly ConsistencyLead[]): ResultWarning[] {
  const warnings: ResultWarning[] = []
  const same = identicalLeads(leads)
  // A heart never gives the same signal in two leads. It is unknown which of them is labelled correctly, so nothing is concluded from them.
  if (same.length > 0) warnings.push({ code: 'leads-identical', leads: same, withholds: true })
  const others = new Map(leads.filter(({ name }) => !same.includes(name)).map((lead) => [lead.name, lead]))
  const disagreeing = RULES.filter((rule) => {
    const [one, two, three] = rule.map(([name]) => others.get(name)?.mv)
    return one !== undefined && two !== undefined && three !== undefined && isBroken(rule, [one, two, three])
  }).map((rule) => rule[0][0])
  if (disagreeing.length > 0) warnings.push({ code: 'leads-disagree', leads: disagreeing })
  return warnings
}

function identicalLeads(leads: readonly ConsistencyLead[]): LeadName[] {
  const same = new Set<LeadName>()
  for (const [i, one] of leads.entries()) {
    for (const other of leads.slice(i + 1)) {
      if (same.has(one.name) && same.has(other.name)) continue
      if (isSame(one, other)) for (const { name } of [one, other]) same.add(name)
    }
  }
  return LEADS.filter((name) => same.has(name))
}

/** True when the signals differ nowhere by more than the coarser step, as rounding would. */
function isSame(one: ConsistencyLead, other: ConsistencyLead): boolean {
  const step = Math.max(one.gainUv, other.gainUv) / 1000
  let compared = 0
  for (let i = 0; i < one.mv.length; i++) {
    const apart = Math.abs(one.mv[i]! - other.mv[i]!)
    if (apart > step) return false
    if (apart <= step) compared++
  }
  return compared > one.mv.length / 2
}

function isBroken(rule: Rule, leads: readonly [Float64Array, Float64Array, Float64Array]): boolean {
  const [a, b, c] = leads
  if (isNearZero(rule, leads)) return false
  const [[, factorA], [, factorB], [, factorC]] = rule
  const sum = new Float64Array(a.length)
  for (let i = 0; i < sum.length; i++) sum[i] = factorA * a[i]! + factorB * b[i]! + factorC * c[i]!
  const left = spread(sum)
  return left > MIN_LEFT_MV && left > MAX_LEFT * Math.min(...leads.map(spread))
}

/** True when the sum is too small everywhere to leave more than `MIN_LEFT_MV`. So it is in most windows, which then need no spread. */
function isNearZero(
  [[, factorA], [, factorB], [, factorC]]: Rule,
  [a, b, c]: readonly [Float64Array, Float64Array, Float64Array],
): boolean {
  for (let i = 0; i < a.length; i++) {
    if (Math.abs(factorA * a[i]! + factorB * b[i]! + factorC * c[i]!) > NEAR_ZERO_MV) return false
  }
  return true
}

/** Standard deviation of differences over 8 samples. Slow components (an offset, baseline wander) have no effect. */
function spread(mv: Float64Array): number {
  let [sum, squares, count] = [0, 0, 0]
  for (let i = STEP; i < mv.length; i++) {
    const difference = mv[i]! - mv[i - STEP]!
    if (Number.isNaN(difference)) continue
    sum += difference
    squares += difference * difference
    count++
  }
  return count === 0 ? 0 : Math.sqrt(Math.max(0, squares / count - (sum / count) ** 2))
}

const STEP = 8
