import { describe, expect, it } from 'vitest'
import { type LeadName, LIMB_LEADS } from '../../../shared/domain/leads.ts'
import { deriveLimbLeads } from '../../../shared/signal/limb-leads.ts'

/** All six limb leads of the same three electrodes, by their definitions (RA, LA, LL in mV). */
function limbLeads(): Map<LeadName, Float64Array> {
  const [ra, la, ll] = [Float64Array.of(0.1, -0.3), Float64Array.of(0.5, 0.2), Float64Array.of(1.1, -0.4)]
  const of = (f: (r: number, a: number, l: number) => number) => ra.map((r, i) => f(r, la[i]!, ll[i]!))
  return new Map<LeadName, Float64Array>([
    ['I', of((r, a) => a - r)],
    ['II', of((r, _, l) => l - r)],
    ['III', of((_, a, l) => l - a)],
    ['aVR', of((r, a, l) => r - (a + l) / 2)],
    ['aVL', of((r, a, l) => a - (r + l) / 2)],
    ['aVF', of((r, a, l) => l - (r + a) / 2)],
  ])
}

const pairs = LIMB_LEADS.flatMap((a, i) => LIMB_LEADS.slice(i + 1).map((b) => [a, b] as const))

describe('deriveLimbLeads', () => {
  it.each(pairs)('derives the other four from %s and %s', (a, b) => {
    const truth = limbLeads()
    const known = new Map([a, b].map((name) => [name, truth.get(name)!]))

    const derived = deriveLimbLeads(known)

    expect([...derived.keys()]).toEqual(LIMB_LEADS.filter((name) => name !== a && name !== b))
    for (const [name, samples] of derived) {
      for (const [i, value] of samples.entries()) expect(value).toBeCloseTo(truth.get(name)![i]!, 12)
    }
  })

  it('derives nothing from a single limb lead, and never a precordial one', () => {
    const known = new Map<LeadName, Float64Array>([
      ['II', Float64Array.of(1)],
      ['V1', Float64Array.of(1)],
      ['V2', Float64Array.of(1)],
    ])

    expect(deriveLimbLeads(known).size).toBe(0)
  })
})
