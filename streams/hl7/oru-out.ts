/**
 * A result as ORU^R01: one OBX per finding, which includes probability, threshold, flag and evidence (because notes may get lost), the main
 * indices with interval and method, quality, warnings, and a PDF page for people.
 * @module
 */

import { BLOCK_NAMES } from '../../shared/domain/bundle-branch-blocks.ts'
import { CONDITION_NAMES, type ConditionId } from '../../shared/domain/conditions.ts'
import type { Evidence, Finding, IndexEstimate, Result } from '../../shared/domain/result.ts'
import { warningText } from '../../shared/domain/warnings.ts'
import { escapeText, withoutTrailing, writeSegment, writeTime } from './message.ts'
import type { OrderNumbers, Visit } from './visit.ts'

/** A coded value: identifier, text, coding system. */
export type Code = readonly [code: string, text: string, system: string]

/** A site's own codes. Without them, our local codes (coding system `L`) are used. */
export interface CodeTable {
  readonly service?: Code | undefined
  readonly findings?: Partial<Readonly<Record<ConditionId, Code>>> | undefined
  readonly indices?: Readonly<Record<string, Code>> | undefined
  readonly quality?: Code | undefined
  readonly warning?: Code | undefined
  readonly report?: Code | undefined
}

export interface OruOptions {
  readonly sending: readonly [application: string, facility: string]
  readonly receiving: readonly [application: string, facility: string]
  readonly version: string
  readonly processingId: 'P' | 'T' | 'D'
  readonly codes: CodeTable
  /** Whether values that were learned from simulated people may be sent (the site's `report.virtual`). */
  readonly allowsVirtual: boolean
}

export interface OruContent {
  readonly result: Result
  readonly order: OrderNumbers
  readonly visit: Visit
  readonly pdf?: Uint8Array | undefined
  /** Control id of this message; a repetition has the same. */
  readonly controlId: string
  readonly at: Date
}

/** The indices that are sent; the others can be looked up by the ECG's id. */
export const SENT_INDICES = ['lvEf', 'lvEdv', 'lvMass', 'rvEdv', 'rvEf', 'laMaxVolume', 'longitudinalStrainGlobal']

const EVIDENCE_WORDS: Readonly<Record<Evidence, string>> = {
  real: "learned from real patients' labels",
  teacher: "learned from a published model's reading of real ECGs",
  proxy: "learned from a stand-in for real patients' labels",
  virtual: 'learned from simulated people',
}

/** Writes the message in UTF-8. */
export function writeOru(content: OruContent, options: OruOptions): Buffer {
  const { result, order, visit } = content
  const status = result.version > 1 ? 'C' : 'P'
  const observed = result.span.startedAt === null ? '' : writeTime(new Date(result.span.startedAt))
  const obx = observations(content, options)
  const segments = [
    // MSH-2 follows the name.
    writeSegment('MSH', {
      1: '^~\\&',
      2: escapeText(options.sending[0]),
      3: escapeText(options.sending[1]),
      4: escapeText(options.receiving[0]),
      5: escapeText(options.receiving[1]),
      6: writeTime(content.at),
      8: options.version < '2.4' ? 'ORU^R01' : 'ORU^R01^ORU_R01',
      9: content.controlId,
      10: options.processingId,
      11: options.version,
      17: 'UNICODE UTF-8',
    }),
    writeSegment('PID', { 1: '1', 3: patientOf(visit), 5: visit.patient === undefined ? '' : '""' }),
    ...(visit.bed === undefined
      ? []
      : [writeSegment('PV1', { 1: '1', 2: 'U', 3: visit.bed.split('^').map(escapeText).join('^') })]),
    writeSegment('ORC', { 1: 'RE', 2: escapeText(order.placer ?? ''), 3: escapeText(order.filler ?? result.ecgId) }),
    writeSegment('OBR', {
      1: '1',
      2: escapeText(order.placer ?? ''),
      3: escapeText(order.filler ?? result.ecgId),
      4: code(order.service ?? options.codes.service ?? ['11524-6', 'EKG study', 'LN']),
      7: observed || writeTime(content.at),
      22: writeTime(content.at),
      24: 'EC',
      25: status,
    }),
    ...obx.map((fields, index) => writeSegment('OBX', { ...fields, 1: String(index + 1), 11: status, 14: observed })),
  ]
  return Buffer.from(`${segments.join('\r')}\r`, 'utf8')
}

/** The order's patient identifier. The name stays unchanged at the receiver (`""` would delete it). */
const patientOf = ({ patient, authority }: Visit): string =>
  patient === undefined ? '' : `${escapeText(patient)}^^^${escapeText(authority ?? '')}^MR`.replace('^^^^MR', '')

type Fields = Readonly<Record<number, string>>

