/**
 * Derives the limb leads of a source that stores only I and II, without loss.
 * @module
 */
import { LEADS, type LeadName } from '../../shared/domain/leads.ts'
import { MISSING_SAMPLE, type RecordedLead } from '../../shared/domain/recording.ts'

/** A lead in its own steps: a·I + b·II, where a step is `share` of a step of I and II (Einthoven 1912, Goldberger 1942). */
const DERIVED: readonly { name: LeadName; a: number; b: number; share: number }[] = [
  { name: 'III', a: -1, b: 1, share: 1 },
  { name: 'aVR', a: -1, b: -1, share: 0.5 },
  { name: 'aVL', a: 2, b: -1, share: 0.5 },
  { name: 'aVF', a: -1, b: 2, share: 0.5 },
]

/**
 * The leads in their standard order, with missing limb leads derived. Unchanged when I or II is missing, or when they differ in gain or
 * length.
 */
export function withLimbLeads(leads: readonly RecordedLead[]): RecordedLead[] {
  const [one, two] = [leads.find(({ name }) => name === 'I'), leads.find(({ name }) => name === 'II')]
  const isPair =
    one !== undefined && two !== undefined && one.gainUv === two.gainUv && one.samples.length === two.samples.length
  const missing = isPair ? DERIVED.filter(({ name }) => leads.every((lead) => lead.name !== name)) : []
  const derived = missing.map(({ name, a, b, share }) => ({
    name,
    gainUv: one!.gainUv * share,
    samples: one!.samples.map((value, i) => {
      const other = two!.samples[i]!
      return value === MISSING_SAMPLE || other === MISSING_SAMPLE ? MISSING_SAMPLE : a * value + b * other
    }),
  }))
  return [...leads, ...derived].sort((a, b) => LEADS.indexOf(a.name) - LEADS.indexOf(b.name))
}
