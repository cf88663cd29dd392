import { describe, expect, test } from 'vitest'
import { ageAt, ageInYears, plausiblePerson, sexOfText } from '../../../streams/formats/person.ts'
import { dateOfText, startOfText } from '../../../streams/formats/time.ts'

describe('the start time', () => {
  test.each([
    ['2024-02-29T10:15:00Z', '2024-02-29T10:15:00.000Z'],
    ['2024-02-29 10:15:00', '2024-02-29T10:15:00.000Z'],
    ['2024-02-29T10:15:00.1239+05:30', '2024-02-29T04:45:00.123Z'],
    ['20240229101500.5-0330', '2024-02-29T13:45:00.500Z'],
    ['202402290015+0100', '2024-02-28T23:15:00.000Z'],
    ['20240229101500', '2024-02-29T10:15:00.000Z'],
    ['2023-02-29T10:15:00Z', undefined],
    ['2024-02-29T24:00:00Z', undefined],
    ['2024-02-29T10:60:00Z', undefined],
    ['2024-02-29T10:15:00+25:00', undefined],
    ['2024-02-29', undefined],
    ['2024-0229101500', undefined],
    ['1899-12-31T23:59:59', undefined],
    ['yesterday', undefined],
    [undefined, undefined],
  ])('%s reads as %s', (text, iso) => {
    expect(startOfText(text)).toBe(iso)
  })
})

describe('the age', () => {
  test.each([
    ['1953-05-08', '2002-11-22', 49],
    ['19531122', '20021122', 49],
    ['19531123', '20021122', 48],
    ['20240229', '20250228', 0.5],
    ['20240229', '20240229', undefined],
    ['1953-13-01', '2002-11-22', undefined],
    [undefined, '2002-11-22', undefined],
  ])('is counted from %s to %s as %s years', (birth, at, years) => {
    expect(ageAt(dateOfText(birth), dateOfText(at))).toBe(years)
  })

  test.each([
    [71, undefined, 71],
    [71, 'Y', 71],
    [5, 'mo', 0.42],
    [6, 'weeks', 0.11],
    [400, 'D', 1.1],
    [400, 'fortnights', undefined],
  ])('is converted from %s %s to %s years', (value, unit, years) => {
    expect(ageInYears(value, unit)).toBe(years)
  })

  test('is unknown without a value', () => {
    expect(plausiblePerson({ ageYears: 300, heightCm: 0, weightKg: Number.NaN, sex: undefined })).toBeUndefined()
    expect(plausiblePerson({ ageYears: 0, sex: 'male' })).toEqual({ sex: 'male' })
  })
})

test.each([
  [' Male', 'male'],
  ['m', 'male'],
  ['FEMALE', 'female'],
  ['f', 'female'],
  ['Unknown', undefined],
  [undefined, undefined],
])('the sex %s reads as %s', (word, sex) => {
  expect(sexOfText(word)).toBe(sex)
})
