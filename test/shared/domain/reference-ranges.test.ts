import { expect, it } from 'vitest'
import { INDICES } from '../../../shared/domain/conditions.ts'
import { referenceRange } from '../../../shared/domain/reference-ranges.ts'

it('is known by sex for the ejection fraction and the mass of the left ventricle, as published', () => {
  const range = (index: string, sex: 'male' | 'female') => {
    const { low, high } = referenceRange(index, { sex, ageYears: 60 })!
    return [Math.round(low), Math.round(high)]
  }

  expect(range('lvEf', 'male')).toEqual([48, 68])
  expect(range('lvEf', 'female')).toEqual([51, 71])
  expect(range('lvMass', 'male')).toEqual([62, 144])
  expect(range('lvMass', 'female')).toEqual([45, 95])
})

it('is absent for other indices, other ages, and people without a known sex and age', () => {
  const known = INDICES.filter(({ id }) => referenceRange(id, { sex: 'male', ageYears: 60 }) !== undefined)

  expect(known.map(({ id }) => id)).toEqual(['lvEf', 'lvMass'])
  expect(referenceRange('lvEf', { sex: 'male', ageYears: 30 })).toBeUndefined()
  expect(referenceRange('lvEf', { sex: 'male', ageYears: 75 })).toBeUndefined()
  expect(referenceRange('lvEf', { sex: 'male' })).toBeUndefined()
  expect(referenceRange('lvEf', { ageYears: 60 })).toBeUndefined()
})
