/**
 * A result as a DICOM structured report (Enhanced SR, PS3.3 A.35.2): one item per finding, with probability, threshold, verdict and
 * evidence, then measurements, the main indices, quality, warnings and provenance.
 *
 * The name of a finding is its condition, and its value is the model's verdict on the threshold, so that no reader takes a coded condition
 * for a diagnosis. Codes are from SNOMED CT, LOINC, MDC and DICOM where the concept is the same, otherwise from our own scheme.
 *
 * The order is that of TID 3700 (ECG Report, PS3.16): the ECG (TID 3708), its measurements (TID 3713), the screening, the summary (TID 3719).
 * A container claims its template if it has everything that the template requires. The report does not claim TID 3700: a screening is not an
 * interpretation of the waves.
 * @module
 */

import { uidOf } from '../../shared/dicom-uid.ts'
import { BLOCK_NAMES } from '../../shared/domain/bundle-branch-blocks.ts'
import { CONDITION_NAMES } from '../../shared/domain/conditions.ts'
import type { Measurements } from '../../shared/domain/measurements.ts'
import type { Evidence, Finding, IndexEstimate, Result } from '../../shared/domain/result.ts'
import { warningText } from '../../shared/domain/warnings.ts'
import { conditionConcept, EVIDENCE_TEXT, indexConcept, LOINC } from '../fhir/report/codes.ts'
import { correctionText, SENT_INDICES } from '../hl7/oru-out.ts'
import type { OrderNumbers, Visit } from '../hl7/visit.ts'

const ENHANCED_SR = '1.2.840.10008.5.1.4.1.1.88.22'

/** The instance that contained the ECG, if it arrived by DICOM. */
export interface SourceInstance {
  readonly study: string
  readonly series: string
  readonly instance: string
  readonly classUid: string
}

export interface ReportContent {
  readonly result: Result
  readonly order: OrderNumbers
  readonly visit: Visit
  readonly source?: SourceInstance | undefined
  /** The same at each attempt, so that a report always has the same content. */
  readonly at: Date
  /** Whether values that were learned from simulated people may be sent (the site's `report.virtual`). */
  readonly allowsVirtual: boolean
}

/** Attributes by keyword; a sequence is an array of them. */
export type Attributes = Readonly<Record<string, unknown>>

/** A repeated report has the same UIDs. A correction has its own and refers to the previous report. */
const instanceOf = ({ ecgId }: Pick<Result, 'ecgId'>, version: number) => uidOf(['report', ecgId, version])

export function structuredReport(content: ReportContent): Attributes {
  const { result, order, visit, source, at } = content
  const { ecgId, version, supersedes, span } = result
  const taken = span.startedAt === null ? undefined : new Date(span.startedAt)
  const study = source?.study ?? uidOf(['study', ecgId])
  const series = uidOf(['reports', ecgId])
  const report = (number: number) => ({
    ReferencedSOPClassUID: ENHANCED_SR,
    ReferencedSOPInstanceUID: instanceOf(result, number),
  })
  return {
    SpecificCharacterSet: 'ISO_IR 192',
    SOPClassUID: ENHANCED_SR,
    SOPInstanceUID: instanceOf(result, version),
    CodingSchemeIdentificationSequence: [{ CodingSchemeDesignator: OURS, CodingSchemeName: 'CardiacNets Edge' }],
    TimezoneOffsetFromUTC: '+0000',
    // Of the patient, only the id.
    PatientName: '',
    PatientID: visit.patient ?? '',
    ...(visit.authority === undefined ? {} : { IssuerOfPatientID: visit.authority }),
    PatientBirthDate: '',
    PatientSex: '',
    StudyInstanceUID: study,
    StudyDate: taken === undefined ? '' : dateOf(taken),
    StudyTime: taken === undefined ? '' : timeOf(taken),
    ReferringPhysicianName: '',
    StudyID: '',
    AccessionNumber: (order.placer ?? '').slice(0, 16),
    Modality: 'SR',
    SeriesInstanceUID: series,
    SeriesNumber: 1,
    SeriesDescription: 'Investigational ECG screening',
    ReferencedPerformedProcedureStepSequence: [],
    Manufacturer: 'CardiacNets Edge',
    ManufacturerModelName: result.provenance.modelBundle.slice(0, 64),
    SoftwareVersions: [result.provenance.modelSha256, result.provenance.codeVersion.slice(0, 64)],
    InstanceNumber: version,
    CompletionFlag: 'COMPLETE',
    VerificationFlag: 'UNVERIFIED',
    PreliminaryFlag: 'PRELIMINARY',
    ContentDate: dateOf(at),
    ContentTime: timeOf(at),
    PerformedProcedureCodeSequence: [],
    ...(source && {
      CurrentRequestedProcedureEvidenceSequence: [
        {
          StudyInstanceUID: source.study,
          ReferencedSeriesSequence: [
            { SeriesInstanceUID: source.series, ReferencedSOPSequence: [referenceTo(source)] },
          ],
        },
      ],
    }),
    ...(supersedes !== undefined && {
      PredecessorDocumentsSequence: [
        {
          StudyInstanceUID: study,
          ReferencedSeriesSequence: [{ SeriesInstanceUID: series, ReferencedSOPSequence: [report(supersedes)] }],
        },
      ],
    }),
    ValueType: 'CONTAINER',
    ConceptNameCodeSequence: [code('11524-6', 'LN', 'EKG study')],
    ContinuityOfContent: 'SEPARATE',
    ContentSequence: itemsOf(content),
  }
}

