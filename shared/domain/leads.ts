/**
 * The twelve standard leads, always found by name and never by position.
 * @module
 */
import { CodedError } from '../errors.ts'

/** Lead order of every window and tensor. */
export const LEADS = ['I', 'II', 'III', 'aVR', 'aVL', 'aVF', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6'] as const

export type LeadName = (typeof LEADS)[number]

/** The six leads that follow from any two of them (Einthoven 1912, Goldberger 1942). */
export const LIMB_LEADS = LEADS.slice(0, 6)

/** A prefix some formats put before the name: `Lead II`, `ECG aVF`, `MDC_ECG_LEAD_V1`. */
const PREFIX = /^(?:mdc[_ ]ecg[_ ]lead|ecg|lead)[\s_:-]*/i

/** No source has a longer name for a lead: text of any length may stand where a name is looked for. */
const MAX_NAME_LENGTH = 256

const BY_KEY: ReadonlyMap<string, LeadName> = new Map(LEADS.map((name) => [name.toLowerCase(), name]))

/**
 * The lead that a source means, ignoring case and the usual prefixes.
 * @throws CodedError `lead-unknown` naming `field` when the name is none of the twelve.
 */
export function leadByName(name: string, field = 'lead'): LeadName {
  const lead = findLead(name)
  if (lead === undefined) throw new CodedError('lead-unknown', { field })
  return lead
}

/** As `leadByName`, but `undefined` for a channel that is no standard lead (a Frank lead, a respiration trace). */
export function findLead(name: string): LeadName | undefined {
  return name.length > MAX_NAME_LENGTH ? undefined : BY_KEY.get(name.trim().replace(PREFIX, '').toLowerCase())
}
