import { describe, expect, it } from 'vitest'
import { LEADS, type LeadName } from '../../../shared/domain/leads.ts'
import { MISSING_SAMPLE, type Recording } from '../../../shared/domain/recording.ts'
import { HumRemover } from '../../../shared/signal/hum.ts'
import { CARDIACNETS_V1 } from '../../../shared/signal/profile.ts'
import { WindowPreparer } from '../../../shared/signal/window-preparer.ts'
import { CORRUPTIONS, randomNumbers } from '../../helpers/corruptions.ts'
import { leadMv, syntheticRecording } from '../../helpers/recordings.ts'

const prepare = (recording: Recording, heartRateBpm?: number) =>
  new WindowPreparer(CARDIACNETS_V1).prepare(recording, heartRateBpm)

/** A share of a kind of damage. */
function partOf(name: string, share: number, mv: Float64Array, random: () => number): Float64Array {
  const whole = CORRUPTIONS.find((kind) => kind.name.startsWith(name))!.apply(mv, 500, random)
  return mv.map((value, i) => value + share * (whole[i]! - value))
}

function wander(mv: Float64Array, random: () => number): Float64Array {
  const phase = 2 * Math.PI * random()
  return mv.map((value, i) => value + 1.5 * Math.sin((2 * Math.PI * 0.3 * i) / 500 + phase))
}

function pops(mv: Float64Array, random: () => number): Float64Array {
  const out = mv.slice()
  for (let pop = 0; pop < 8; pop++) {
    const at = Math.floor(random() * (mv.length - 20))
    for (let i = at; i < at + 20; i++) out[i]! += 2
  }
  return out
}

/** The recording with one lead's samples changed. */
function withLead(recording: Recording, name: LeadName, change: (samples: Int32Array) => Int32Array): Recording {
  return {
    ...recording,
    leads: recording.leads.map((lead) =>
      lead.name === name ? { ...lead, samples: change(lead.samples.slice()) } : lead,
    ),
  }
}