function observations({ result, pdf }: OruContent, { codes, allowsVirtual }: OruOptions): readonly Fields[] {
  const { quality, status, findings, indices, warnings, provenance, ood } = result
  const isSent = ({ evidence }: { readonly evidence: Evidence }) => allowsVirtual || evidence !== 'virtual'
  const sent = { findings: findings.filter(isSent), indices: indices.filter(isSent) }
  const heldBack = findings.length + indices.length - sent.findings.length - sent.indices.length
  const text = (name: Code, value: string, more: Fields = {}) => ({
    2: 'ST',
    3: code(name),
    5: escapeText(value),
    ...more,
  })
  return [
    ...(ood?.flagged
      ? [text(['unfamiliar', 'Unlike the ECGs that the model knows', 'L'], UNFAMILIAR, { 8: 'A' })]
      : []),
    ...sent.findings.map((finding) => findingFields(finding, codes)),
    ...sent.indices.filter(({ id }) => SENT_INDICES.includes(id)).map((index) => indexFields(index, codes)),
    text(
      codes.quality ?? ['signal-quality', 'Signal quality of the ECG', 'L'],
      status === 'screened'
        ? 'acceptable'
        : `Refused by the quality gate: ${quality.reasons.join(', ')}. Not screened.`,
      status === 'screened' ? {} : { 8: 'A' },
    ),
    ...warnings.map((warning) =>
      text(codes.warning ?? ['warning', 'Warning', 'L'], `${warning.code}: ${warningText(warning)}`, {
        4: warning.code,
        8: 'A',
      }),
    ),
    ...(result.supersedes === undefined
      ? []
      : [text(['supersedes', 'Correction', 'L'], correctionText(result, allowsVirtual), { 8: 'A' })]),
    ...(heldBack === 0
      ? []
      : [
          text(['held-back', 'Held back by site rule', 'L'], `${heldBack} numbers that learned from simulated people.`),
        ]),
    text(
      ['provenance', 'Made by', 'L'],
      `ECG ${result.ecgId}; ${provenance.modelBundle} (${provenance.modelSha256.slice(0, 12)}); ${provenance.profile}. ${result.notice}`,
    ),
    ...(pdf === undefined
      ? []
      : [{ 2: 'ED', 3: code(codes.report ?? ['report', 'Report of the ECG screening', 'L']), 5: pdfData(pdf) }]),
  ]
}

/** Text of a correction about the version that it replaces, as far as the site allows its findings. */
export function correctionText({ version, supersedes, noLongerFlagged = [] }: Result, allowsVirtual: boolean): string {
  const sent = noLongerFlagged.filter(({ evidence }) => allowsVirtual || evidence !== 'virtual')
  const names = sent.map(({ condition }) => CONDITION_NAMES.get(condition) ?? condition).join('; ')
  const change = names === '' ? '' : ` NO LONGER FLAGGED, though the earlier version was: ${names}.`
  return `Version ${version}; replaces version ${supersedes}.${change}`
}

const UNFAMILIAR =
  'The ECG is unlike those that the model knows. Do not rely on the numbers: check leads and electrodes.'

const pdfData = (pdf: Uint8Array) => `CARDIACNETS^application^pdf^Base64^${Buffer.from(pdf).toString('base64')}`

/** Text of a finding; the codes are in other fields. */
export function findingText(finding: Finding): string {
  const { probability, threshold, raisedBy, flagged, borderline, evidence, withheld, predictiveValue } = finding
  const raised = raisedBy === undefined ? '' : ` (raised: ${BLOCK_NAMES[raisedBy]})`
  const numbers = `probability ${probability.toFixed(3)}, threshold ${threshold.toFixed(3)}${raised}; ${EVIDENCE_WORDS[evidence]}`
  if (withheld !== undefined) return `withheld: ${withheld.reason}; ${EVIDENCE_WORDS[evidence]}`
  const meaning =
    predictiveValue === undefined
      ? ''
      : `; ${flagged ? `PPV ${predictiveValue.positive}` : `NPV ${predictiveValue.negative}`} at a prevalence of ${predictiveValue.prevalence}`
  return `${flagged ? 'flagged' : 'not flagged'}${borderline ? ' (borderline)' : ''}; ${numbers}${meaning}`
}

function findingFields(finding: Finding, codes: CodeTable): Fields {
  const { condition, threshold, flagged, evidence, withheld } = finding
  const own: Code = [condition, CONDITION_NAMES.get(condition) ?? condition, 'L']
  return {
    2: 'ST',
    3: code(codes.findings?.[condition] ?? own),
    4: condition,
    5: escapeText(findingText(finding)),
    7: withheld === undefined ? `<${threshold.toFixed(3)}` : '',
    8: flagged ? 'A' : '',
    17: code([evidence, EVIDENCE_WORDS[evidence], 'L']),
  }
}

function indexFields(
  { id, name, value, unit, low, high, correlation, evidence }: IndexEstimate,
  codes: CodeTable,
): Fields {
  const method = `Estimated from the ECG by a model, ${EVIDENCE_WORDS[evidence]}; r = ${correlation.toFixed(2)}; OBX-7 is the 90% interval`
  return {
    2: 'NM',
    3: code(codes.indices?.[id] ?? [id, name, 'L']),
    4: id,
    5: number(value),
    6: code([unit, unit, 'UCUM']),
    7: `${number(low)}-${number(high)}`,
    17: code([`ecg-estimate-${evidence}`, method, 'L']),
  }
}

const number = (value: number) => String(Number(value.toPrecision(6)))

const code = ([id, text, system]: Code) => withoutTrailing([id, text, system].map(escapeText).join('^'), '^')