const OURS = '99CNE'
const OWN = (id: string, meaning: string) => code(id, OURS, meaning)

type Item = Attributes

function itemsOf(content: ReportContent): readonly Item[] {
  const { result, allowsVirtual } = content
  const { findings, indices, measurements, quality, status, warnings, ood, provenance, notice, span } = result
  const isSent = ({ evidence }: { readonly evidence: Evidence }) => allowsVirtual || evidence !== 'virtual'
  const sent = { findings: findings.filter(isSent), indices: indices.filter(isSent) }
  const heldBack = findings.length + indices.length - sent.findings.length - sent.indices.length
  return [
    coded('HAS CONCEPT MOD', code('121049', 'DCM', 'Language of Content Item and Descendants'), ENGLISH),
    coded('HAS OBS CONTEXT', code('121005', 'DCM', 'Observer Type'), code('121007', 'DCM', 'Device')),
    {
      ...item('HAS OBS CONTEXT', 'UIDREF', code('121012', 'DCM', 'Device Observer UID')),
      UID: uidOf(['observer', provenance.modelSha256]),
    },
    container(
      code('55111-9', 'LN', 'Current Procedure Descriptions'),
      procedureItems(content),
      span.startedAt === null ? undefined : '3708',
    ),
    ...(measurements === undefined ? [] : [measurementsItem(measurements)]),
    container(OWN('screening', 'Screening by a model'), [
      ...(ood?.flagged
        ? [text('CONTAINS', OWN('unfamiliar', 'Unlike the ECGs that the model knows'), 'Do not rely on the numbers.')]
        : []),
      ...sent.findings.map(findingItem),
      ...sent.indices.filter(({ id }) => SENT_INDICES.includes(id)).map(indexItem),
      text(
        'CONTAINS',
        OWN('signal-quality', 'Signal quality of the ECG'),
        status === 'screened'
          ? 'acceptable'
          : `Refused by the quality gate: ${quality.reasons.join(', ')}. Not screened.`,
      ),
      ...warnings.map((warning) =>
        text('CONTAINS', OWN('warning', 'Warning'), `${warning.code}: ${warningText(warning)}`),
      ),
      ...(result.supersedes === undefined
        ? []
        : [text('CONTAINS', OWN('correction', 'Correction'), correctionText(result, allowsVirtual))]),
      ...(heldBack === 0
        ? []
        : [
            text(
              'CONTAINS',
              OWN('held-back', 'Held back by site rule'),
              `${heldBack} numbers that learned from simulated people.`,
            ),
          ]),
      text(
        'CONTAINS',
        OWN('provenance', 'Made by'),
        `ECG ${result.ecgId}, version ${result.version}; ${provenance.modelBundle} (${provenance.modelSha256.slice(0, 12)}); ${provenance.profile}.`,
      ),
    ]),
    container(SUMMARY, [text('CONTAINS', SUMMARY, notice)], '3719'),
  ]
}

