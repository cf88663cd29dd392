/**
 * UIDs in use here (PS3.4, PS3.5, PS3.6).
 * @module
 */
export const VERIFICATION = '1.2.840.10008.1.1'
export const COMMITMENT = '1.2.840.10008.1.20.1'
/** The well-known instance for storage commitment requests. */
export const COMMITMENT_INSTANCE = '1.2.840.10008.1.20.1.1'

export const ENCAPSULATED_PDF = '1.2.840.10008.5.1.4.1.1.104.1'
export const ENCAPSULATED_CDA = '1.2.840.10008.5.1.4.1.1.104.2'

const WAVEFORMS: readonly string[] = [
  '1.2.840.10008.5.1.4.1.1.9.1.1', // Twelve Lead ECG
  '1.2.840.10008.5.1.4.1.1.9.1.2', // General ECG
  '1.2.840.10008.5.1.4.1.1.9.1.3', // Ambulatory ECG
  '1.2.840.10008.5.1.4.1.1.9.1.4', // General 32-bit ECG
]

/** SOP classes that are accepted. */
export const isStored = (classUid: string): boolean =>
  WAVEFORMS.includes(classUid) || classUid === ENCAPSULATED_PDF || classUid === ENCAPSULATED_CDA

/** Accepted transfer syntaxes, in order of preference: explicit, implicit and deflated little-endian. */
export const ACCEPTED_SYNTAXES: readonly string[] = [
  '1.2.840.10008.1.2.1',
  '1.2.840.10008.1.2',
  '1.2.840.10008.1.2.1.99',
]
