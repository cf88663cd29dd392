/**
 * Facts about the person from sources, kept when they are plausible.
 * @module
 */
import type { Person, Recording } from '../../shared/domain/recording.ts'
import type { ResultWarning } from '../../shared/domain/warnings.ts'
import { yearsBetween } from './time.ts'

/**
 * Plausible values. A value outside is a code or an error (PTB-XL writes 300 for an age above 89, many devices 0 for unknown) and counts as
 * unknown. So does an age of 0: for an infant, sources give the age in months or days, or a date of birth.
 */
const RANGES = { ageYears: [0, 120], heightCm: [30, 250], weightKg: [1, 400] } as const

/** The plausible facts; `undefined` when there are none. */
export function plausiblePerson({ sex, ...measures }: Person): Person | undefined {
  const person: { -readonly [K in keyof Person]: Person[K] } = sex === undefined ? {} : { sex }
  for (const name of ['ageYears', 'heightCm', 'weightKg'] as const) {
    const value = measures[name]
    const [min, max] = RANGES[name]
    if (value !== undefined && value >= min && value <= max && value > 0) person[name] = value
  }
  return Object.keys(person).length === 0 ? undefined : person
}

/** The sex for a word or letter, in any case. */
export function sexOfText(text: string | undefined): Person['sex'] {
  const word = text?.trim().toLowerCase()
  if (word === 'm' || word === 'male') return 'male'
  return word === 'f' || word === 'female' ? 'female' : undefined
}

const YEARS: Readonly<Record<string, number>> = { y: 1, m: 1 / 12, w: 7 / 365.25, d: 1 / 365.25, h: 1 / (24 * 365.25) }

/** Age in years, from a value and its unit (`YEARS`, `mo`, `days`, …, by the first letter; years when absent). */
export function ageInYears(value: number | undefined, unit: string | undefined): number | undefined {
  const years = YEARS[(unit?.trim() || 'y')[0]!.toLowerCase()]
  return value === undefined || years === undefined ? undefined : Math.round(value * years * 100) / 100
}

/** Whole years; below one year, two decimals. */
export const wholeYears = (years: number): number => (years < 1 ? Math.round(years * 100) / 100 : Math.floor(years))

/** Age that is given for an infant. */
const INFANT_YEARS = 0.5

/**
 * Whole years at `start`; both are times of `utcTime`. A finer age would, with the start, reveal the day of birth. Half a year for an
 * infant; `undefined` for a birth on the day of the recording, which is a device's default.
 */
export function ageAt(birth: string | undefined, start: string | undefined): number | undefined {
  if (birth === undefined || start === undefined) return undefined
  const years = yearsBetween(birth, start)
  if (years !== 0) return years
  return birth.slice(0, 10) < start.slice(0, 10) ? INFANT_YEARS : undefined
}

export const inchesToCm = (inches: number | undefined) => (inches === undefined ? undefined : inches * 2.54)

export const poundsToKg = (pounds: number | undefined) => (pounds === undefined ? undefined : pounds * 0.45359237)

/** Tolerance for ages of one person that were counted on different days and rounded. */
const SAME_AGE_YEARS = 1.5

/**
 * Adds facts about the person from elsewhere (the caller, the EHR), which take precedence over the file. A contradiction gives a warning.
 */
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