const SUMMARY = code('55112-7', 'LN', 'Summary')

/** TID 3708, which requires the time of the ECG. */
function procedureItems({ result: { span, provenance }, source }: ReportContent): readonly Item[] {
  return [
    ...(span.startedAt === null
      ? []
      : [
          {
            ...item('CONTAINS', 'DATETIME', code('122146', 'DCM', 'Procedure DateTime')),
            DateTime: `${dateOf(new Date(span.startedAt))}${timeOf(new Date(span.startedAt))}`,
          },
        ]),
    ...(source === undefined
      ? []
      : [
          {
            ...item('CONTAINS', 'WAVEFORM', code('121112', 'DCM', 'Source of Measurement')),
            ReferencedSOPSequence: [referenceTo(source)],
          },
        ]),
    text('CONTAINS', code('111001', 'DCM', 'Algorithm Name'), provenance.modelBundle),
    text('CONTAINS', code('111003', 'DCM', 'Algorithm Version'), provenance.modelSha256),
  ]
}

/** Rows of TID 3713 (codes of ISO/IEEE 11073-10102): those before `null` are required. */
const MEASUREMENTS = [
  ['heartRateBpm', '2:16016', 'Ventricular Heart Rate', '{H.B.}/min'],
  ['qtMs', '2:16160', 'QT interval global', 'ms'],
  ['prMs', '2:15872', 'PR interval global', 'ms'],
  ['qrsMs', '2:16156', 'QRS duration global', 'ms'],
  ['rrMs', '2:16168', 'RR interval global', 'ms'],
  null,
  ['pMs', '2:16184', 'P duration global', 'ms'],
  ['axisDegrees', '2:16132', 'QRS axis', 'deg'],
] as const

function measurementsItem(measurements: Measurements): Item {
  const { qtcBazettMs, qtcFridericiaMs } = measurements
  const end = MEASUREMENTS.indexOf(null)
  const isWhole = MEASUREMENTS.slice(0, end).every((row) => row !== null && measurements[row[0]] !== undefined)
  const numbers = MEASUREMENTS.flatMap((row) => {
    const value = row === null ? undefined : measurements[row[0]]
    return row === null || value === undefined ? [] : [number('CONTAINS', code(row[1], 'MDC', row[2]), value, row[3])]
  })
  // The template has room for one. A reader who looks for "QTc" finds Bazett's, which most devices mean by it.
  const formula = coded('HAS PROPERTIES', code('111001', 'DCM', 'Algorithm Name'), BAZETT)
  const bazett =
    qtcBazettMs === undefined
      ? []
      : [
          {
            ...number('CONTAINS', code('2:15876', 'MDC', 'QTc interval global'), qtcBazettMs, 'ms'),
            ContentSequence: [formula],
          },
        ]
  const fridericia = code('2:15892', 'MDC', 'QTc global using Fredericia formula')
  return container(code('122144', 'DCM', 'Quantitative Analysis'), [
    container(code('122158', 'DCM', 'ECG Global Measurements'), [...numbers, ...bazett], isWhole ? '3713' : undefined),
    ...(qtcFridericiaMs === undefined ? [] : [number('CONTAINS', fridericia, qtcFridericiaMs, 'ms')]),
  ])
}

const BAZETT = code('122730', 'DCM', 'Bazett QT Correction Algorithm')

