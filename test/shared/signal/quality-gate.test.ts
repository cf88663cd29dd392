import { beforeAll, describe, expect, test } from 'vitest'
import { LEADS, type LeadName } from '../../../shared/domain/leads.ts'
import type { GateLead } from '../../../shared/signal/quality-gate.ts'
import { Resampler } from '../../../shared/signal/resample.ts'
import { CORRUPTIONS, randomNumbers } from '../../helpers/corruptions.ts'
import { hasData, NO_DATA } from '../../helpers/data-folder.ts'
import { newGate, type QualityStudy, realEcgs, studyQuality } from '../../helpers/quality-study.ts'
import { leadMv, syntheticRecording } from '../../helpers/recordings.ts'

const RATES_HZ = [100, 128, 250, 360, 500, 1000, 2000]

function cleanLeads(options: Parameters<typeof syntheticRecording>[0] = {}): GateLead[] {
  return syntheticRecording(options).leads.map(({ name, gainUv, samples }) => ({
    name,
    gainUv,
    mv: leadMv({ name, gainUv, samples }),
  }))
}

/** The leads, of which the first `count` went through `damage`. */
function damaged(leads: readonly GateLead[], count: number, damage: (mv: Float64Array, place: number) => Float64Array) {
  return leads.map((lead, place) => (place < count ? { ...lead, mv: damage(lead.mv, place) } : lead))
}

const constant = (mv: Float64Array) => mv.map(() => 0.4)

function withSpikes(mv: Float64Array, rateHz: number): Float64Array {
  const spiked = mv.slice()
  for (let second = 0.4; second < mv.length / rateHz; second += 0.8) spiked[Math.round(second * rateHz)]! += 0.5
  return spiked
}

/** Damage that is taken off before the gate judges. */
const IS_REMOVED = /^mains/

describe('the quality gate', () => {
  test.each(RATES_HZ)('accepts a clean ECG at %i Hz', (rateHz) => {
    const { verdict, reasons, leads } = newGate().judge({ rateHz, leads: cleanLeads({ rateHz }) })

    expect([verdict, reasons]).toEqual(['acceptable', []])
    expect([...leads.keys()]).toEqual(LEADS)
    expect(new Set(leads.values())).toEqual(new Set(['acceptable']))
  })

  test.each([35, 200])('accepts a clean ECG at %i beats per minute', (heartRateBpm) => {
    const { verdict } = newGate().judge({ rateHz: 500, leads: cleanLeads({ heartRateBpm }) })

    expect(verdict).toBe('acceptable')
  })

  test('accepts ventricular tachycardia, which has no resting phase', () => {
    const sine = (mv: Float64Array) => mv.map((_, i) => 1.5 * Math.sin((2 * Math.PI * 3.1 * i) / 500) ** 3)

    const { verdict } = newGate().judge({ rateHz: 500, leads: damaged(cleanLeads(), 12, sine) })

    expect(verdict).toBe('acceptable')
  })

  test.each([
    ['six of twelve', 6, 'acceptable', []],
    ['seven of twelve', 7, 'refused', ['flat']],
  ] as const)('refuses when most leads are bad: %s', (_, bad, verdict, reasons) => {
    const judged = newGate().judge({ rateHz: 500, leads: damaged(cleanLeads(), bad, constant) })

    expect(judged).toMatchObject({ verdict, reasons })
  })

  test('accepts one good lead of two', () => {
    const leads = damaged(cleanLeads({ leads: ['II', 'V5'] }), 1, constant)

    const judged = newGate().judge({ rateHz: 500, leads })

    expect(judged.verdict).toBe('acceptable')
    expect(judged.leads).toEqual(
      new Map<LeadName, string>([
        ['II', 'flat'],
        ['V5', 'acceptable'],
      ]),
    )
  })

  test('names the most frequent reason first', () => {
    const mixed = (mv: Float64Array, place: number) => (place < 2 ? constant(mv) : mv.map(() => Number.NaN))

    const { reasons } = newGate().judge({ rateHz: 500, leads: damaged(cleanLeads(), 8, mixed) })

    expect(reasons).toEqual(['gap', 'flat'])
  })

  test.each([
    ['an ECG without leads', []],
    ['8.99 s', cleanLeads({ seconds: 8.99 })],
    ['one sample', cleanLeads({ seconds: 0.002 })],
  ])('refuses %s as too short', (_, leads) => {
    expect(newGate().judge({ rateHz: 500, leads })).toMatchObject({ verdict: 'refused', reasons: ['too-short'] })
  })

  test.each([
    ['accepts a gap of 0.2 s', [100], 'acceptable'],
    ['accepts several short gaps', [60, 60, 60], 'acceptable'],
    ['refuses a lead with a longer gap', [101], 'gap'],
    ['refuses a lead with too many short gaps', Array(8).fill(80), 'gap'],
  ])('%s', (_, gaps: number[], verdict) => {
    const drop = (mv: Float64Array) => {
      const holed = mv.slice()
      for (const [index, length] of gaps.entries()) holed.fill(Number.NaN, 600 * index + 50, 600 * index + 50 + length)
      return holed
    }

    const { leads } = newGate().judge({ rateHz: 500, leads: damaged(cleanLeads(), 1, drop) })

    expect(leads.get('I')).toBe(verdict)
  })

  test('refuses an ECG with pacemaker spikes in all leads', () => {
    const leads = damaged(cleanLeads(), 12, (mv) => withSpikes(mv, 500))

    expect(newGate().judge({ rateHz: 500, leads })).toMatchObject({ verdict: 'refused', reasons: ['paced'] })
  })

  test('treats spikes in one lead as an artefact', () => {
    const leads = damaged(cleanLeads(), 1, (mv) => withSpikes(mv, 500))

    expect(newGate().judge({ rateHz: 500, leads }).reasons).toEqual([])
  })

  test('does not report pacing at a sampling rate too low to show it', () => {
    const leads = damaged(cleanLeads({ rateHz: 250 }), 12, (mv) => withSpikes(mv, 250))

    expect(newGate().judge({ rateHz: 250, leads }).reasons).not.toContain('paced')
  })

  test.each(
    RATES_HZ.flatMap((rateHz) =>
      CORRUPTIONS.filter(({ seenAt100Hz }) => seenAt100Hz || rateHz >= 200).map(
        (kind) => [kind.name, rateHz, kind] as const,
      ),
    ),
  )('refuses %s at %i Hz (accepts mains hum, which is removed first)', (name, rateHz, { apply }) => {
    const leads = damaged(cleanLeads({ rateHz }), 12, (mv, place) => apply(mv, rateHz, randomNumbers(place)))

    const { verdict } = newGate().judge({ rateHz, leads })

    expect(verdict).toBe(IS_REMOVED.test(name) ? 'acceptable' : 'refused')
  })

  test('gives the same verdict regardless of earlier windows', () => {
    const gate = newGate()
    const window = { rateHz: 500, leads: cleanLeads() }
    const first = gate.judge(window)
    gate.judge({ rateHz: 250, leads: damaged(cleanLeads({ rateHz: 250 }), 12, constant) })

    expect(gate.judge(window)).toEqual(first)
  })
})

