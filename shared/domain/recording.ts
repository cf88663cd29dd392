/**
 * A recording: an ECG as it arrived, in the units of its source.
 * @module
 */
import { CodedError } from '../errors.ts'
import type { LeadName } from './leads.ts'
import type { ResultWarning } from './warnings.ts'

/** The value of a sample that was lost or marked invalid at the source. */
export const MISSING_SAMPLE = -0x8000_0000

/** Sampling rates that the signal chain takes, Hz. */
export const RATE_RANGE_HZ = { min: 100, max: 2000 } as const

/** Longest recording that is read: a day at the highest rate would not fit a message or a Lambda, ten minutes does. */
export const MAX_DURATION_S = 600

export interface RecordedLead {
  readonly name: LeadName
  /** Microvolts a step of `samples`. */
  readonly gainUv: number
  /** Source samples with the baseline offset already taken off; `MISSING_SAMPLE` where there is none. */
  readonly samples: Int32Array
}

/** What is known of the person, all of it optional. Not an identity: never a name, number or date. */
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
  /** At least one lead, each name once, all equally long. */
  readonly leads: readonly RecordedLead[]
  /** ISO 8601 in UTC. A source without a zone is read as UTC. */
  readonly startedAt?: string | undefined
  readonly device?: string | undefined
  /** Heart rate as the device states it, beats a minute. */
  readonly heartRateBpm?: number | undefined
  readonly person?: Person | undefined
  /** What a reader must know of how it was read; absent where there is nothing to say. */
  readonly warnings?: readonly ResultWarning[] | undefined
}

/** Samples a lead. */
export function sampleCount(recording: Recording): number {
  return recording.leads[0]?.samples.length ?? 0
}

/**
 * For a parser to call before it makes room for what a header promises.
 * @throws CodedError `payload-too-large` naming `field` for more than `MAX_DURATION_S`
 */
export function checkDuration(samples: number, rateHz: number, field: string): void {
  if (samples > MAX_DURATION_S * rateHz)
    throw new CodedError('payload-too-large', { field, maxSeconds: MAX_DURATION_S })
}

/**
 * Checks what no type can say: rate in range, gains positive, leads named once and equally long.
 * Every parser ends with it, so that nothing behind it need check again.
 * @throws CodedError `lead-missing`, `lead-duplicate`, `gain-invalid`, `rate-unsupported`, `samples-uneven`, `payload-empty`, `payload-too-large`
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
