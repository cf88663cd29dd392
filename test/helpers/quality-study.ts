/**
 * The quality gate's verdicts on real and on damaged ECGs: the figures of docs/quality-gate.md and of its test.
 * @module
 */
import { readFileSync } from 'node:fs'
import type { QualityReason } from '../../shared/domain/quality.ts'
import { MIN_WINDOW_S, WINDOW_S } from '../../shared/domain/window.ts'
import { HumRemover } from '../../shared/signal/hum.ts'
import { CARDIACNETS_V1 } from '../../shared/signal/profile.ts'
import { type GateLead, type GateVerdict, type GateWindow, QualityGate } from '../../shared/signal/quality-gate.ts'
import { readRecording } from '../../streams/formats/index.ts'
import { CORRUPTIONS, randomNumbers } from './corruptions.ts'
import { headersIn, packedEcgs } from './data-folder.ts'
import { leadMv } from './recordings.ts'

export interface RealEcg {
  readonly source: string
  readonly id: string
  readonly rateHz: number
  /** The first ten seconds. */
  readonly leads: readonly GateLead[]
  /** According to its labels. */
  readonly isPaced: boolean
}

const WFDB_FOLDERS = ['ludb/data', 'ptbxl500', 'cinc2021']

/** SNOMED CT 10370003, or LUDB's words. */
const PACED = /10370003|pacing\./i

const PACKED_GAIN_UV = 5

/** A fold of PTB-XL that no threshold was chosen on (those were on fold 1). */
const PACKED_FOLD = 2

/** Every ECG at 500 Hz, and the first `packedCount` of a fold of PTB-XL at 100 Hz. */
export async function* realEcgs(packedCount: number): AsyncGenerator<RealEcg> {
  for (const folder of WFDB_FOLDERS) {
    for (const header of headersIn(folder)) {
      const { rateHz, leads } = await readRecording(header)
      yield {
        source: folder.split('/')[0]!,
        id: header.split('/').at(-1)!.replace('.hea', ''),
        rateHz,
        leads: leads.map((lead) => ({ ...lead, mv: leadMv(lead).subarray(0, WINDOW_S * rateHz) })),
        isPaced: PACED.test(readFileSync(header, 'utf8')),
      }
    }
  }
  if (packedCount === 0) return
  for (const { id, rateHz, leads } of packedEcgs(PACKED_FOLD, packedCount)) {
    yield {
      source: 'ptbxl100',
      id,
      rateHz,
      leads: [...leads].map(([name, mv]) => ({ name, mv, gainUv: PACKED_GAIN_UV })),
      isPaced: false,
    }
  }
}

/** The gate as `WindowPreparer` asks it: hum is taken off first. */
export const newGate = () => {
  const gate = new QualityGate({ minSeconds: MIN_WINDOW_S, maxBridgedGapMs: CARDIACNETS_V1.maxBridgedGapMs })
  const removers = new Map<number, HumRemover>()
  return {
    judge({ rateHz, leads }: GateWindow): GateVerdict {
      const remover = removers.get(rateHz) ?? new HumRemover(rateHz, WINDOW_S * rateHz)
      removers.set(rateHz, remover)
      const quiet = leads.map((lead) => {
        const mv = lead.mv.slice()
        remover.remove(mv)
        return { ...lead, mv }
      })
      return gate.judge({ rateHz, leads: quiet })
    },
  }
}

export interface SourceRow {
  source: string
  ecgs: number
  /** Refused for another reason than pacing. */
  refused: { id: string; reasons: readonly QualityReason[] }[]
  paced: { labelled: number; found: number; unlabelled: string[] }
  leads: number
  refusedLeads: Map<QualityReason, number>
}

export interface CorruptionRow {
  name: string
  rateHz: number
  /** Leads damaged one at a time, those refused, and why. */
  leads: number
  caught: number
  reasons: Map<string, number>
  /** Windows damaged in all leads, and those refused. */
  windows: number
  refused: number
}

export interface QualityStudy {
  readonly sources: SourceRow[]
  readonly corruptions: CorruptionRow[]
}

/**
 * Judges each ECG unchanged, and one in `damageEvery` with each kind of damage: in one lead (another for each ECG), and in all.
 * @param packedCount ECGs at 100 Hz
 */
