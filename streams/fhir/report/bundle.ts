/**
 * One transaction that writes a screening into the chart: all or nothing, and only once, however often it is sent.
 *
 * Every create is conditional on our identifier, which contains the version of the result: (ECG, model, profile), or for a session summary
 * its revision. A newer version is a new set of resources that replaces the old ones: R4 has `diagnosticReport-replaces` and
 * `Provenance.entity.role = revision` for that. The old ones become `cancelled`: `amended` and `corrected` apply to reports that were
 * final, which ours never are, and `entered-in-error` would mean that it never happened.
 * @module
 */

import type {
  Bundle,
  BundleEntry,
  Device,
  DiagnosticReport,
  Identifier,
  Observation,
  Provenance,
  Reference,
  RiskAssessment,
} from '@medplum/fhirtypes'
import { BLOCK_NAMES } from '../../../shared/domain/bundle-branch-blocks.ts'
import { CONDITION_NAMES } from '../../../shared/domain/conditions.ts'
import { type Finding, NOTICE } from '../../../shared/domain/result.ts'
import { warningText } from '../../../shared/domain/warnings.ts'
import {
  conditionConcept,
  EKG_STUDY,
  ELECTROCARDIAC,
  EVIDENCE_TEXT,
  INPUT_ID,
  RESULT_ID,
  riskConcept,
} from './codes.ts'
import { describeCorrection } from './correction.ts'
import { indexParts, measurementParts, type Part, qualityPart } from './observations.ts'
import { type Allowed, allowed, type Screening, type SessionFacts } from './screening.ts'
import { entry, meta, modelEntry, reference } from './transaction.ts'

export interface ReportOptions {
  readonly screening: Screening
  /** `Patient/123` */
  readonly patient: string
  /** `Encounter/123`, if the ECG has one. */
  readonly encounter?: string | undefined
  /** The resource that contains the ECG, if it came from this EHR: `Observation/123`. */
  readonly source?: string | undefined
  readonly issuedAt: Date
  /** Whether values that were learned from simulated people may be written. */
  readonly allowsVirtual: boolean
  /** Earlier versions, as they are in the EHR now. */
  readonly replaces?: readonly Replaceable[]
}

export type Replaceable = DiagnosticReport | RiskAssessment | Observation

const EXTENSION = 'http://hl7.org/fhir/StructureDefinition'

const EPISODES_SHOWN = 10

/** Types that Observation.derivedFrom may refer to, among those that can contain an ECG. */
const DERIVABLE = /^(Observation|DocumentReference|Media)\//

/** Makes the transaction for a screening. */
export function reportBundle(options: ReportOptions): Bundle {
  const { screening, replaces = [] } = options
  const allows = allowed(screening, options.allowsVirtual)
  const { modelBundle, modelSha256 } = screening.provenance
  const device = modelEntry('Model that screens ECGs', modelBundle, modelSha256)
  const own = (part?: string) => `identifier=${RESULT_ID}|${resultId(screening, part)}`
  const observations = [qualityPart(screening), ...measurementParts(screening), ...indexParts(allows.indices)].map(
    (part) => entry(toObservation(part, options, reference(device)), own(part.name)),
  )
  const old = replaces.find((resource) => resource.resourceType === 'DiagnosticReport')
  const correction = old === undefined ? undefined : describeCorrection(replaces, allows.findings)
  const [quality] = observations.map(reference) as [Reference<Observation>] // there is always one of quality
  const risk =
    allows.findings.length === 0
      ? []
      : [entry(riskAssessment(options, allows, reference(device), quality, correction), own('risk'))]
  const results = observations.map(reference)
  const report = entry(diagnosticReport(options, allows, results, risk.map(reference), old, correction), own())
  const made = [report, ...risk, ...observations]
  const origin = entry(
    provenance(options, made.map(reference), reference(device), old),
    // A Provenance has no identifier, so it is found by its tag.
    `_tag=${RESULT_ID}|${screening.version}`,
  )
  return { resourceType: 'Bundle', type: 'transaction', entry: [...made, device, origin, ...replaces.map(withdrawal)] }
}

const resultId = ({ version }: Screening, part?: string) => (part === undefined ? version : `${version}/${part}`)

/** An identifier of this version, and one that all versions share. */
function identifiers(screening: Screening, part?: string): Identifier[] {
  return [{ system: RESULT_ID, value: resultId(screening, part) }, { ...screening.about }]
}

