/**
 * The lead that a FHIR code means.
 * @module
 */
import { findLead, type LeadName } from '../../../shared/domain/leads.ts'
import { leadOfScpCode } from '../lead-codes.ts'
import type { CodeableConcept, Coding } from './resources.ts'

/** Start of partition 2 (SCADA) of ISO/IEEE 11073-10101; SCP's lead number is added. */
const MDC_LEADS = 2 * 0x1_0000
/** `MDC_ECG_ELEC_POTL`: the electric potential of a lead, with SCP's number added: I is 131329, III 131389, V1 131331. */
const MDC_POTENTIALS = MDC_LEADS + 256

/**
 * SNOMED CT and LOINC, from https://build.fhir.org/ig/hl7germany/terminologie-basis-de/ValueSet-EkgAbleitungenVS.html and
 * ValueSet-EkgLeads.html.
 */
const OTHER_CODES: ReadonlyMap<string, LeadName> = new Map([
  ['272729005', 'I'],
  ['272730000', 'II'],
  ['272731001', 'III'],
  ['257474006', 'aVR'],
  ['257473000', 'aVL'],
  ['257472005', 'aVF'],
  ['257475007', 'V1'],
  ['257476008', 'V2'],
  ['257477004', 'V3'],
  ['257478009', 'V4'],
  ['257479001', 'V5'],
  ['257480003', 'V6'],
  ['LP7386-8', 'I'],
  ['LP7387-6', 'II'],
  ['LP7388-4', 'III'],
  ['LP7385-0', 'aVR'],
  ['LP7384-3', 'aVL'],
  ['LP7383-5', 'aVF'],
  ['LP7389-2', 'V1'],
  ['LP7390-0', 'V2'],
  ['LP7391-8', 'V3'],
  ['LP7392-6', 'V4'],
  ['LP7393-4', 'V5'],
  ['LP7394-2', 'V6'],
  // http://hl7.org/fhir/uv/phr/CodeSystem/ecg-lead-codes; its other codes are the leads' names.
  ['appleWatchSimilarToLeadI', 'I'],
])

/** The leads that a code names, in its order: one, unless the data have several dimensions. */
export function leadsOfConcept({ coding, text }: CodeableConcept): readonly LeadName[] {
  const coded = distinct(coding.map(leadOfCoding))
  if (coded.length > 0) return coded
  const named = text === undefined ? undefined : findLead(text)
  if (named !== undefined || text === undefined) return named === undefined ? [] : [named]
  if (text.length > MAX_TEXT_LENGTH) return []
  const parts = text
    .trim()
    .split(/[\s,;/\\]+/)
    .map((part) => findLead(part))
  return parts.includes(undefined) ? [] : distinct(parts)
}

/** Twelve leads with one word each take 100 characters. */
const MAX_TEXT_LENGTH = 256

function leadOfCoding({ code, display }: Coding): LeadName | undefined {
  return (code && leadOfCode(code)) || (display && findLead(display)) || undefined
}

function leadOfCode(code: string): LeadName | undefined {
  // DICOM writes partition and code separately (`2:1`), and SCP's number after its section (`5.6.3-9-1`): PS3.16, CID 3001.
  const [, partition, inPartition] = /^(\d+):(\d+)$/.exec(code) ?? []
  if (partition !== undefined) return leadOfMdc(Number(partition) * 0x1_0000 + Number(inPartition))
  const [, scp] = /^5\.6\.3-9-(\d+)$/.exec(code) ?? []
  if (scp !== undefined) return leadOfScpCode(Number(scp))
  return OTHER_CODES.get(code) ?? (/^\d{6}$/.test(code) ? leadOfMdc(Number(code)) : findLead(code))
}

function leadOfMdc(code: number): LeadName | undefined {
  return leadOfScpCode(code - MDC_POTENTIALS) ?? leadOfScpCode(code - MDC_LEADS)
}

const distinct = (leads: readonly (LeadName | undefined)[]) => [...new Set(leads)].filter((lead) => lead !== undefined)

/**
 * Codes of a whole ECG: LOINC 11524-6 (study) and 34534-8 (12 leads), MDC_ECG_ELEC_POTL, and SNOMED CT 106073009 of the German base
 * profile.
 */
const ECG_CODES: readonly string[] = ['11524-6', '34534-8', String(MDC_POTENTIALS), '106073009']

/** Whether a code is that of an ECG, whether or not its leads can be read. */
export function meansEcg(concept: CodeableConcept): boolean {
  return concept.coding.some(({ code }) => code !== undefined && ECG_CODES.includes(code))
}