export async function studyQuality(packedCount: number, damageEvery: number): Promise<QualityStudy> {
  const gate = newGate()
  const sources = new Map<string, SourceRow>()
  const corruptions = new Map<string, CorruptionRow>()
  let index = 0
  for await (const ecg of realEcgs(packedCount)) {
    const verdict = gate.judge(ecg)
    countReal(sources, ecg, verdict)
    if (index % damageEvery === 0) countCorrupted(corruptions, ecg, verdict.leads, index / damageEvery, gate)
    index++
  }
  return { sources: [...sources.values()], corruptions: [...corruptions.values()] }
}

/** Damage that is added to a lead, and so can be added in parts. */
const ADDED = /^(muscle|mains|baseline jumps|electrode motion)/

/** How many of the leads at 500 Hz are refused when a part of a kind of damage is added to them, one in `damageEvery` ECGs. */
export async function studyStrength(strengths: readonly number[], damageEvery: number): Promise<Map<string, number[]>> {
  const gate = newGate()
  const shares = new Map<string, number[]>()
  const judged: GateLead[] = []
  let index = 0
  for await (const { leads, rateHz } of realEcgs(0)) {
    if (index++ % damageEvery !== 0) continue
    const verdicts = gate.judge({ rateHz, leads }).leads
    judged.push(...leads.filter(({ name }) => verdicts.get(name) === 'acceptable'))
  }
  for (const { name, apply } of CORRUPTIONS.filter(({ name }) => ADDED.test(name))) {
    const refused = strengths.map((strength) => {
      const verdicts = judged.map((lead, place) => {
        const whole = apply(lead.mv, 500, randomNumbers(place))
        const mv = lead.mv.map((value, i) => value + strength * (whole[i]! - value))
        return gate.judge({ rateHz: 500, leads: [{ ...lead, mv }] }).verdict
      })
      return verdicts.filter((verdict) => verdict === 'refused').length / judged.length
    })
    shares.set(name, refused)
  }
  return shares
}

function countReal(rows: Map<string, SourceRow>, { source, id, isPaced, leads }: RealEcg, verdict: GateVerdict): void {
  const row: SourceRow = rows.get(source) ?? {
    source,
    ecgs: 0,
    refused: [],
    paced: { labelled: 0, found: 0, unlabelled: [] },
    leads: 0,
    refusedLeads: new Map(),
  }
  rows.set(source, row)
  row.ecgs++
  row.leads += leads.length
  for (const reason of verdict.leads.values()) {
    if (reason !== 'acceptable' && reason !== 'missing') increment(row.refusedLeads, reason)
  }
  const reasons = verdict.reasons.filter((reason) => reason !== 'paced')
  if (reasons.length > 0) row.refused.push({ id, reasons })
  if (isPaced) row.paced.labelled++
  if (!verdict.reasons.includes('paced')) return
  if (isPaced) row.paced.found++
  else row.paced.unlabelled.push(id)
}

function countCorrupted(
  rows: Map<string, CorruptionRow>,
  { rateHz, leads }: RealEcg,
  before: GateVerdict['leads'],
  index: number,
  gate: ReturnType<typeof newGate>,
): void {
  const sound = leads.filter(({ name }) => before.get(name) === 'acceptable')
  const chosen = sound[index % sound.length]
  // What is already bad cannot be damaged.
  if (chosen === undefined || sound.length < leads.length) return
  for (const [kind, { name, seenAt100Hz, apply }] of CORRUPTIONS.entries()) {
    if (!seenAt100Hz && rateHz < 200) continue
    const damage = (lead: GateLead, place: number): GateLead => ({
      ...lead,
      mv: apply(lead.mv, rateHz, randomNumbers(1000 * index + 13 * kind + place)),
    })
    const row: CorruptionRow = rows.get(`${kind} ${rateHz}`) ?? {
      name,
      rateHz,
      leads: 0,
      caught: 0,
      reasons: new Map(),
      windows: 0,
      refused: 0,
    }
    rows.set(`${kind} ${rateHz}`, row)
    const one = gate.judge({
      rateHz,
      leads: leads.map((lead, place) => (lead === chosen ? damage(lead, place) : lead)),
    })
    const verdict = one.leads.get(chosen.name)!
    row.leads++
    if (verdict !== 'acceptable') row.caught++
    increment(row.reasons, verdict)
    row.windows++
    if (gate.judge({ rateHz, leads: leads.map(damage) }).verdict === 'refused') row.refused++
  }
}

function increment<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}
