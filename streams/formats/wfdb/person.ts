/**
 * Facts about the person from free comment lines: age, sex, height and weight, in the spellings of PhysioNet's data sets.
 * @module
 */
import type { Person } from '../../../shared/domain/recording.ts'
import { plausiblePerson } from '../person.ts'

// `Age: 74`, `age 71`, `<age>: 51`; also several in one line: `<age>: 25  <sex>: M  …`.
const SEX = /(?:^|\s)<?sex>?:?\s+(m|f|male|female)(?:\s|$)/i
const AGE = numberAfter('age')
const HEIGHT = numberAfter('height')
const WEIGHT = numberAfter('weight')

/** The facts; `undefined` when the comments contain none. */
export function personOfComments(comments: readonly string[]): Person | undefined {
  const first = <T>(read: (comment: string) => T | undefined): T | undefined => {
    for (const comment of comments) {
      const value = read(comment)
      if (value !== undefined) return value
    }
    return undefined
  }
  return plausiblePerson({
    sex: first(sexIn),
    ageYears: first(numberIn(AGE)),
    heightCm: first(numberIn(HEIGHT)),
    weightKg: first(numberIn(WEIGHT)),
  })
}

function sexIn(comment: string): Person['sex'] {
  const sex = SEX.exec(comment)?.[1]
  return sex === undefined ? undefined : sex.toLowerCase().startsWith('m') ? 'male' : 'female'
}

function numberIn(pattern: RegExp) {
  return (comment: string): number | undefined => {
    const text = pattern.exec(comment)?.[1]
    return text === undefined ? undefined : Number(text)
  }
}

function numberAfter(word: string): RegExp {
  return new RegExp(`(?:^|\\s)<?${word}>?:?\\s+(\\d{1,3}(?:\\.\\d+)?)(?:\\s|$)`, 'i')
}
