/**
 * Which channels of a file are leads: by name, or by the caller's option for the only ECG channel of a file.
 * @module
 */
import { type LeadName, leadByName } from '../../shared/domain/leads.ts'
import type { RecordedLead } from '../../shared/domain/recording.ts'
import type { ResultWarning } from '../../shared/domain/warnings.ts'
import { CodedError } from '../../shared/errors.ts'
import { type ReadOptions, refuseDuplicates } from './format.ts'
import { findVoltageUnit } from './units.ts'

/** What a source states about a channel. */
export interface ChannelFacts {
  /** The lead that its name or code means. */
  readonly lead: LeadName | undefined
  readonly label: string
  readonly unit?: string | undefined
}

export interface LeadChannel<T> {
  readonly name: LeadName
  readonly channel: T
}

/**
 * The channels that are leads. `options.lead` names the only ECG channel, whatever its own name is; with several it has no effect, which
 * gives a warning.
 * @param field place of the names, for errors
 * @throws CodedError `lead-unknown`, `lead-duplicate`
 */
export function leadsAmong<T>(
  channels: readonly T[],
  factsOf: (channel: T) => ChannelFacts,
  { lead }: ReadOptions,
  field: string,
  warnings: ResultWarning[],
): LeadChannel<T>[] {
  const all = channels.map((channel) => ({ channel, ...factsOf(channel) }))
  const named = all.flatMap(({ channel, lead: name }) => (name === undefined ? [] : [{ name, channel }]))
  if (lead === undefined || named.length > 1) {
    if (named.length === 0) throw new CodedError('lead-unknown', { field })
    refuseDuplicates(named, field)
    if (lead !== undefined) warnings.push({ code: 'option-unused', field: 'lead' })
    return named
  }
  const [only] = named.length === 1 ? named : onlyEcg(all)
  if (only === undefined) throw new CodedError('lead-unknown', { field })
  return [{ name: leadByName(lead), channel: only.channel }]
}

/** The only channel, or the only one named as an ECG, or the only voltage; none when the choice is ambiguous. */
function onlyEcg<C extends ChannelFacts>(channels: readonly C[]): readonly C[] {
  if (channels.length === 1) return channels
  for (const isEcg of [calledEcg, isVoltage]) {
    const found = channels.filter(isEcg)
    if (found.length > 0) return found.length === 1 ? found : []
  }
  return []
}

const calledEcg = ({ label }: ChannelFacts) => /ecg|ekg/i.test(label)

const isVoltage = ({ unit }: ChannelFacts) => unit !== undefined && findVoltageUnit(unit) !== undefined

/** Errors that concern a single lead. */
const OF_ONE_LEAD: ReadonlySet<string> = new Set([
  ...['gain-invalid', 'unit-unknown', 'sample-invalid', 'field-invalid', 'payload-malformed', 'format-unsupported'],
])

/**
 * The leads that can be read. The others are left out with a warning.
 * @throws CodedError that of the first lead, when none can be read
 */
export function readableLeads<C extends { readonly name: LeadName }>(
  channels: readonly C[],
  read: (channel: C) => RecordedLead,
  warnings: ResultWarning[],
): RecordedLead[] {
  const leads: RecordedLead[] = []
  const errors: CodedError[] = []
  const left: LeadName[] = []
  for (const channel of channels) {
    try {
      leads.push(read(channel))
    } catch (error) {
      if (!(error instanceof CodedError && OF_ONE_LEAD.has(error.code))) throw error
      errors.push(error)
      left.push(channel.name)
    }
  }
  if (leads.length === 0 && errors[0] !== undefined) throw errors[0]
  if (left.length > 0) warnings.push({ code: 'lead-left-out', leads: left })
  return leads
}

/** Warns about options without an effect, because the format itself defines these facts. */
export function warnUnused(options: ReadOptions, names: readonly ('unit' | 'lead')[], warnings: ResultWarning[]): void {
  for (const field of names) if (options[field] !== undefined) warnings.push({ code: 'option-unused', field })
}

/** The `warnings` of a recording; nothing when there are none. */
export const said = (warnings: readonly ResultWarning[]): { warnings?: readonly ResultWarning[] } =>
  warnings.length === 0 ? {} : { warnings }
