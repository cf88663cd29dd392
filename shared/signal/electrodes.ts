/**
 * Detects exchanged electrodes. A small network analyses the median beat as means over parts of P, QRS and ST-T of the eight independent
 * leads. These means are linear in the leads, so training can simulate exchanges by arithmetic
 * (`models/training/src/cardiacnets/signal/electrodes.py`). Detection rates: docs/electrodes.md.
 * @module
 */
import { ELECTRODE_EXCHANGES, type ElectrodeExchange } from '../domain/electrodes.ts'
import type { LeadName } from '../domain/leads.ts'
import type { ResultWarning } from '../domain/warnings.ts'
import network from './electrodes.json' with { type: 'json' }
import { deriveLimbLeads } from './limb-leads.ts'
import type { MedianBeats } from './median-beat.ts'

const INDEPENDENT: readonly LeadName[] = ['I', 'II', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6']

/** Parts of a beat: P from 190 to 10 ms before QRS, QRS from onset to end, and ST-T for a time that grows with √RR. */
const P_PARTS = 6
const P_S = { from: 0.19, to: 0.01 } as const
const QRS_PARTS = 8
const T_PARTS = 6
const T_AFTER_S = 0.02
const T_S_AT_60_BPM = 0.34
const PARTS = P_PARTS + QRS_PARTS + T_PARTS

/** Number of the network's inputs. */
export const FEATURES = INDEPENDENT.length * PARTS

type Limits = Readonly<Record<ElectrodeExchange, { readonly warn: number; readonly withhold: number | null }>>
const LIMITS: Limits = network.limits

/**
 * Root mean square of QRS over the leads. Among 10,895 ECGs (PTB-XL, folds 1 to 5) one in a thousand lies below the lower and one above the
 * upper `warn` limit; none lies beyond a `withhold` limit.
 */
const SCALE_MV = { warn: { least: 0.174, most: 1.76 }, withhold: { least: 0.122, most: 2.22 } } as const

/** Least share of beats of one kind. With fewer, the median beat may be an ectopic beat. */
const MIN_SHARE = 0.5

/**
 * Means over the parts of a beat.
 * @returns [8 leads][parts], mV; `undefined` when a lead is missing
 */
export function beatParts(beats: MedianBeats): Float64Array | undefined {
  const { qrs, rr, rateHz, length } = beats
  // A limb lead that was refused is derived from two others: with RA and RL exchanged, lead II is flat.
  const leads = new Map([...beats.leads, ...deriveLimbLeads(beats.leads)])
  if (INDEPENDENT.some((name) => !leads.has(name))) return undefined
  const parts = new Float64Array(FEATURES)
  const rrS = rr / rateHz
  const spans = [
    { from: qrs.onset - P_S.from * rateHz, to: qrs.onset - P_S.to * rateHz, count: P_PARTS },
    { from: qrs.onset, to: qrs.end + 1, count: QRS_PARTS },
    {
      from: qrs.end + T_AFTER_S * rateHz,
      to: qrs.end + (T_AFTER_S + T_S_AT_60_BPM * Math.sqrt(rrS)) * rateHz,
      count: T_PARTS,
    },
  ]
  let at = 0
  for (const name of INDEPENDENT) {
    const beat = leads.get(name)!
    for (const { from, to, count } of spans) {
      for (let part = 0; part < count; part++) {
        const first = Math.min(length - 1, Math.max(0, Math.round(from + ((to - from) * part) / count)))
        const end = Math.min(length, Math.max(first + 1, Math.round(from + ((to - from) * (part + 1)) / count)))
        let sum = 0
        for (let i = first; i < end; i++) sum += beat[i]!
        parts[at++] = sum / (end - first)
      }
    }
  }
  return parts
}

/** Probability of each exchange, and of no exchange, from the parts of a beat. */
export function exchangeProbabilities(parts: ArrayLike<number>): ReadonlyMap<string, number> {
  const scale = qrsSize(parts) || 1
  const input = Float64Array.from(parts, (value, i) =>
    Math.max(-network.clip, Math.min(network.clip, (value / scale - network.mean[i]!) / network.deviation[i]!)),
  )
  const hidden = network.hidden.map(({ bias, weights }) => Math.max(0, bias + dot(weights, input)))
  const logits = network.output.map(({ bias, weights }) => bias + dot(weights, hidden))
  const highest = Math.max(...logits)
  const powers = logits.map((logit) => Math.exp(logit - highest))
  const total = powers.reduce((sum, power) => sum + power, 0)
  return new Map(network.kinds.map((kind, i) => [kind, powers[i]! / total]))
}

/** Root mean square of the parts of QRS, mV. */
function qrsSize(parts: ArrayLike<number>): number {
  let square = 0
  for (let lead = 0; lead < INDEPENDENT.length; lead++) {
    for (let part = 0; part < QRS_PARTS; part++) square += parts[lead * PARTS + P_PARTS + part]! ** 2
  }
  return Math.sqrt(square / (INDEPENDENT.length * QRS_PARTS))
}

function dot(weights: readonly number[], input: ArrayLike<number>): number {
  let sum = 0
  for (let i = 0; i < weights.length; i++) sum += weights[i]! * input[i]!
  return sum
}

/** Warnings about a wrong gain and about exchanged electrodes; at most one of each kind. */
export function electrodeWarnings(beats: MedianBeats | undefined): readonly ResultWarning[] {
  if (beats === undefined || beats.beats.length < MIN_SHARE * beats.beatCount) return []
  const parts = beatParts(beats)
  return [...scaleWarnings(qrsSizeOf(beats)), ...(parts === undefined ? [] : exchangeWarnings(parts))]
}

/** Root mean square of QRS over the available leads, mV. With a gain ten times too high, the gate refuses some leads as noise. */
function qrsSizeOf({ leads, qrs }: MedianBeats): number {
  let square = 0
  for (const beat of leads.values()) for (let i = qrs.onset; i <= qrs.end; i++) square += beat[i]! ** 2
  return Math.sqrt(square / (leads.size * (qrs.end - qrs.onset + 1)))
}

function scaleWarnings(sizeMv: number): readonly ResultWarning[] {
  if (sizeMv >= SCALE_MV.warn.least && sizeMv <= SCALE_MV.warn.most) return []
  const withholds = sizeMv < SCALE_MV.withhold.least || sizeMv > SCALE_MV.withhold.most
  return [{ code: 'scale-doubtful', field: 'leads.gain', ...(withholds ? { withholds } : {}) }]
}

/** Among the exchanges above their limits, the most probable one. */
function exchangeWarnings(parts: Float64Array): readonly ResultWarning[] {
  const probabilities = exchangeProbabilities(parts)
  let found: { which: ElectrodeExchange; probability: number; withholds: boolean } | undefined
  for (const which of Object.keys(ELECTRODE_EXCHANGES) as ElectrodeExchange[]) {
    const limits = LIMITS[which]
    const probability = probabilities.get(which)!
    if (probability < limits.warn || (found !== undefined && found.probability >= probability)) continue
    found = { which, probability, withholds: limits.withhold !== null && probability >= limits.withhold }
  }
  if (found === undefined) return []
  const { which, probability, withholds } = found
  const warning = { code: 'electrodes-exchanged', which, probability: Math.round(1000 * probability) / 1000 } as const
  return [withholds ? { ...warning, withholds } : warning]
}
