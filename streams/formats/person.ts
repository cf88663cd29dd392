/**
 * What sources say of the person, kept where it is believable.
 * @module
 */
import type { Person, Recording } from '../../shared/domain/recording.ts'
import type { ResultWarning } from '../../shared/domain/warnings.ts'
import { yearsBetween } from './time.ts'

/**
 * What is outside is a code or a slip (PTB-XL writes 300 for an age over 89, many devices 0 for unknown) and counts as unknown. So is an age of 0: who is
 * younger than a year has an age in months or days, or a date of birth.
 */
const RANGES = { ageYears: [0, 120], heightCm: [30, 250], weightKg: [1, 400] } as const

/** The person, or undefined when nothing believable is known. */
export function plausiblePerson({ sex, ...measures }: Person): Person | undefined {
  const person: { -readonly [K in keyof Person]: Person[K] } = sex === undefined ? {} : { sex }
  for (const name of ['ageYears', 'heightCm', 'weightKg'] as const) {
    const value = measures[name]
    const [min, max] = RANGES[name]
    if (value !== undefined && value >= min && value <= max && value > 0) person[name] = value
  }
  return Object.keys(person).length === 0 ? undefined : person
}

/** The sex that a word or letter says, in any case. */
export function sexOfText(text: string | undefined): Person['sex'] {
  const word = text?.trim().toLowerCase()
  if (word === 'm' || word === 'male') return 'male'
  return word === 'f' || word === 'female' ? 'female' : undefined
}

const YEARS: Readonly<Record<string, number>> = { y: 1, m: 1 / 12, w: 7 / 365.25, d: 1 / 365.25, h: 1 / (24 * 365.25) }

/** Years of an age in a unit (`YEARS`, `mo`, `days`, …, by its first letter; years when there is none). */
export function ageInYears(value: number | undefined, unit: string | undefined): number | undefined {
  const years = YEARS[(unit?.trim() || 'y')[0]!.toLowerCase()]
  return value === undefined || years === undefined ? undefined : Math.round(value * years * 100) / 100
}

/** Years without months; in the first year, what it is. */
export const wholeYears = (years: number): number => (years < 1 ? Math.round(years * 100) / 100 : Math.floor(years))

/** In the first year of life. */
const INFANT_YEARS = 0.5

/**
 * Whole years at `start`, both of `utcTime`: finer, the age and the start would tell the day of birth. Half a year for less than one; undefined for a birth
 * on the day itself, which is a device's default.
 */
export function ageAt(birth: string | undefined, start: string | undefined): number | undefined {
  if (birth === undefined || start === undefined) return undefined
  const years = yearsBetween(birth, start)
  if (years !== 0) return years
  return birth.slice(0, 10) < start.slice(0, 10) ? INFANT_YEARS : undefined
}

export const inchesToCm = (inches: number | undefined) => (inches === undefined ? undefined : inches * 2.54)

export const poundsToKg = (pounds: number | undefined) => (pounds === undefined ? undefined : pounds * 0.45359237)

/** Ages of one person that were counted on different days, and rounded. */
const SAME_AGE_YEARS = 1.5

/** A recording with what is said of the person elsewhere (by the caller, by the EHR), which outranks the file. Where both say something else, that is said. */
export function withPerson(recording: Recording, person: Person | undefined): Recording {
  if (person === undefined || Object.values(person).every((value) => value === undefined)) return recording
  const { person: own, warnings = [] } = recording
  const doubts: ResultWarning[] = []
  if (own?.sex !== undefined && person.sex !== undefined && own.sex !== person.sex)
    doubts.push({ code: 'person-doubtful', field: 'sex' })
  if (Math.abs((own?.ageYears ?? Number.NaN) - (person.ageYears ?? Number.NaN)) > SAME_AGE_YEARS)
    doubts.push({ code: 'person-doubtful', field: 'age' })
  const stated = Object.fromEntries(Object.entries(person).filter(([, value]) => value !== undefined))
  return {
    ...recording,
    person: { ...own, ...stated },
    ...(doubts.length === 0 ? {} : { warnings: [...warnings, ...doubts] }),
  }
}
