/**
 * What a source format is to this folder. A new one is a folder with a `Format` and a line in `index.ts`.
 * @module
 */
import type { LeadName } from '../../shared/domain/leads.ts'
import type { Person, Recording } from '../../shared/domain/recording.ts'
import { CodedError } from '../../shared/errors.ts'
import type { VoltageUnit } from './units.ts'

/** A file as it came: by upload, or from a disk. */
export interface SourceFile {
  /** Its name without a folder. */
  readonly name: string
  readonly bytes: Uint8Array
}

/** What a caller knows of a file. It outranks what the file says, and supplies what the file leaves out, in every format. */
export interface ReadOptions {
  /** One of `FORMAT_NAMES`; found by content when left out. */
  readonly format?: string | undefined
  readonly rateHz?: number | undefined
  readonly unit?: VoltageUnit | undefined
  /** Which lead the only ECG channel of a file is. */
  readonly lead?: string | undefined
  readonly sex?: Person['sex']
  readonly ageYears?: number | undefined
}

export interface Format {
  /** As `Recording.format` and the option `--format` say it. */
  readonly name: string
  /** Extension of the file that says what the others are, when a recording has several. */
  readonly mainExtension?: string
  /** Whether this is the (main) file of such a recording, judged by its content. */
  detects(bytes: Uint8Array): boolean
  /** Names, without a folder, of the other files that the recording needs. */
  companions?(main: Uint8Array, options: ReadOptions): readonly string[]
  /** @throws CodedError naming the field, line or column at fault */
  parse(main: SourceFile, others: readonly SourceFile[], options: ReadOptions): Recording
}

/** A file larger than this holds more than the longest recording (10 min of 12 leads at 2000 Hz as text). */
export const MAX_FILE_BYTES = 256 * 1024 * 1024

/**
 * For a parser to call before it makes room for samples: a small file may name a lead ten thousand times.
 * @throws CodedError `lead-duplicate` naming `field`
 */
export function refuseDuplicates(leads: readonly { readonly name: LeadName }[], field: string): void {
  const seen = new Set<LeadName>()
  for (const { name } of leads) {
    if (seen.has(name)) throw new CodedError('lead-duplicate', { field, lead: name })
    seen.add(name)
  }
}

/** A rate that was divided or multiplied out: so near a whole number, that one is meant. */
export function wholeRate(rateHz: number): number {
  const whole = Math.round(rateHz)
  return Math.abs(rateHz - whole) <= 1e-6 * whole ? whole : rateHz
}

/** How much of a file is looked at to tell its format. */
const SNIFFED_BYTES = 4096

/** The beginning of a file as text, or undefined when it is binary. */
export function sniffText(bytes: Uint8Array): string | undefined {
  const head = bytes.subarray(0, SNIFFED_BYTES)
  return head.includes(0) ? undefined : decodeText(head)
}

/** UTF-8 with or without a byte order mark. */
export const decodeText = (bytes: Uint8Array): string => new TextDecoder('utf-8').decode(bytes)
