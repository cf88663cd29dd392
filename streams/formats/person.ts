/**
 * What sources say of the person, kept where it is believable.
 * @module
 */
import type { Person } from '../../shared/domain/recording.ts'

/** What is outside is a code or a slip (PTB-XL writes 300 for an age over 89, many devices 0 for unknown) and counts as unknown. */
const RANGES = { ageYears: [0, 120], heightCm: [30, 250], weightKg: [1, 400] } as const

/** The person, or undefined when nothing believable is known. */
export function plausiblePerson({ sex, ...measures }: Person): Person | undefined {
  const person: { -readonly [K in keyof Person]: Person[K] } = sex === undefined ? {} : { sex }
  for (const name of ['ageYears', 'heightCm', 'weightKg'] as const) {
    const value = measures[name]
    const [min, max] = RANGES[name]
    if (value !== undefined && value >= min && value <= max) person[name] = value
  }
  return Object.keys(person).length === 0 ? undefined : person
}
