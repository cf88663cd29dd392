import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { ELECTRODE_EXCHANGES, type ElectrodeExchange } from '../../../shared/domain/electrodes.ts'
import type { LeadName } from '../../../shared/domain/leads.ts'
import type { RecordedLead, Recording } from '../../../shared/domain/recording.ts'
import { warningText } from '../../../shared/domain/warnings.ts'
import { exchangeProbabilities } from '../../../shared/signal/electrodes.ts'
import { CARDIACNETS_V1 } from '../../../shared/signal/profile.ts'
import { WindowPreparer } from '../../../shared/signal/window-preparer.ts'
import { hasData, NO_DATA, type PackedEcg, packedEcgs } from '../../helpers/data-folder.ts'

interface Vector {
  readonly kind: string
  readonly parts: readonly number[]
  readonly probabilities: readonly number[]
}

const vectors: readonly Vector[] = JSON.parse(
  readFileSync(join(import.meta.dirname, 'vectors/electrodes.json'), 'utf8'),
)

describe('the electrode-exchange network', () => {
  it('gives the same probabilities as in Python', () => {
    for (const { parts, probabilities } of vectors) {
      const ours = [...exchangeProbabilities(parts).values()]

      expect(ours).toHaveLength(probabilities.length)
      for (const [i, value] of ours.entries()) expect(Math.abs(value - probabilities[i]!)).toBeLessThan(1e-5)
    }
  })

  it('does not depend on the gain', () => {
    const { parts } = vectors[1]!

    const [once, tenfold] = [parts, parts.map((value) => 10 * value)].map((each) => exchangeProbabilities(each))

    for (const [kind, value] of once!) expect(tenfold!.get(kind)).toBeCloseTo(value, 9)
  })
})

/** What the leads of a recording become. Leads that are not named stay. */
type Change = (lead: (name: LeadName) => Float64Array) => Partial<Record<LeadName, Float64Array>>

const plus = (a: Float64Array, x: number, b: Float64Array, y: number) => a.map((value, i) => x * value + y * b[i]!)

const CHANGES: Partial<Record<ElectrodeExchange, Change>> = {
  'RA-LA': (lead) => ({
    I: lead('I').map((v) => -v),
    II: lead('III'),
    III: lead('II'),
    aVR: lead('aVL'),
    aVL: lead('aVR'),
  }),
  'RA-LL': (lead) => ({
    I: lead('III').map((v) => -v),
    II: lead('II').map((v) => -v),
    III: lead('I').map((v) => -v),
    aVR: lead('aVF'),
    aVF: lead('aVR'),
  }),
  'RA-RL': (lead) => {
    const flat = lead('II').map(() => 0)
    const one = plus(lead('I'), 1, lead('II'), -1)
    const chest = (['V1', 'V2', 'V3', 'V4', 'V5', 'V6'] as const).map((name) => [
      name,
      plus(lead(name), 1, lead('II'), -1 / 3),
    ])
    return {
      I: one,
      II: flat,
      III: one.map((v) => -v),
      aVR: one.map((v) => -v / 2),
      aVL: one,
      aVF: one.map((v) => -v / 2),
      ...Object.fromEntries(chest),
    }
  },
  'V1-V6': (lead) => ({
    V1: lead('V6'),
    V2: lead('V5'),
    V3: lead('V4'),
    V4: lead('V3'),
    V5: lead('V2'),
    V6: lead('V1'),
  }),
  'V3-inverted': (lead) => ({ V3: lead('V3').map((v) => -v) }),
}

const recordingOf = (leads: ReadonlyMap<LeadName, Float64Array>, change: Change = () => ({})): Recording => {
  const changed = change((name) => leads.get(name)!)
  return {
    format: 'test',
    rateHz: 100,
    leads: [...leads].map(([name, mv]): RecordedLead => {
      const samples = Int32Array.from(changed[name] ?? mv, (value) => Math.round(value * 1000))
      return { name, gainUv: 1, samples }
    }),
  }
}

type Leads = PackedEcg['leads']

/** Of the fold that the limits were chosen on; docs/electrodes.md has the whole of fold 9. */
const ecgsOfFold8 = () => [...packedEcgs(8, 30)].map(({ leads }) => leads)

describe.skipIf(!hasData)(`electrodes of real ECGs, exchanged${NO_DATA}`, { timeout: 120_000 }, () => {
  let ecgs: readonly Leads[]
  beforeAll(() => {
    ecgs = ecgsOfFold8()
  })
  const preparer = new WindowPreparer(CARDIACNETS_V1)
  const warningsOf = (recording: Recording) => preparer.prepare(recording).warnings

  it('cause no warning when they are placed correctly', () => {
    const warned = ecgs.filter((leads) => warningsOf(recordingOf(leads)).length > 0)

    expect(warned.length).toBeLessThanOrEqual(2)
  })

  it.each(Object.entries(CHANGES))('cause a warning: %s', (which, change) => {
    const found = ecgs.filter((leads) => {
      const warnings = warningsOf(recordingOf(leads, change))
      return warnings.some((warning) => warning.code === 'electrodes-exchanged' && warning.which === which)
    })

    expect(found.length).toBeGreaterThanOrEqual(0.7 * ecgs.length)
  })

  it('withhold findings when the arms are exchanged, but not when one chest lead is inverted', () => {
    const count = (kind: 'RA-LA' | 'V3-inverted') =>
      ecgs.filter((leads) => warningsOf(recordingOf(leads, CHANGES[kind])).some(({ withholds }) => withholds === true))
        .length

    expect(count('RA-LA')).toBeGreaterThanOrEqual(0.7 * ecgs.length)
    expect(count('V3-inverted')).toBeLessThanOrEqual(1)
  })
})

describe.skipIf(!hasData)(`the gain of real ECGs${NO_DATA}`, { timeout: 120_000 }, () => {
  let ecgs: readonly Leads[]
  beforeAll(() => {
    ecgs = ecgsOfFold8()
  })
  const doubtful = (factor: number) => {
    const preparer = new WindowPreparer(CARDIACNETS_V1)
    return ecgs.map((leads) => {
      const scaled = new Map([...leads].map(([name, mv]) => [name, mv.map((value) => factor * value)] as const))
      const { quality, warnings } = preparer.prepare(recordingOf(scaled))
      return quality.verdict === 'refused' ? 'refused' : warnings.find(({ code }) => code === 'scale-doubtful')
    })
  }

  it('causes no warning when it is right', () => {
    expect(doubtful(1).filter((found) => found !== undefined).length).toBeLessThanOrEqual(1)
  })

  it.each([10, 0.1])('withholds findings when it is wrong by a factor of %s', (factor) => {
    const found = doubtful(factor)

    const told = found.filter((each) => each === 'refused' || each?.withholds === true)
    expect(told.length).toBeGreaterThanOrEqual(0.95 * ecgs.length)
  })
})

describe('the text of an electrode warning', () => {
  it.each(Object.entries(ELECTRODE_EXCHANGES))('states the effect on the leads: %s', (which, effect) => {
    const text = warningText({ code: 'electrodes-exchanged', which })

    expect(text).toContain(which)
    expect(text).toContain(effect)
    expect(text).toContain('nothing was corrected')
  })
})