describe.skipIf(!hasData)(`the quality gate on real ECGs${NO_DATA}`, () => {
  const PACKED_COUNT = 100
  const DAMAGE_EVERY = 16
  let study: QualityStudy
  beforeAll(async () => {
    study = await studyQuality(PACKED_COUNT, DAMAGE_EVERY)
  })

  test('refuses at most 1% of the ECGs and 2% of the leads', () => {
    const ecgs = study.sources.reduce((sum, row) => sum + row.ecgs, 0)
    const refused = study.sources.reduce((sum, row) => sum + row.refused.length, 0)
    const leads = study.sources.reduce((sum, row) => sum + row.leads, 0)
    const refusedLeads = study.sources.flatMap((row) => [...row.refusedLeads.values()]).reduce((a, b) => a + b, 0)

    expect(ecgs).toBe(386 + PACKED_COUNT)
    expect(refused / ecgs).toBeLessThanOrEqual(0.01)
    expect(refusedLeads / leads).toBeLessThanOrEqual(0.02)
  })

  test('calls an ECG paced only when its label says so', () => {
    expect(study.sources.flatMap(({ paced }) => paced.unlabelled)).toEqual([])
  })

  test('detects twelve kinds of damage', () => {
    const counted = study.corruptions.filter(({ name }) => !IS_REMOVED.test(name))
    const sum = (of: (row: (typeof counted)[number]) => number) => counted.reduce((total, row) => total + of(row), 0)

    expect(new Set(study.corruptions.map(({ name }) => name)).size).toBe(12)
    expect(counted.filter(({ caught, leads }) => caught < 0.9 * leads)).toEqual([])
    expect(sum(({ caught }) => caught) / sum(({ leads }) => leads)).toBeGreaterThanOrEqual(0.99)
    expect(sum(({ refused }) => refused)).toBe(sum(({ windows }) => windows))
  })

  test('gives the same verdict at 100 Hz as at 500 Hz', async () => {
    const gate = newGate()
    const toSlow = new Resampler(500, 100)
    let leads = 0
    const differing: string[] = []

    for await (const { id, rateHz, leads: fast } of realEcgs(0)) {
      const slow = fast.map((lead) => {
        const mv = new Float64Array(lead.mv.length / 5)
        toSlow.run(lead.mv, mv)
        return { ...lead, mv }
      })
      const atFull = gate.judge({ rateHz, leads: fast }).leads
      const atSlow = gate.judge({ rateHz: 100, leads: slow }).leads
      for (const name of atFull.keys()) {
        leads++
        if ((atFull.get(name) === 'acceptable') !== (atSlow.get(name) === 'acceptable')) differing.push(`${id} ${name}`)
      }
    }

    expect(leads).toBe(386 * 12)
    expect(differing.length / leads).toBeLessThanOrEqual(0.002)
  })
})
