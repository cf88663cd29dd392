/**
 * Normal ranges of indices for a person, from published cardiac MRI figures; for every other index, the reason why there is none.
 *
 * Means are of the abstract. Limits of volumes are of a transcription of tables 2 and 3, the widest of three ages. Two others agree: a report
 * template for men of 45 to 54 has the same upper limits of the left ventricle (EDV 232, ESV 103, SV 140 mL; LV mass 64 to 148 g, ours 62 to 144), and
 * a list for women of all ages has narrower ones (EDV 88 to 161, ESV 31 to 68, SV 49 to 100 mL; right ventricle 85 to 166, 27 to 77, 48 to 99). A third
 * transcription, of table 12, gives means and deviations that lie within: SV 96 ± 20 and 75 ± 14 mL, EDV of men 166 ± 32. Compare them with the paper before
 * you rely on them.
 * @module
 */
import type { Person } from './recording.ts'

interface Source {
  readonly citation: string
  readonly doi: string
  readonly fromYears: number
  readonly toYears: number
}

/** 804 healthy people of the UK Biobank. Same protocol as the one that the indices are defined by. */
export const PETERSEN_2017: Source = {
  citation: 'Petersen et al. 2017, JCMR 19:18',
  doi: '10.1186/s12968-017-0327-9',
  fromYears: 45,
  toYears: 74,
}

export interface ReferenceRange {
  readonly low: number
  readonly high: number
}

interface BySex {
  readonly source: Source
  readonly male: ReferenceRange
  readonly female: ReferenceRange
}

/**
 * The range of 95% of healthy people, from mean and standard deviation. Neither is known to change with age by more than a few per cent.
 */
const around = (mean: number, deviation: number): ReferenceRange => ({
  low: mean - 1.96 * deviation,
  high: mean + 1.96 * deviation,
})

/** Range from the abstract's means and standard deviations. */
const ofMeans = (male: readonly [number, number], female: readonly [number, number]): BySex => ({
  source: PETERSEN_2017,
  male: around(...male),
  female: around(...female),
})

/** Limits from tables 2 (men) and 3 (women): a value beyond them is abnormal in each of the age groups 45–54, 55–64 and 65–74. */
const ofTables = (male: readonly [number, number], female: readonly [number, number]): BySex => ({
  source: PETERSEN_2017,
  male: { low: male[0], high: male[1] },
  female: { low: female[0], high: female[1] },
})

const RANGES: Readonly<Record<string, BySex>> = {
  lvEdv: ofTables([93, 232], [80, 175]),
  lvEsv: ofTables([34, 103], [25, 73]),
  lvSv: ofTables([49, 140], [47, 110]),
  lvEf: ofMeans([58, 5], [61, 5]),
  lvMass: ofMeans([103, 21], [70, 13]),
  rvEdv: ofTables([99, 260], [83, 192]),
  rvEsv: ofTables([34, 135], [26, 95]),
  rvSv: ofTables([54, 140], [47, 107]),
}

/**
 * - `not-checked`: figures are published, but could not be checked.
 * - `methods-differ`: published figures differ between methods as much as between health and disease.
 * - `sex-unknown`, `age-unknown`, `age-outside`: about this person.
 */
export type NoRange = 'not-checked' | 'methods-differ' | 'sex-unknown' | 'age-unknown' | 'age-outside'

/**
 * Reasons for indices without figures, by the beginning of their id.
 *
 * Mean wall thickness in men and women: 6.3 and 5.3 mm (300 people of MESA, doi 10.1161/CIRCIMAGING.112.973560, mid-ventricle), 8.1 and 6.7
 * mm (550 in China, doi 10.3389/fcvm.2021.697481). Global circumferential strain: −18.8% and −20.7% (566 in China, doi
 * 10.1186/s12968-022-00881-1), −21.3% (150, both sexes, doi 10.1186/s12968-015-0123-3), −25.4% and −27.9% (88, doi
 * 10.1038/s41598-019-39807-w).
 *
 * Not checked, because no two transcriptions were found: the tables of Petersen et al. for atria; the ejection fraction of the right ventricle (women
 * 47 to 68% by one, and the same lower limit by the review of 2025, JCMR 27:101853; men's lower limit 44% by the latter only); cardiac output
 * (5.6 ± 1.1 and 4.5 ± 0.9 L/min in men and women by one transcription of Kawel-Boehm et al. 2020, doi 10.1186/s12968-020-00683-3, of another
 * method); and the aorta, whose distensibility falls with each decade (Nethononda et al. 2015, JCMR 17:20).
 */
const REASONS: readonly (readonly [beginning: string, reason: NoRange])[] = [
  ['lvCo', 'not-checked'],
  ['rvEf', 'not-checked'],
  ...['laMax', 'laMin', 'laSv', 'laEf', 'raMax', 'raMin', 'raSv', 'raEf'].map(
    (atrium) => [atrium, 'not-checked'] as const,
  ),
  ['ascendingAorta', 'not-checked'],
  ['descendingAorta', 'not-checked'],
  ['wallThickness', 'methods-differ'],
  ['circumferentialStrain', 'methods-differ'],
  ['radialStrain', 'methods-differ'],
  ['longitudinalStrain', 'methods-differ'],
]

/** An index's normal range for a person, or the reason why there is none; `undefined` for an unknown index. */
export function referenceRange(index: string, { sex, ageYears }: Person): ReferenceRange | NoRange | undefined {
  const range = RANGES[index]
  if (range === undefined) return REASONS.find(([beginning]) => index.startsWith(beginning))?.[1]
  if (sex === undefined) return 'sex-unknown'
  if (ageYears === undefined) return 'age-unknown'
  const { fromYears, toYears } = range.source
  return ageYears >= fromYears && ageYears < toYears + 1 ? range[sex] : 'age-outside'
}
