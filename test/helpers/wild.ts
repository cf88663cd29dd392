/**
 * Inputs from the wild (`../shared/data/wild`), how to read each, and the expected result, from its README.
 * @module
 */
import type { LeadName } from '../../shared/domain/leads.ts'
import { LEADS } from '../../shared/domain/leads.ts'
import type { Recording } from '../../shared/domain/recording.ts'
import type { WarningCode } from '../../shared/domain/warnings.ts'
import type { ReadOptions } from '../../streams/formats/index.ts'

export interface WildFile {
  readonly file: string
  readonly options: ReadOptions
  readonly rateHz: number
  readonly leads: readonly LeadName[]
  readonly samples: number
  /** Beginning of the first lead, µV. */
  readonly starts?: readonly number[]
  /** What is said of the file. */
  readonly warnings?: readonly WarningCode[]
  /** A file that must give the same samples. */
  readonly sameAs?: string
}

const three = ['I', 'II', 'V2'] as const
const ten = { options: {}, rateHz: 250, leads: three, samples: 2500 } as const

export const WILD: readonly WildFile[] = [
  {
    ...ten,
    file: 'options/polar.csv',
    options: { lead: 'I' },
    rateHz: 130,
    leads: ['I'],
    samples: 1560,
    starts: [35, 17],
  },
  { ...ten, file: 'options/single.edf', options: { lead: 'I' }, leads: ['I'] },
  { ...ten, file: 'options/single.hea', options: { lead: 'I' }, leads: ['I'], starts: [-30, -34] },
  { ...ten, file: 'options/nounit.edf', options: { unit: 'uV' }, leads: ['II'] },
  { ...ten, file: 'csv/apple.csv', rateHz: 512, leads: ['I'], samples: 6144, starts: [-15.9, -3] },
  { ...ten, file: 'csv/cp1252.csv', starts: [7, 6] },
  { ...ten, file: 'csv/atm.csv', starts: [7, 6] },
  { ...ten, file: 'csv/index.csv', options: { rateHz: 250 }, starts: [7, 6] },
  { ...ten, file: 'csv/iso.csv', options: { rateHz: 250 }, starts: [7, 6] },
  { ...ten, file: 'csv/gap.csv', samples: 3000, starts: [38, 39] },
  { ...ten, file: 'csv/quoted.csv', starts: [7, 6] },
  { ...ten, file: 'csv/firstnan.csv', samples: 2551, starts: [Number.NaN, 26] },
  { ...ten, file: 'labels/ecglead.csv', starts: [7, 6] },
  { ...ten, file: 'labels/ecglead.edf' },
  { ...ten, file: 'edf/badlead.edf', leads: ['I', 'II'], warnings: ['lead-left-out'] },
  { ...ten, file: 'edf/truncated.edf', samples: 2750, warnings: ['samples-left-out'] },
  { ...ten, file: 'dicom/grouplength0.dcm', leads: ['I', 'II', 'III'], starts: [7.5, 5] },
  { ...ten, file: 'dicom/nopreamble.dcm', leads: ['I', 'II', 'III'], starts: [7.5, 5] },
  { ...ten, file: 'scp/start0.scp', leads: ['I', 'II', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6'], sameAs: 'scp/start1.scp' },
  { ...ten, file: 'wfdb/zero.hea', leads: ['I', 'II', 'III'], starts: [7, 6], warnings: ['checksum-mismatch'] },
  { ...ten, file: 'dicom/padding0.dcm', rateHz: 500, leads: LEADS, samples: 5000, sameAs: 'dicom/nopadding.dcm' },
  { ...ten, file: 'leads/right.csv', leads: LEADS, starts: [7, 6] },
  { ...ten, file: 'leads/same.csv', leads: LEADS, starts: [-30, -34] },
]

/** Options in command-line form. */
export function commandLine({ lead, unit, rateHz }: ReadOptions): string[] {
  const stated = { '--lead': lead, '--unit': unit, '--rate': rateHz }
  return Object.entries(stated).flatMap(([option, value]) => (value === undefined ? [] : [option, String(value)]))
}

/** Microvolts of a recording's first lead; NaN where a sample is missing. */
export function firstMicrovolts({ leads }: Recording, count: number): number[] {
  const { samples, gainUv } = leads[0]!
  return Array.from(samples.subarray(0, count), (sample) => (sample === -0x8000_0000 ? Number.NaN : sample * gainUv))
}
