/**
 * The person as free comment lines tell: age, sex, height and weight, in the spellings of PhysioNet's data sets.
 * @module
 */
import type { Person } from '../../../shared/domain/recording.ts'

// `Age: 74`, `age 71`, `<age>: 51`, also several in a line: `<age>: 25  <sex>: M  …`.
const SEX = /(?:^|\s)<?sex>?:?\s+(m|f|male|female)(?:\s|$)/i
const AGE = numberAfter('age')
const HEIGHT = numberAfter('height')
const WEIGHT = numberAfter('weight')

/** What is outside is a code or a slip (PTB-XL writes 300 for an age over 89) and counts as unknown. */
const AGE_RANGE_YEARS = [0, 120] as const
const HEIGHT_RANGE_CM = [30, 250] as const
const WEIGHT_RANGE_KG = [1, 400] as const

/** The person, or undefined when the comments say nothing of one. */
export function personOfComments(comments: readonly string[]): Person | undefined {
  const person: { -readonly [K in keyof Person]: Person[K] } = {}
  for (const comment of comments) {
    const sex = SEX.exec(comment)?.[1]
    if (sex !== undefined) person.sex ??= sex.toLowerCase().startsWith('m') ? 'male' : 'female'
    person.ageYears ??= within(AGE.exec(comment), AGE_RANGE_YEARS)
    person.heightCm ??= within(HEIGHT.exec(comment), HEIGHT_RANGE_CM)
    person.weightKg ??= within(WEIGHT.exec(comment), WEIGHT_RANGE_KG)
  }
  const known = Object.entries(person).filter(([, value]) => value !== undefined)
  return known.length === 0 ? undefined : Object.fromEntries(known)
}

function numberAfter(word: string): RegExp {
  return new RegExp(`(?:^|\\s)<?${word}>?:?\\s+(\\d{1,3}(?:\\.\\d+)?)(?:\\s|$)`, 'i')
}

function within(match: RegExpExecArray | null, [min, max]: readonly [number, number]): number | undefined {
  const value = Number(match?.[1] ?? Number.NaN)
  return value >= min && value <= max ? value : undefined
}
