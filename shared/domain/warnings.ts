/**
 * Warnings: what a reader must know about an ECG that was read. One table holds every code and its sentence. Every outlet (CLI, API, FHIR,
 * console) shows the sentence and keeps the code.
 * @module
 */
import { ELECTRODE_EXCHANGES, type ElectrodeExchange } from './electrodes.ts'
import type { LeadName } from './leads.ts'

/** All codes and their sentences. `{which}`, `{leads}` and `{field}` are filled in from the warning. */
const WARNINGS = {
  'electrodes-exchanged': 'Electrodes seem to be exchanged: {which}. Check their places and record again.',
  'leads-disagree': 'The leads do not fit together: {leads}. Each limb lead must follow from two others.',
  'leads-identical': 'Leads carry the same signal: {leads}.',
  'scale-doubtful': 'The amplitude is not that of a heart: check the unit and the gain ({field}).',
  'lead-left-out': 'Leads were left out because they cannot be read: {leads}.',
  'field-left-out': 'A field that is not needed for the ECG cannot be read and was left out: {field}.',
  'samples-left-out': 'A part of the recording was left out because it cannot be read: {field}.',
  'checksum-mismatch': 'A checksum of the file does not match its samples: {field}.',
  'option-unused': 'An option changes nothing for this file: {field}.',
  'rate-contradicted': 'The times in the file make another sampling rate than the one that it states: {field}.',
  'window-padded': 'The window is shorter than ten seconds and was padded.',
  'person-doubtful': 'What is said of the person is contradictory or not covered by the model: {field}.',
  'person-not-covered': 'The model did not learn from people under 18 years: its findings are withheld.',
  'paced-rhythm': 'Pacing spikes were found; the model did not learn from paced rhythms.',
  'window-closed-short': 'Samples were missing when the window was closed.',
  'clock-doubtful': 'The device or the gateway had no trusted time.',
  'screens-differ': 'Gateway and cloud screened this ECG with different outcomes.',
} as const satisfies Record<string, string>

export type WarningCode = keyof typeof WARNINGS

export const WARNING_CODES = Object.keys(WARNINGS) as readonly WarningCode[] // the table's own keys

export interface ResultWarning {
  readonly code: WarningCode
  /** Field of the recording at fault: a name or a position, never a value. */
  readonly field?: string | undefined
  readonly leads?: readonly LeadName[] | undefined
  /** Which one of its kind, for example `RA-LA`. */
  readonly which?: string | undefined
  /** Probability that the detector gives, 0 to 1. */
  readonly probability?: number | undefined
  /** The findings are withheld because of this warning. */
  readonly withholds?: boolean | undefined
}

/** A warning as a sentence. For exchanged electrodes it adds the effect on the leads, because nothing is corrected for the reader. */
export function warningText({ code, field, leads, which }: ResultWarning): string {
  const effect = which !== undefined && which in ELECTRODE_EXCHANGES ? (which as ElectrodeExchange) : undefined // just looked up
  const correction = effect === undefined ? '' : ` If so, ${ELECTRODE_EXCHANGES[effect]}; nothing was corrected.`
  const fill = { which, leads: leads?.join(', '), field }
  const sentence = WARNINGS[code]
    .replace(/ ?\(?\{(which|leads|field)\}\)?/g, (whole, name: keyof typeof fill) => {
      const value = fill[name]
      return value === undefined ? '' : whole.replace(`{${name}}`, value)
    })
    .replace(/:(?=\.)/g, '')
  return `${sentence}${correction}`
}
