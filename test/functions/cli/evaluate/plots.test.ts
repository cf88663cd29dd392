import { XMLValidator } from 'fast-xml-parser'
import { describe, expect, it } from 'vitest'
import type { Cohort } from '../../../../functions/cli/evaluate/cohort.ts'
import { calibrationSvg, rocSvg } from '../../../../functions/cli/evaluate/plots.ts'
import { type Report, reportOf } from '../../../../functions/cli/evaluate/report.ts'
import type { RowOutcome } from '../../../../functions/cli/evaluate/screening.ts'
import { SHIPPED_BUNDLE } from '../../../../shared/inference/active-bundle.ts'
import { readBundle } from '../../../../shared/inference/bundle.ts'
import { randomNumbers } from '../../../helpers/corruptions.ts'

/** A report on `n` people whose CAD log-odds are half of the true ones, without HF labels. */
async function reportOn(n: number): Promise<Report> {
  const random = randomNumbers(4)
  const outcomes = Array.from({ length: n }, (_, person): RowOutcome => {
    const z = 6 * random() - 4
    const labels = { cad: random() < 1 / (1 + Math.exp(-2 * z)) }
    const row = { file: `/${person}`, person, labels, about: {} }
    return { row, about: {}, status: 'screened', logOdds: [z, 0, 0, 0, 0], blocks: [] }
  })
  const cohort: Cohort = { rows: outcomes.map(({ row }) => row), people: n, conditions: ['cad', 'hf'], ignored: [] }
  return reportOf(cohort, outcomes, await readBundle(SHIPPED_BUNDLE, 'cardiacnets-v1'), undefined, 'test')
}

describe('evaluation plots', () => {
  it('are well-formed, with a panel for each measured condition', async () => {
    const report = await reportOn(400)

    for (const svg of [rocSvg(report)!, calibrationSvg(report)!]) {
      expect(XMLValidator.validate(svg)).toBe(true)
      expect(svg).toContain('Coronary artery disease')
      expect(svg).not.toContain('Heart failure')
      expect(svg).not.toMatch(/NaN|undefined|Infinity/)
      expect(svg).toContain('Not a medical device')
    }
    expect(calibrationSvg(report)).toContain('site calibration, left-out people')
  })

  it('draw a limited number of points', async () => {
    const svg = rocSvg(await reportOn(20_000))

    expect(svg!.length).toBeLessThan(30_000)
  })

  it('are not made without figures', async () => {
    const report = await reportOn(0)

    expect([rocSvg(report), calibrationSvg(report)]).toEqual([undefined, undefined])
  })
})