/** Elements that all resources about the patient share. */
function subject({ patient, encounter }: ReportOptions) {
  return {
    subject: { reference: patient },
    ...(encounter === undefined ? {} : { encounter: { reference: encounter } }),
  }
}

/** An ECG has a time, a session a period. */
function times<Name extends 'effective' | 'occurrence'>(name: Name, { startedAt, endedAt, session }: Screening) {
  if (startedAt === undefined) return {}
  if (session === undefined) return { [`${name}DateTime`]: startedAt }
  return { [`${name}Period`]: { start: startedAt, ...(endedAt === undefined ? {} : { end: endedAt }) } }
}

function toObservation({ name, content }: Part, options: ReportOptions, device: Reference<Device>): Observation {
  const { screening, source } = options
  return {
    resourceType: 'Observation',
    meta: meta(),
    identifier: identifiers(screening, name),
    status: 'preliminary',
    ...content,
    ...subject(options),
    ...times('effective', screening),
    issued: options.issuedAt.toISOString(),
    device,
    ...(source !== undefined && DERIVABLE.test(source) ? { derivedFrom: [{ reference: source }] } : {}),
  }
}

function riskAssessment(
  options: ReportOptions,
  { findings }: Allowed,
  device: Reference<Device>,
  quality: Reference<Observation>,
  correction: string | undefined,
): RiskAssessment {
  const { screening, source } = options
  const { session } = screening
  return {
    resourceType: 'RiskAssessment',
    meta: meta(),
    identifier: identifiers(screening, 'risk'),
    status: 'preliminary',
    code: { text: 'Screening of an ECG for heart disease by a model' },
    ...subject(options),
    ...times('occurrence', screening),
    performer: device,
    basis: [...(source === undefined ? [] : [{ reference: source }]), quality],
    prediction: findings.map((finding) => ({
      outcome: conditionConcept(finding.condition),
      // A percentage, as the element's definition requires.
      ...(finding.withheld === undefined ? { probabilityDecimal: percent(finding.probability) } : {}),
      qualitativeRisk: riskConcept(finding),
      rationale: rationale(finding, session?.flaggedShare[screening.findings.indexOf(finding)]),
    })),
    note: [{ text: NOTICE }, ...(correction === undefined ? [] : [{ text: correction }])],
  }
}

function rationale(finding: Finding, share: number | undefined): string {
  const { threshold, raisedBy, evidence, withheld, flagged, predictiveValue } = finding
  if (withheld !== undefined) return `Withheld (${withheld.reason}): neither above nor below the threshold.`
  const often =
    share === undefined ? '' : ` Mean over the session; above the threshold in ${percent(share)}% of its windows.`
  const raised = raisedBy === undefined ? '' : `, raised because the ECG shows a ${BLOCK_NAMES[raisedBy]}`
  const meaning =
    predictiveValue === undefined
      ? ''
      : ` Where ${percent(predictiveValue.prevalence)}% have it, ${
          flagged
            ? `${percent(predictiveValue.positive)}% of those flagged do`
            : `${percent(predictiveValue.negative)}% of those not flagged do not`
        }.`
  return `That the disease is there now, not a prediction of it. Threshold ${percent(threshold)}%${raised}; ${EVIDENCE_TEXT[evidence]}.${meaning}${often}`
}

function diagnosticReport(
  options: ReportOptions,
  allows: Allowed,
  result: Reference<Observation>[],
  risks: readonly Reference<RiskAssessment>[],
  old: Replaceable | undefined,
  correction: string | undefined,
): DiagnosticReport {
  const { screening, issuedAt } = options
  const extension = [
    ...risks.map((valueReference) => ({ url: `${EXTENSION}/diagnosticReport-risk`, valueReference })),
    ...(old === undefined ? [] : [{ url: `${EXTENSION}/diagnosticReport-replaces`, valueReference: existing(old) }]),
  ]
  return {
    resourceType: 'DiagnosticReport',
    meta: meta(),
    ...(extension.length === 0 ? {} : { extension }),
    identifier: identifiers(screening),
    status: 'preliminary',
    category: [ELECTROCARDIAC],
    code: EKG_STUDY,
    ...subject(options),
    ...times('effective', screening),
    issued: issuedAt.toISOString(),
    result,
    conclusion: conclusion(screening, allows, correction),
  }
}

