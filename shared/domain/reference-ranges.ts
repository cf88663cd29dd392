/**
 * What is normal for a person, of the few indices of which this project has seen the published figures themselves. Of all others nothing is said.
 * @module
 */
import type { Person } from './recording.ts'

/** Petersen et al. 2017, J Cardiovasc Magn Reson 19:18 (doi 10.1186/s12968-017-0327-9): 804 healthy people of the UK Biobank. */
export const RANGES_FROM = { source: 'Petersen et al. 2017, JCMR 19:18', fromYears: 45, toYears: 74 } as const

type Normal = readonly [mean: number, deviation: number]

/** Mean and deviation of men and of women; neither is known to change with age by more than a few per cent. */
const NORMAL: Readonly<Record<string, Readonly<Record<'male' | 'female', Normal>>>> = {
  lvEf: { male: [58, 5], female: [61, 5] },
  lvMass: { male: [103, 21], female: [70, 13] },
}

/** 95% of healthy people. */
const DEVIATIONS = 1.96

export interface ReferenceRange {
  readonly low: number
  readonly high: number
}

/** `undefined` where no figure is known, or where the person's sex is not, or its age is outside of those who were measured. */
export function referenceRange(index: string, { sex, ageYears }: Person): ReferenceRange | undefined {
  const normal = sex && NORMAL[index]?.[sex]
  const isOfAge = ageYears !== undefined && ageYears >= RANGES_FROM.fromYears && ageYears < RANGES_FROM.toYears + 1
  if (!normal || !isOfAge) return undefined
  const [mean, deviation] = normal
  return { low: mean - DEVIATIONS * deviation, high: mean + DEVIATIONS * deviation }
}
