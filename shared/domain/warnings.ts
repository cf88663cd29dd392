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
  'leads-disagree': 'The leads contradict each other: {leads}. Each limb lead must follow from two others.',
  'leads-identical': 'Several leads carry the same signal: {leads}.',
  'scale-doubtful': 'The amplitude is implausible for a heart. Check the unit and the gain ({field}).',
  'lead-left-out': 'Leads were left out because they cannot be read: {leads}.',
  'field-left-out': 'A field that the ECG does not need could not be read and was left out: {field}.',
  'samples-left-out': 'Part of the recording was left out because it cannot be read: {field}.',
  'checksum-mismatch': 'A checksum of the file does not match its samples: {field}.',
  'option-unused': 'An option had no effect on this file: {field}.',
  'rate-contradicted': 'The times in the file imply another sampling rate than the file states: {field}.',
  'window-padded': 'The window is shorter than ten seconds and was padded.',
  'person-doubtful': 'The data about the person are contradictory or not covered by the model: {field}.',
  'person-not-covered': 'The model was not trained on people under 18 years. Its findings are withheld.',
  'paced-rhythm': 'Pacing spikes were found. The model was not trained on paced rhythms.',
  'window-closed-short': 'Samples were missing when the window was closed.',
  'clock-doubtful': 'The clock of the device or the gateway may be wrong.',
  'screens-differ': 'The gateway and the cloud came to different results for this ECG.',
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
