import { describe, expect, it } from 'vitest'
import { readIndices } from '../../../functions/synthesize/artifacts/indices.ts'
import { makeResult } from '../../helpers/results.ts'
import { synthesisManifest } from '../../helpers/synthesis.ts'

// lvEdv = 10 + 2·(largest LV cavity, short axis)^1.5 − (smallest RV cavity, four chambers)
const { readout } = synthesisManifest()
const areas = {
  sax: [
    [40, 16, 9, 12],
    [45, 9, 10, 11],
  ],
  '4ch': [
    [60, 20, 12, 15, 9, 9],
    [64, 14, 13, 11, 9, 9],
  ],
}

describe('the indices of a drawing', () => {
  it('use the largest and smallest areas, beside the ECG’s estimate', () => {
    const { indices } = makeResult()

    expect(readIndices(readout, areas, 'distilled', indices)).toEqual([
      {
        id: 'lvEdv',
        name: 'LV end-diastolic volume',
        unit: 'mL',
        drawn: 10 + 2 * 64 - 11,
        drawnCorrelation: 0.6,
        readoutCorrelation: 0.95,
        estimated: { value: 50, low: 40, high: 60, correlation: 0.3, evidence: 'virtual' },
      },
    ])
  })

  it('state no agreement that was not measured', () => {
    expect(readIndices(readout, areas, 'full', [])[0]).not.toHaveProperty('drawnCorrelation')
  })

  it('are unknown when a chamber was never found', () => {
    const none = areas['4ch'].map((frame) => frame.with(3, 0))

    expect(readIndices(readout, { ...areas, '4ch': none }, 'full', [])).toMatchObject([{ drawn: null }])
  })

  it('are known when a chamber vanishes at its smallest', () => {
    const once = [areas['4ch'][0]!.with(3, 0), areas['4ch'][1]!]

    expect(readIndices(readout, { ...areas, '4ch': once }, 'full', [])).toMatchObject([{ drawn: 138 }])
  })
})