function findingItem(finding: Finding): Item {
  const { condition, probability, threshold, raisedBy, flagged, borderline, evidence, withheld } = finding
  const [{ code: id, display } = {}] = conditionConcept(condition).coding ?? []
  const name = code(id ?? condition, id === undefined ? OURS : 'SCT', display ?? CONDITION_NAMES.get(condition)!)
  const verdict = flagged
    ? OWN('above-threshold', 'above the threshold of the model')
    : OWN('below-threshold', 'below the threshold of the model')
  const properties = [
    ...(withheld === undefined
      ? [
          number('HAS PROPERTIES', OWN('probability', 'Probability by the model'), probability, '1'),
          number('HAS PROPERTIES', OWN('threshold', 'Threshold of the model'), threshold, '1'),
        ]
      : []),
    ...(raisedBy === undefined
      ? []
      : [text('HAS PROPERTIES', OWN('threshold-raised', 'Threshold raised'), BLOCK_NAMES[raisedBy])]),
    ...(borderline ? [text('HAS PROPERTIES', OWN('borderline', 'Borderline'), 'close to the threshold')] : []),
    evidenceItem(evidence),
  ]
  const value = withheld === undefined ? verdict : OWN('withheld', `withheld: ${withheld.reason}`)
  return { ...coded('CONTAINS', name, value), ContentSequence: properties }
}

function indexItem({ id, name, value, unit, low, high, correlation, evidence }: IndexEstimate): Item {
  const known = indexConcept(id, name).coding?.find(({ system }) => system === LOINC)
  const concept = known === undefined ? OWN(id, name) : code(known.code!, 'LN', known.display!)
  return {
    ...number('CONTAINS', concept, value, unit),
    ContentSequence: [
      number('HAS PROPERTIES', OWN('low-90', 'Lower end of the 90% interval'), low, unit),
      number('HAS PROPERTIES', OWN('high-90', 'Upper end of the 90% interval'), high, unit),
      number('HAS PROPERTIES', OWN('correlation', 'Correlation with the truth on held-out people'), correlation, '1'),
      text('HAS PROPERTIES', OWN('method', 'Method'), 'Estimated from the ECG by a model'),
      evidenceItem(evidence),
    ],
  }
}

const evidenceItem = (evidence: Evidence): Item =>
  coded('HAS PROPERTIES', OWN('evidence', 'What the number learned from'), OWN(evidence, EVIDENCE_TEXT[evidence]))

const ENGLISH = code('en', 'RFC5646', 'English')

/** A code value of more than 16 characters is a long code value (PS3.3, 8.8). */
function code(value: string, scheme: string, meaning: string): Attributes {
  return {
    ...(value.length > 16 ? { LongCodeValue: value } : { CodeValue: value }),
    CodingSchemeDesignator: scheme,
    CodeMeaning: meaning.slice(0, 64),
  }
}

const item = (relation: string, type: string, name: Attributes): Item => ({
  RelationshipType: relation,
  ValueType: type,
  ConceptNameCodeSequence: [name],
})

const coded = (relation: string, name: Attributes, value: Attributes): Item => ({
  ...item(relation, 'CODE', name),
  ConceptCodeSequence: [value],
})

/** @param template identifier in PS3.16 of the template that the container follows */
const container = (name: Attributes, items: readonly Item[], template?: string): Item => ({
  ...item('CONTAINS', 'CONTAINER', name),
  ContinuityOfContent: 'SEPARATE',
  ...(template && {
    ContentTemplateSequence: [{ MappingResource: 'DCMR', TemplateIdentifier: template }],
  }),
  ContentSequence: items,
})

const text = (relation: string, name: Attributes, value: string): Item => ({
  ...item(relation, 'TEXT', name),
  TextValue: value,
})

/** @param unit UCUM */
const number = (relation: string, name: Attributes, value: number, unit: string): Item => ({
  ...item(relation, 'NUM', name),
  MeasuredValueSequence: [
    {
      NumericValue: String(Number(value.toPrecision(6))),
      MeasurementUnitsCodeSequence: [code(unit, 'UCUM', UNIT_MEANINGS[unit] ?? unit)],
    },
  ],
})

/** As PS3.16 writes them. */
const UNIT_MEANINGS: Readonly<Record<string, string>> = { '1': 'no units', '{H.B.}/min': 'BPM' }

const referenceTo = ({ classUid, instance }: SourceInstance): Attributes => ({
  ReferencedSOPClassUID: classUid,
  ReferencedSOPInstanceUID: instance,
})

const dateOf = (at: Date) => at.toISOString().slice(0, 10).replaceAll('-', '')
const timeOf = (at: Date) => at.toISOString().slice(11, 19).replaceAll(':', '')