describe('WindowPreparer', () => {
  it('finds leads by name, in any order', () => {
    const recording = syntheticRecording()
    const shuffled = { ...recording, leads: recording.leads.toReversed() }

    expect(prepare(shuffled)).toEqual(prepare(recording))
  })

  it('scales each lead to [−1, 1] and keeps its amplitude', () => {
    const { clean } = prepare(syntheticRecording())

    for (const lead of LEADS.keys()) {
      const codes = clean!.codes.subarray(lead * 5000, (lead + 1) * 5000)
      expect(Math.min(...codes)).toBe(-4095)
      expect(Math.max(...codes)).toBe(4095)
      expect(clean!.amplitude[2 * lead]!).toBeLessThan(clean!.amplitude[2 * lead + 1]!)
    }
  })

  it('derives missing limb leads and marks them', () => {
    const { quality, clean } = prepare(syntheticRecording({ leads: ['II', 'I', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6'] }))

    expect(quality.derived).toEqual(['III', 'aVR', 'aVL', 'aVF'])
    expect([...clean!.leadMask]).toEqual(LEADS.map(() => 1))
    const whole = prepare(syntheticRecording()).clean!
    for (const [i, value] of clean!.amplitude.entries()) expect(value).toBeCloseTo(whole.amplitude[i]!, 2)
  })

  it('marks a missing precordial lead and never derives it', () => {
    const { quality, clean } = prepare(syntheticRecording({ leads: LEADS.filter((name) => name !== 'V3') }))

    expect(quality.leads.V3).toBe('missing')
    expect(quality.verdict).toBe('acceptable')
    expect(clean!.leadMask[LEADS.indexOf('V3')]).toBe(0)
    const start = LEADS.indexOf('V3') * 5000
    expect(clean!.codes.subarray(start, start + 5000).every((code) => code === 0)).toBe(true)
  })

  it('leaves out an unusable lead, and does not derive it from others', () => {
    const flat = withLead(syntheticRecording(), 'III', (samples) => samples.fill(0))

    const { quality, clean } = prepare(flat)

    expect(quality.leads.III).toBe('flat')
    expect(quality.derived).toEqual([])
    expect(clean!.leadMask[LEADS.indexOf('III')]).toBe(0)
  })

  it('bridges a gap of 200 ms and refuses a lead with a longer one', () => {
    const gap = (samples: number) =>
      withLead(syntheticRecording(), 'V5', (lead) => lead.fill(MISSING_SAMPLE, 1000, 1000 + samples))

    expect(prepare(gap(100)).quality.leads.V5).toBe('acceptable')
    expect(prepare(gap(101)).quality.leads.V5).toBe('gap')
  })

  it.each([
    ['uses the device’s heart rate', 66, 66],
    ['measures the rate when the device’s is implausible', 400, 72],
    ['measures the rate when the device states none', undefined, 72],
  ])('%s (heart rate %s → %i)', (_, stated, expected) => {
    expect(prepare(syntheticRecording({ heartRateBpm: 72 }), stated).quality.heartRateBpm).toBeCloseTo(expected, 0)
  })

  it('gives the same window regardless of earlier ones', () => {
    const preparer = new WindowPreparer(CARDIACNETS_V1)
    const first = preparer.prepare(syntheticRecording())

    preparer.prepare(syntheticRecording({ heartRateBpm: 120, leads: ['II'] }))
    preparer.prepare(syntheticRecording({ rateHz: 250 }))

    expect(preparer.prepare(syntheticRecording())).toEqual(first)
  })

  it.each([
    [9, true],
    [9.9, true],
    [9.998, false],
    [10, false],
  ])('accepts %s s as a window, and warns when it was padded', (seconds, isSaid) => {
    const { quality, clean, warnings } = prepare(syntheticRecording({ seconds }))

    expect(quality.verdict).toBe('acceptable')
    expect(clean!.codes).toHaveLength(12 * 5000)
    expect(warnings.map(({ code }) => code)).toEqual(isSaid ? ['window-padded'] : [])
  })

  it.each([50, 50.08, 60])('removes %s Hz hum of 0.3 mV almost without a trace', (hz) => {
    const recording = syntheticRecording({ heartRateBpm: 67 })
    const humming = {
      ...recording,
      leads: recording.leads.map((lead, place) => ({
        ...lead,
        samples: lead.samples.map((uv, i) => Math.round(uv + 300 * Math.sin((2 * Math.PI * hz * i) / 500 + place))),
      })),
    }

    const { quality, clean } = prepare(humming)

    expect(quality.verdict).toBe('acceptable')
    expect(Object.values(quality.leads)).toEqual(LEADS.map(() => 'acceptable'))
    const quiet = prepare(recording).clean!
    // aVL has complexes of a tenth of a millivolt.
    for (const name of LEADS.filter((lead) => lead !== 'aVL')) {
      const at = LEADS.indexOf(name)
      for (const end of [0, 1]) {
        expect(Math.abs(clean!.amplitude[2 * at + end]! - quiet.amplitude[2 * at + end]!), name).toBeLessThan(0.03)
      }
    }
  })

  it('leaves a lead without hum bit for bit unchanged', () => {
    const mv = leadMv(syntheticRecording().leads[1]!)
    const before = mv.slice()

    expect(new HumRemover(500, 5000).remove(mv)).toBeUndefined()
    expect(mv).toEqual(before)
  })

  it('accepts a slow baseline wander of 1.5 mV, and refuses baseline steps', () => {
    const moved = (by: (second: number) => number) => {
      const recording = syntheticRecording()
      const leads = recording.leads.map((lead) => ({
        ...lead,
        samples: lead.samples.map((uv, i) => Math.round(uv + 1000 * by(i / 500))),
      }))
      return prepare({ ...recording, leads }).quality
    }

    expect(moved((second) => 1.5 * Math.sin(2 * Math.PI * 0.3 * second)).leads.II).toBe('acceptable')
    expect(moved((second) => (second % 5 > 2.5 ? 3 : 0))).toMatchObject({ verdict: 'refused', reasons: ['noise'] })
  })

  it.each([
    [
      'electrode motion of .25 mV',
      (mv: Float64Array, random: () => number) => partOf('electrode motion', 0.25, mv, random),
    ],
    ['baseline jumps of 1.5 mV', (mv: Float64Array, random: () => number) => partOf('baseline jumps', 0.5, mv, random)],
    ['a wander of 1.5 mV with a different phase in each lead', wander],
    ['eight pops', pops],
  ])('refuses beat-to-beat disturbance as noise: %s', (_, disturb) => {
    const { leads, rateHz } = syntheticRecording()
    const moved = leads.map((lead, place) => ({
      ...lead,
      gainUv: 1,
      samples: Int32Array.from(disturb(leadMv(lead), randomNumbers(place)), (value) => Math.round(1000 * value)),
    }))

    const { quality, clean } = new WindowPreparer(CARDIACNETS_V1).prepare({ rateHz, leads: moved })

    expect(quality).toMatchObject({ verdict: 'refused', reasons: ['noise'] })
    expect(clean).toBeUndefined()
  })

  it('refuses a window that is too short, and throws at one that is too long', () => {
    expect(prepare(syntheticRecording({ seconds: 8.9 })).quality.reasons).toEqual(['too-short'])
    expect(() => prepare(syntheticRecording({ seconds: 11 }))).toThrow(
      expect.objectContaining({ code: 'payload-too-large' }),
    )
  })
})
