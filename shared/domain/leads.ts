/**
 * The twelve standard leads, always looked up by name and never by position. One table of names for all formats, the streams and the API.
 * @module
 */
import { CodedError } from '../errors.ts'

/** Lead order of every window and tensor. */
export const LEADS = ['I', 'II', 'III', 'aVR', 'aVL', 'aVF', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6'] as const

export type LeadName = (typeof LEADS)[number]

/** The six leads that follow from any two of them (Einthoven 1912, Goldberger 1942). */
export const LIMB_LEADS = LEADS.slice(0, 6)

/** Leads by lower-case name. `DI` and `D2` are names in Romance languages; a pair of electrodes stands for the lead that it measures. */
const BY_KEY: ReadonlyMap<string, LeadName> = new Map<string, LeadName>([
  ...LEADS.map((name) => [name.toLowerCase(), name] as const),
  ['di', 'I'],
  ['dii', 'II'],
  ['diii', 'III'],
  ['d1', 'I'],
  ['d2', 'II'],
  ['d3', 'III'],
  ['la-ra', 'I'],
  ['ll-ra', 'II'],
  ['lf-ra', 'II'],
  ['ll-la', 'III'],
  ['lf-la', 'III'],
])

/** Words that sources add to a lead's name: `ECG Lead II`, `Ableitung II`, `MDC_ECG_ELEC_POTL_AVR`, `Lead site V1`, `aVR lead`. */
const FILLERS: ReadonlySet<string> = new Set([
  ...['ecg', 'ekg', 'lead', 'leads', 'mdc', 'elec', 'potl', 'site', 'limb', 'chest', 'precordial', 'standard', 'std'],
  ...['ableitung', 'derivation', 'derivacion', 'derivacao', 'derivazione', 'afleiding', 'avledning'],
  ...['einthoven', 'goldberger', 'wilson', 'raw', 'filtered'],
])

/** Fillers that are also written without a space: `LeadII`, `ECGV1`. */
const PREFIXES = ['lead', 'ecg', 'ekg']

/** Longest name that is analysed, characters. No known source uses a longer one. */
const MAX_NAME = 80

/**
 * Finds the lead that a source means, ignoring case and the usual words around it.
 * @throws CodedError `lead-unknown` naming `field` when the name is none of the twelve
 */
export function leadByName(name: string, field = 'lead'): LeadName {
  const lead = findLead(name)
  if (lead === undefined) throw new CodedError('lead-unknown', { field })
  return lead
}

/**
 * Like `leadByName`, but returns `undefined` for a channel that is not a standard lead (a Frank lead, a respiration trace, an inverted
 * `-aVR`). A number alone is not a lead: `ECG 1` is the first channel of some recorder, not lead I.
 */
export function findLead(name: string): LeadName | undefined {
  // The form that nearly all sources and every frame of a stream use.
  const exact = BY_KEY.get(name.toLowerCase())
  if (exact !== undefined || name.length > MAX_NAME) return exact
  const plain = name.includes('\0') ? name.slice(0, name.indexOf('\0')) : name
  const words = withoutBrackets(plain.normalize('NFKD').toLowerCase())
  if (isInverted(words)) return undefined
  // NFKD separates accents from their letters. Any character that is neither a letter nor a digit separates words.
  const left = words
    .replace(/[\u0300-\u036f]/g, '')
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '' && !FILLERS.has(word))
  const [first, ...more] = left
  if (first === undefined) return undefined
  if (more.length === 0) return BY_KEY.get(first) ?? BY_KEY.get(withoutPrefix(first))
  const joined = left.join('')
  // Accepts `aV R` and `V 1`, but does not read `I II` as lead III.
  return (/^a?v/.test(joined) ? BY_KEY.get(joined) : undefined) ?? BY_KEY.get(left.join('-'))
}

/** Text in brackets is a remark or a unit: `Lead II (Einthoven)`, `II [mV]`. */
function withoutBrackets(text: string): string {
  const at = text.search(/[([]/)
  return at < 0 ? text : text.slice(0, at)
}

/** True for a minus that belongs to the name and does not separate it from the word before: `-aVR`, `ECG -aVR`. */
const isInverted = (text: string) => /(?:^|\s)[-\u2212\u2013][a-z]/.test(text)

function withoutPrefix(word: string): string {
  const prefix = PREFIXES.find((each) => word.startsWith(each))
  return prefix === undefined ? word : word.slice(prefix.length)
}
