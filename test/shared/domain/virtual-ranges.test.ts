import { expect, it } from 'vitest'
import { INDICES } from '../../../shared/domain/conditions.ts'
import { virtualPeople } from '../../../shared/domain/virtual-ranges.ts'

it('a person is compared with virtual people of the same sex and age', () => {
  const people = virtualPeople({ sex: 'female', ageYears: 59.9 })!

  expect(people).toMatchObject({ sex: 'female', fromYears: 50, toYears: 59 })
  expect(people.count).toBeGreaterThan(1000)
  expect(virtualPeople({ sex: 'male', ageYears: 18 })).toMatchObject({ sex: 'male', fromYears: 18, toYears: 29 })
  expect(virtualPeople({ sex: 'male', ageYears: 91.5 })).toMatchObject({ sex: 'male', fromYears: 80, toYears: 91 })
})

it('where sex or age is unknown, all virtual people are meant, and none for an age that nobody has', () => {
  const all = { fromYears: 18, toYears: 91 }

  for (const person of [{}, { sex: 'male' }, { ageYears: 60 }] as const) {
    expect(virtualPeople(person)).toMatchObject(all)
    expect(virtualPeople(person)).not.toHaveProperty('sex')
  }
  expect(virtualPeople({ sex: 'male', ageYears: 17.9 })).toBeUndefined()
  expect(virtualPeople({ ageYears: 92 })).toBeUndefined()
})

it('each of the 82 indices has a range, and hearts of women are smaller', () => {
  const [men, women] = (['male', 'female'] as const).map((sex) => virtualPeople({ sex, ageYears: 60 })!)

  for (const { id } of INDICES) {
    const { low, high } = men!.rangeOf(id)!
    expect(low, id).toBeLessThan(high)
  }
  expect(women!.rangeOf('laMaxVolume')!.high).toBeLessThan(men!.rangeOf('laMaxVolume')!.high)
  expect(men!.rangeOf('other')).toBeUndefined()
})
