import { expect, test } from 'vitest'
import { utcTime, yearsBetween } from '../../../streams/formats/time.ts'

test('a time with a zone is converted to UTC', () => {
  expect(utcTime({ year: 2024, month: 2, day: 29, hour: 0, minute: 30 }, 60)).toBe('2024-02-28T23:30:00.000Z')
})

test.each([
  { year: 2023, month: 2, day: 29 },
  { year: 0, month: 1, day: 1 },
  { year: 2023, month: 0, day: 1 },
  { year: 2023, month: 1, day: 1, hour: 24 },
  { year: 2023, month: 1, day: Number.NaN },
])('$year-$month-$day is refused as a date', (time) => {
  expect(utcTime(time)).toBeUndefined()
})

test.each([
  ['2020-06-15', '2024-06-14', 3],
  ['2020-06-15', '2024-06-15', 4],
])('from %s to %s are %i years', (from, to, years) => {
  expect(yearsBetween(`${from}T00:00:00.000Z`, `${to}T12:00:00.000Z`)).toBe(years)
})
