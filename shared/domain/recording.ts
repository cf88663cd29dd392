/**
 * A recording: an ECG as it arrived, in the units of its source.
 * @module
 */
import { CodedError } from '../errors.ts'
import type { LeadName } from './leads.ts'
import type { ResultWarning } from './warnings.ts'

/** Value of a sample that was lost or marked invalid at the source. */
export const MISSING_SAMPLE = -0x8000_0000

/** Sampling rates that the signal chain supports, Hz. */
export const RATE_RANGE_HZ = { min: 100, max: 2000 } as const

/** Longest recording that is read, s. A day at the highest rate would not fit a message or a Lambda; ten minutes do. */
export const MAX_DURATION_S = 600

export interface RecordedLead {
  readonly name: LeadName
  /** Microvolts per step of `samples`. */
  readonly gainUv: number
  /** Source samples with the baseline offset removed; `MISSING_SAMPLE` where a sample is missing. */
  readonly samples: Int32Array
}

/** Optional facts about the person. Not an identity: never a name, an identifier or a date. */
export interface Person {
  readonly sex?: 'male' | 'female' | undefined
  readonly ageYears?: number | undefined
  readonly heightCm?: number | undefined
  readonly weightKg?: number | undefined
}

export interface Recording {
  /** Name of the source format: `wfdb`, `csv`, `frames`, … */
  readonly format: string
  readonly rateHz: number
  /** At least one lead; names are unique and all leads have the same length. */
  readonly leads: readonly RecordedLead[]
  /** ISO 8601 in UTC. A time without a zone is read as UTC. */
  readonly startedAt?: string | undefined
  readonly device?: string | undefined
  /** Heart rate as the device states it, beats per minute. */
  readonly heartRateBpm?: number | undefined
  readonly person?: Person | undefined
  /** What a reader must know about how the recording was read; absent when there is nothing to report. */
  readonly warnings?: readonly ResultWarning[] | undefined
}

/** Samples per lead. */
export function sampleCount(recording: Recording): number {
  return recording.leads[0]?.samples.length ?? 0
}

/**
 * Checks a duration. A parser calls this before it allocates memory for what a header claims.
 * @throws CodedError `payload-too-large` naming `field` for more than `MAX_DURATION_S`
 */
export function checkDuration(samples: number, rateHz: number, field: string): void {
  if (samples > MAX_DURATION_S * rateHz)
    throw new CodedError('payload-too-large', { field, maxSeconds: MAX_DURATION_S })
}

/**
 * Checks what the type cannot express: rate in range, positive gains, unique leads of equal length. Every parser calls this last, so later
 * code need not check again.
 * @throws CodedError `lead-missing`, `lead-duplicate`, `gain-invalid`, `rate-unsupported`, `samples-uneven`, `payload-empty`,
 * `payload-too-large`
 */
export function checkRecording(recording: Recording): Recording {
  const { leads, rateHz } = recording
  if (!(rateHz >= RATE_RANGE_HZ.min && rateHz <= RATE_RANGE_HZ.max)) {
    throw new CodedError('rate-unsupported', { field: 'rateHz', ...RATE_RANGE_HZ })
  }
  if (leads.length === 0) throw new CodedError('lead-missing', { field: 'leads' })
  const length = sampleCount(recording)
  if (length === 0) throw new CodedError('payload-empty', { field: 'leads[0].samples' })
  checkDuration(length, rateHz, 'leads[0].samples')
  const seen = new Set<LeadName>()
  for (const [index, lead] of leads.entries()) {
    if (seen.has(lead.name)) throw new CodedError('lead-duplicate', { field: `leads[${index}].name`, lead: lead.name })
    seen.add(lead.name)
    if (!(lead.gainUv > 0 && lead.gainUv < 1e6))
      throw new CodedError('gain-invalid', { field: `leads[${index}].gainUv` })
    if (lead.samples.length !== length) throw new CodedError('samples-uneven', { field: `leads[${index}].samples` })
  }
  return recording
}
