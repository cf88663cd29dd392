/**
 * Numeric lead codes of standards.
 * @module
 */
import type { LeadName } from '../../shared/domain/leads.ts'

/**
 * Lead identification of SCP-ECG (ISO 11073-91064, table of section 3), which MFER (ISO 22077-1) and the DICOM codes
 * `SCPECG 5.6.3-9-n` and `MDC 2:n` (PS3.16 CID 3001) share.
 */
const SCP_LEADS: ReadonlyMap<number, LeadName> = new Map([
  [1, 'I'],
  [2, 'II'],
  [3, 'V1'],
  [4, 'V2'],
  [5, 'V3'],
  [6, 'V4'],
  [7, 'V5'],
  [8, 'V6'],
  [61, 'III'],
  [62, 'aVR'],
  [63, 'aVL'],
  [64, 'aVF'],
])

/** The lead of an SCP-ECG number; `undefined` when it is none of the twelve. */
export const leadOfScpCode = (code: number): LeadName | undefined => SCP_LEADS.get(code)
