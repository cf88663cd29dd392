/**
 * Attribution: which half seconds of an ECG changed a network's scores, by occlusion (Zeiler and Fergus, 2014). Each half second of each
 * lead is replaced by the lead's median, and the network is run again. The decrease of a condition's log-odds is what that stretch
 * contributed.
 *
 * It shows what this network responded to, not what is wrong with the heart. Stretches that matter only in combination are not found.
 * @module
 */
import type { ConditionId } from '../domain/conditions.ts'
import { LEADS, type LeadName } from '../domain/leads.ts'
import type { Person } from '../domain/recording.ts'
import type { CleanWindow } from '../waveform/clean-codec.ts'
import type { Screener } from './screener.ts'
import { samplesOf } from './session.ts'

export const ATTRIBUTION_METHOD = 'occlusion-v1'

/** Stretches in a window of ten seconds; each holds about one beat or less. */
export const STRETCHES = 20

/** Cross-fade at each end of a stretch, as a share of its length (1/25 of half a second), so that no edge looks like a wave. */
const FADE = 1 / 25

/** Variants per call of the network: the fastest of 1, 8 and 24. */
const BATCH = 8

/** Changes in log-odds for one condition. Positive: the stretch increased the score. */
export interface ConditionAttribution {
  readonly condition: ConditionId
  readonly leads: readonly { readonly lead: LeadName; readonly changes: readonly number[] }[]
}

/** A stretch of a lead: index in `LEADS`, and number of the half second. */
export interface Cell {
  readonly lead: number
  readonly stretch: number
}

/**
 * Attributes all conditions at once. For twelve leads the network runs 241 times.
 * @example
 * const [cad] = await attribute(screener, clean, person)
 */
export async function attribute(
  screener: Screener,
  window: CleanWindow,
  person: Person = {},
): Promise<readonly ConditionAttribution[]> {
  const leads = LEADS.keys()
    .filter((lead) => window.leadMask[lead] === 1)
    .toArray()
  const cells = leads.flatMap((lead) => Array.from({ length: STRETCHES }, (_, stretch): Cell => ({ lead, stretch })))
  const [whole, ...without] = await logOddsWithout(screener, window, person, [[], ...cells.map((cell) => [cell])])
  return screener.bundle.manifest.conditions.map(({ id }, condition) => ({
    condition: id,
    leads: leads.map((lead, i) => ({
      lead: LEADS[lead]!,
      changes: Array.from({ length: STRETCHES }, (_, stretch) =>
        short(whole![condition]! - without[i * STRETCHES + stretch]![condition]!),
      ),
    })),
  }))
}

/** Log-odds of the window without each of these sets of stretches; conditions in the manifest's order. */
export async function logOddsWithout(
  screener: Screener,
  window: CleanWindow,
  person: Person,
  sets: readonly (readonly Cell[])[],
): Promise<readonly (readonly number[])[]> {
  const samples = samplesOf(window)
  const medians = LEADS.map((_, lead) => median(leadOf(samples, lead)))
  const answers: number[][] = []
  for (let at = 0; at < sets.length; at += BATCH) {
    const batch = sets.slice(at, at + BATCH)
    const ecg = new Float32Array(batch.length * samples.length)
    for (const [i, cells] of batch.entries()) {
      const variant = ecg.subarray(i * samples.length, (i + 1) * samples.length)
      variant.set(samples)
      for (const { lead, stretch } of cells) flatten(leadOf(variant, lead), stretch, medians[lead]!)
    }
    answers.push(...(await screener.logOddsOfVariants(batch.length, ecg, window, person)))
  }
  return answers
}

/** Replaces a stretch of a lead by a flat line, in place. */
function flatten(lead: Float32Array, stretch: number, level: number): void {
  const width = lead.length / STRETCHES
  const [begin, end] = [Math.round(stretch * width), Math.round((stretch + 1) * width)]
  const fade = Math.max(1, Math.round(width * FADE))
  for (let i = begin; i < end; i++) {
    const weight = Math.min(1, (i - begin + 1) / fade, (end - i) / fade)
    lead[i] = lead[i]! + weight * (level - lead[i]!)
  }
}

function leadOf(ecg: Float32Array, lead: number): Float32Array {
  const samples = ecg.length / LEADS.length
  return ecg.subarray(lead * samples, (lead + 1) * samples)
}

const median = (values: Float32Array) => values.toSorted()[values.length >> 1]!

/** Rounds to a thousandth of log-odds, finer than any display shows. */
const short = (value: number) => Math.round(value * 1000) / 1000
