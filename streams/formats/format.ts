/**
 * Interface of a source format. A new format is a folder with a `Format`, and a line in `index.ts`.
 * @module
 */
import type { LeadName } from '../../shared/domain/leads.ts'
import type { Person, Recording } from '../../shared/domain/recording.ts'
import { CodedError } from '../../shared/errors.ts'
import type { VoltageUnit } from './units.ts'

/** A file from an upload or a disk. */
export interface SourceFile {
  /** File name without a folder. */
  readonly name: string
  readonly bytes: Uint8Array
}

/** What the caller knows about a file. It takes precedence over the file, and supplies what the file omits, in every format. */
export interface ReadOptions {
  /** One of `FORMAT_NAMES`; detected by content when absent. */
  readonly format?: string | undefined
  readonly rateHz?: number | undefined
  readonly unit?: VoltageUnit | undefined
  /** The lead of the only ECG channel in a file. */
  readonly lead?: string | undefined
  readonly sex?: Person['sex']
  readonly ageYears?: number | undefined
}

export interface Format {
  /** Name in `Recording.format` and in the option `--format`. */
  readonly name: string
  /** Extension of the main file, when a recording has several files. */
  readonly mainExtension?: string
  /** Whether the content is that of a (main) file of this format. */
  detects(bytes: Uint8Array): boolean
  /** Names, without a folder, of the other files that the recording needs. */
  companions?(main: Uint8Array, options: ReadOptions): readonly string[]
  /** @throws CodedError naming the field, line or column at fault */
  parse(main: SourceFile, others: readonly SourceFile[], options: ReadOptions): Recording
}

/** Largest file: the longest recording (10 min of 12 leads at 2000 Hz as text) is smaller. */
export const MAX_FILE_BYTES = 256 * 1024 * 1024

/**
 * Refuses duplicate leads. A parser calls this before it allocates memory for samples, because a small file may name a lead ten thousand
 * times.
 * @throws CodedError `lead-duplicate` naming `field`
 */
export function refuseDuplicates(leads: readonly { readonly name: LeadName }[], field: string): void {
  const seen = new Set<LeadName>()
  for (const { name } of leads) {
    if (seen.has(name)) throw new CodedError('lead-duplicate', { field, lead: name })
    seen.add(name)
  }
}

/** Rounds a computed rate that is very close to a whole number. */
export function wholeRate(rateHz: number): number {
  const whole = Math.round(rateHz)
  return Math.abs(rateHz - whole) <= 1e-6 * whole ? whole : rateHz
}

/** Bytes that are examined to detect a format. */
const SNIFFED_BYTES = 4096

/** The beginning of a file as text; `undefined` when it is binary. */
export function sniffText(bytes: Uint8Array): string | undefined {
  const head = bytes.subarray(0, SNIFFED_BYTES)
  return head.includes(0) ? undefined : decodeText(head)
}

/** UTF-8 with or without a byte order mark. */
export const decodeText = (bytes: Uint8Array): string => new TextDecoder('utf-8').decode(bytes)
