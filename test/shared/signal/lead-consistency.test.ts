import { describe, expect, test } from 'vitest'
import { LEADS, type LeadName } from '../../../shared/domain/leads.ts'
import { CARDIACNETS_V1 } from '../../../shared/signal/profile.ts'
import { WindowPreparer } from '../../../shared/signal/window-preparer.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'

const ecg = syntheticRecording({ seconds: 10, rateHz: 500, gainUv: 5 })
const preparer = new WindowPreparer(CARDIACNETS_V1)

/** The warnings for the ECG with leads replaced or changed. */
function warningsWith(change: (name: LeadName) => Int32Array | undefined) {
  const leads = ecg.leads.map((lead) => ({ ...lead, samples: change(lead.name) ?? lead.samples }))
  return preparer.prepare({ ...ecg, leads }).warnings
}

const samplesOf = (name: LeadName) => ecg.leads.find((lead) => lead.name === name)!.samples

describe('lead-consistency warnings', () => {
  test('are absent when the leads are consistent', () => {
    expect(warningsWith(() => undefined)).toEqual([])
  })

  test('withhold the findings when all leads repeat one trace', () => {
    expect(warningsWith(() => samplesOf('II'))).toEqual([{ code: 'leads-identical', leads: LEADS, withholds: true }])
  })

  test('name two identical leads', () => {
    const [warning] = warningsWith((name) => (name === 'V3' ? samplesOf('V4') : undefined))

    expect(warning).toMatchObject({ code: 'leads-identical', leads: ['V3', 'V4'] })
  })

  test.each([
    ['III', 'V1'],
    ['aVR', 'V5'],
    ['aVF', 'V6'],
  ] as const)('name %s when it contradicts leads I and II', (name, other) => {
    const stronger = samplesOf(other).map((value) => Math.round(1.5 * value))

    expect(warningsWith((each) => (each === name ? stronger : undefined))).toContainEqual({
      code: 'leads-disagree',
      leads: [name],
    })
  })

  test('tolerate an offset, a slow drift and rounding', () => {
    const warnings = warningsWith((name) =>
      name === 'III'
        ? samplesOf(name).map((value, i) => value + 60 + Math.round(20 * Math.sin(i / 800)) + (i % 2))
        : undefined,
    )

    expect(warnings).toEqual([])
  })
})