/** The text that a reader sees first; the notice comes before everything else. */
function conclusion(
  { status, quality, ood, warnings = [], provenance, session }: Screening,
  { findings, indices, withheld }: Allowed,
  correction: string | undefined,
): string {
  const name = ({ condition }: Finding) => CONDITION_NAMES.get(condition) ?? condition
  const describe = (finding: Finding) =>
    `${name(finding)} ${percent(finding.probability)}% (threshold ${percent(finding.threshold)}%, ${EVIDENCE_TEXT[finding.evidence]})`
  const list = (title: string, isFlagged: boolean) => {
    const those = findings.filter(({ flagged, withheld: held }) => held === undefined && flagged === isFlagged)
    return those.length === 0 ? [] : [`${title}: ${those.map(describe).join('; ')}.`]
  }
  const heldBack = findings.filter((finding) => finding.withheld !== undefined)
  return [
    NOTICE,
    `Screened by ${provenance.modelBundle}, a model.`,
    ...(session === undefined ? [] : [describeSession(session)]),
    ...(correction === undefined ? [] : [correction]),
    ...(status === 'refused'
      ? [`Not judged: the quality gate refused the signal (${quality.reasons.join(', ')}).`]
      : []),
    ...(ood?.flagged === true
      ? ['UNLIKE the ECGs that the model was trained on: do not rely on the numbers below.']
      : []),
    ...warnings.map((warning) => `Warning: ${warningText(warning)}`),
    ...(heldBack.length === 0 ? [] : [`Findings withheld because of a warning: ${heldBack.map(name).join('; ')}.`]),
    ...list('Above threshold', true),
    ...list('Below threshold', false),
    ...(session?.isOver === true ? describeEpisodes(session) : []),
    ...(indices.length === 0
      ? []
      : [`${indices.length} cardiac function indices are estimated; each says how far to trust it.`]),
    ...(withheld === 0 ? [] : [`Not shown, as they did not learn from real patients' labels: ${withheld} numbers.`]),
  ].join('\n')
}

function describeSession({ screenedWindows, refusedWindows, indexWindows, isOver }: SessionFacts): string {
  const what = isOver ? 'A whole session' : 'A change in a session that goes on'
  const indices = indexWindows === 0 ? '' : ` Indices are the mean of ${indexWindows} of them.`
  return `${what}: mean of ${screenedWindows} ${screenedWindows === 1 ? 'window' : 'windows'} of ten seconds; ${refusedWindows} more could not be judged.${indices}`
}

/** A mean hides temporary changes. */
function describeEpisodes({ episodes }: SessionFacts): readonly string[] {
  const shown = episodes.slice(0, EPISODES_SHOWN)
  const more = episodes.length - shown.length
  return [
    ...shown.map(({ condition, from, to, windows }) => {
      return `${CONDITION_NAMES.get(condition)} stayed above its threshold from ${from} to ${to} (${windows} windows).`
    }),
    ...(more === 0 ? [] : [`${more} more such stretches.`]),
  ]
}

function provenance(
  { screening, source, issuedAt }: ReportOptions,
  target: Reference[],
  device: Reference<Device>,
  old: Replaceable | undefined,
): Provenance {
  const { about, version, provenance } = screening
  const input = { system: INPUT_ID, value: provenance.inputSha256 }
  return {
    resourceType: 'Provenance',
    meta: { ...meta(), tag: [{ system: RESULT_ID, code: version }] },
    target,
    recorded: issuedAt.toISOString(),
    agent: [
      {
        type: {
          coding: [{ system: 'http://terminology.hl7.org/CodeSystem/provenance-participant-type', code: 'author' }],
        },
        who: device,
      },
    ],
    entity: [
      {
        role: 'source',
        what: {
          ...(source === undefined ? {} : { reference: source }),
          identifier: screening.session === undefined ? input : { ...about },
          display: `signal profile ${provenance.profile}, software ${provenance.codeVersion}`,
        },
      },
      ...(old === undefined ? [] : [{ role: 'revision' as const, what: existing(old) }]),
    ],
  }
}

const existing = ({ resourceType, id }: Replaceable) => ({ reference: `${resourceType}/${id}` })

/** Withdraws an earlier version. If somebody changed the resource meanwhile, the whole transaction is refused and then repeated. */
function withdrawal(resource: Replaceable): BundleEntry {
  const { meta: { versionId } = {}, resourceType, id } = resource
  return {
    resource: { ...resource, status: 'cancelled' },
    request: {
      method: 'PUT',
      url: `${resourceType}/${id}`,
      ...(versionId === undefined ? {} : { ifMatch: `W/"${versionId}"` }),
    },
  }
}

const percent = (share: number) => Number((100 * share).toFixed(1))
