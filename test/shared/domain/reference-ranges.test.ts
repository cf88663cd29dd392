import { expect, it } from 'vitest'
import { INDICES } from '../../../shared/domain/conditions.ts'
import { referenceRange } from '../../../shared/domain/reference-ranges.ts'

/** Whole, as papers print them. */
function printed(index: string, sex: 'male' | 'female'): unknown {
  const range = referenceRange(index, { sex, ageYears: 60 })
  return typeof range === 'object' ? [Math.round(range.low), Math.round(range.high)] : range
}

it('ventricular reference ranges match the published ones, by sex', () => {
  expect(printed('lvEf', 'male')).toEqual([48, 68])
  expect(printed('lvEf', 'female')).toEqual([51, 71])
  expect(printed('lvMass', 'male')).toEqual([62, 144])
  expect(printed('lvMass', 'female')).toEqual([45, 95])
  expect(printed('lvEdv', 'male')).toEqual([93, 232])
  expect(printed('rvSv', 'female')).toEqual([47, 107])
})

it('reference ranges are consistent: SV equals EDV − ESV at mid-range, and EDV is larger in men', () => {
  const middle = (index: string, sex: 'male' | 'female') => {
    const [low = 0, high = 0] = printed(index, sex) as number[]
    return (low + high) / 2
  }
  for (const side of ['lv', 'rv']) {
    for (const sex of ['male', 'female'] as const) {
      const stroke = middle(`${side}Edv`, sex) - middle(`${side}Esv`, sex)
      expect(Math.abs(stroke - middle(`${side}Sv`, sex)) / stroke).toBeLessThan(0.12)
    }
    expect(middle(`${side}Edv`, 'male')).toBeGreaterThan(middle(`${side}Edv`, 'female'))
  }
})

it('each of the 82 indices has a reference range, or a reason for having none', () => {
  const answers = INDICES.map(({ id }) => [id, referenceRange(id, { sex: 'female', ageYears: 60 })] as const)

  expect(answers.filter(([, answer]) => answer === undefined)).toEqual([])
  expect(answers.filter(([, answer]) => typeof answer === 'object').map(([id]) => id)).toEqual([
    ...['lvEdv', 'lvEsv', 'lvSv', 'lvEf', 'lvMass'],
    ...['rvEdv', 'rvEsv', 'rvSv'],
  ])
  expect(referenceRange('laMaxVolume', { sex: 'female', ageYears: 60 })).toBe('not-checked')
  expect(referenceRange('radialStrainAha3', { sex: 'female', ageYears: 60 })).toBe('methods-differ')
})

it('no reference range is given for an age outside the study, or for an unknown age or sex', () => {
  expect(referenceRange('lvEf', { sex: 'male', ageYears: 30 })).toBe('age-outside')
  expect(referenceRange('lvEf', { sex: 'male', ageYears: 74.9 })).toBeTypeOf('object')
  expect(referenceRange('lvEf', { sex: 'male', ageYears: 75 })).toBe('age-outside')
  expect(referenceRange('lvEf', { sex: 'male' })).toBe('age-unknown')
  expect(referenceRange('lvEf', { ageYears: 60 })).toBe('sex-unknown')
})
