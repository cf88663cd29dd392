/**
 * Zod schemas of requests and responses. Requests are validated with them, and the OpenAPI document is generated from them.
 * @module
 */
import { z } from '@hono/zod-openapi'
import { BLOCK_IDS } from '../../shared/domain/bundle-branch-blocks.ts'
import { CMR_STATUSES } from '../../shared/domain/cmr-job.ts'
import { CONDITION_IDS } from '../../shared/domain/conditions.ts'
import { LEADS } from '../../shared/domain/leads.ts'
import { QUALITY_REASONS } from '../../shared/domain/quality.ts'
import { EVIDENCES } from '../../shared/domain/result.ts'
import { WARNING_CODES } from '../../shared/domain/warnings.ts'
import { ERROR_SENTENCES } from '../../shared/error-sentences.ts'
import { ERROR_KINDS } from '../../shared/errors.ts'
import { NAME_PATTERN, Name } from '../../shared/messages.ts'
import { VOLTAGE_UNITS } from '../../streams/formats/units.ts'

export const Device = z
  .string()
  .regex(NAME_PATTERN)
  .openapi({ example: 'holter-7', description: 'Device name as in its MQTT topics.' })

export const EcgIdText = z.uuid().openapi({ example: 'ee79d91b-783a-56af-aac1-38e1d995af23' })

const Status = z.enum(['screened', 'refused'])
export const Condition = z.enum(CONDITION_IDS)
const Evidence = z.enum(EVIDENCES).openapi({
  description:
    "What the number learned from: labels of real people, a published model's reading of real ECGs, a proxy label, or simulated people.",
})

/** All codes with their sentences; `{field}` and other placeholders stand for entries of `detail`. */
const CODES = Object.entries(ERROR_SENTENCES)
  .map(([code, sentence]) => `- \`${code}\`: ${sentence}`)
  .join('\n')

export const Problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.enum(Object.keys(ERROR_KINDS)).openapi({ description: CODES }),
    detail: z.string().openapi({ description: 'Sentence that states the error, its location and the remedy.' }),
    field: z.string().optional(),
  })
  .loose()
  .openapi('Problem', { description: 'Problem document (RFC 9457). `code` is stable; `field` locates the error.' })

export const Submitted = z
  .object({
    ecgId: EcgIdText,
    status: z.literal('pending'),
    windows: z.int().optional().openapi({ description: 'Number of whole 10-s windows in the recording.' }),
  })
  .openapi('Submitted')

const Summary = z
  .object({
    ecgId: EcgIdText,
    startedAt: z.string(),
    status: Status,
    device: Device.optional(),
    flagged: z.array(Condition).readonly(),
    arrivedAt: z.string().openapi({ description: 'Time at which the result was stored.' }),
    heartRateBpm: z.number().optional(),
    reasons: z.array(z.enum(QUALITY_REASONS)).readonly().optional().openapi({ description: 'Reasons for a refusal.' }),
    top: z
      .object({ condition: Condition, probability: z.number() })
      .optional()
      .openapi({ description: 'Highest probability among findings that are not withheld.' }),
    warnings: z.array(z.enum(WARNING_CODES)).readonly().optional(),
    version: z.int().optional().openapi({ description: 'Version; absent for version 1.' }),
  })
  .openapi('Summary')

export const Page = z.object({ items: z.array(Summary).readonly(), next: z.string().optional() }).openapi('Page')

const Warning = z
  .object({
    code: z.enum(WARNING_CODES),
    field: z.string().optional(),
    leads: z.array(z.enum(LEADS)).optional(),
    which: z.string().optional(),
    probability: z.number().optional(),
    withholds: z.boolean().optional(),
  })
  .openapi('Warning', { description: 'Condition that a reader must know, although the ECG was accepted.' })

const Measurements = z
  .object({
    method: z.string(),
    heartRateBpm: z.number().optional(),
    rrMs: z.number().optional(),
    pMs: z.number().optional(),
    prMs: z.number().optional(),
    qrsMs: z.number().optional(),
    qtMs: z.number().optional(),
    qtcBazettMs: z.number().optional(),
    qtcFridericiaMs: z.number().optional(),
    axisDegrees: z.number().optional(),
  })
  .openapi('Measurements', { description: 'Measurements by our delineation. Uncertain values are absent.' })

export const Result = z
  .object({
    ecgId: EcgIdText,
    version: z.int().optional().openapi({ description: 'Version; absent means 1.' }),
    supersedes: z.int().optional().openapi({ description: 'Version that this one replaces.' }),
    noLongerFlagged: z
      .array(z.object({ condition: Condition, evidence: Evidence }))
      .optional()
      .openapi({
        description: 'Conditions that were flagged in the previous version and are not flagged in this one.',
      }),
    status: Status,
    span: z.object({ startedAt: z.string().nullable(), firstSample: z.int(), durationMs: z.number() }),
    quality: z.object({
      verdict: z.enum(['acceptable', 'refused']),
      reasons: z.array(z.enum(QUALITY_REASONS)),
      leads: z.record(z.enum(LEADS), z.enum(['acceptable', 'missing', ...QUALITY_REASONS])),
      derived: z.array(z.enum(LEADS)),
      heartRateBpm: z.number().nullable(),
    }),
    warnings: z.array(Warning).optional(),
    measurements: Measurements.optional(),
    findings: z.array(
      z.object({
        condition: Condition,
        probability: z.number(),
        threshold: z.number(),
        raisedBy: z
          .enum(BLOCK_IDS)
          .optional()
          .openapi({ description: 'Bundle branch block in the ECG that raised the threshold of this finding.' }),
        flagged: z.boolean(),
        borderline: z
          .boolean()
          .optional()
          .openapi({ description: 'True if the probability is close to the threshold. Does not change `flagged`.' }),
        withheld: z
          .object({ reason: z.enum(WARNING_CODES) })
          .optional()
          .openapi({
            description: 'Present if the finding is withheld: treat it neither as flagged nor as not flagged.',
          }),
        evidence: Evidence,
        predictiveValue: z
          .object({ prevalence: z.number(), positive: z.number(), negative: z.number() })
          .optional()
          .openapi({
            description:
              "Predictive values at the prevalence that the site states, from the bundle's " +
              'sensitivity and specificity, measured on the people that `evidence` names. Absent if a value is not known.',
          }),
      }),
    ),
    indices: z.array(
      z.object({
        id: z.string(),
        name: z.string(),
        value: z.number(),
        unit: z.string(),
        low: z.number(),
        high: z.number(),
        correlation: z.number(),
        evidence: Evidence,
      }),
    ),
    ood: z.object({ score: z.number(), threshold: z.number(), flagged: z.boolean() }).optional(),
    provenance: z.object({
      modelBundle: z.string(),
      modelSha256: z.string(),
      profile: z.string(),
      codeVersion: z.string(),
      inputSha256: z.string(),
      site: z.string().optional(),
    }),
    notice: z.string(),
  })
  .openapi('Result')

export const Subject = z
  .object({
    source: z.enum(['mqtt', 'upload', 'fhir']).openapi({ description: 'Origin of the ECG.' }),
    device: Device.optional(),
    patient: z.string().optional().openapi({
      example: 'Patient/123',
      description:
        'FHIR reference of the patient with whom the device was associated when the ECG was recorded. Absent without an association, and for an ECG from an EHR.',
    }),
    spans: z
      .array(z.object({ from: z.iso.datetime(), to: z.iso.datetime().optional() }))
      .optional()
      .openapi({
        description:
          'Period of the association: from `from` up to, but not including, `to`; open-ended without `to`. ECGs of the device outside it are of other patients.',
      }),
    person: z
      .object({ sex: z.enum(['male', 'female']).optional(), ageYears: z.number().optional() })
      .optional()
      .openapi({ description: 'Person data used by the model.' }),
  })
  .openapi('Subject')

const Time = z.iso.datetime({ offset: true }).openapi({ example: '2026-01-02T03:04:05Z' })

export const Association = z
  .strictObject({
    patient: z
      .string()
      .regex(/^Patient\/[A-Za-z0-9\-.]{1,64}$/)
      .openapi({ example: 'Patient/123', description: 'A FHIR reference.' }),
    from: Time,
    to: Time.optional().openapi({ description: 'End time, exclusive. Absent: open-ended.' }),
  })
  .openapi('Association')

export const Associated = Association.extend({
  device: Device,
}).openapi('Associated')

export const UnidentifiedPage = z
  .object({
    items: z.array(z.object({ device: Device, at: Time, ecgId: EcgIdText })),
    next: z.string().optional(),
  })
  .openapi('UnidentifiedPage')

const JobState = {
  jobId: z.uuid(),
  ecgId: EcgIdText,
  status: z.enum(CMR_STATUSES),
  step: z.int().optional().openapi({ description: 'Completed sampler steps, of `steps`.' }),
  steps: z.int().optional(),
}

export const CmrJob = z
  .object({
    ...JobState,
    version: z.int().min(1).openapi({
      description: 'Version of the ECG that it is drawn from. If the ECG has a newer one, it was corrected since.',
    }),
    seed: z.int(),
    sampler: z.string(),
    reason: z.string().optional().openapi({ description: 'Error code of a failed job; `field` locates the error.' }),
    field: z.string().optional(),
    artifacts: z
      .array(
        z.object({ name: z.string(), contentType: z.string(), bytes: z.int(), sha256: z.string(), href: z.string() }),
      )
      .optional(),
    submittedAt: z.string(),
    updatedAt: z.string(),
    synthetic: z.literal(true),
    notice: z.string(),
  })
  .openapi('CmrJob')

export const CmrJobs = z.object({ items: z.array(CmrJob) }).openapi('CmrJobs')

export const CmrRequest = z
  .strictObject({
    seed: z.int().min(0).max(0xffff_ffff).default(0),
    sampler: z
      .string()
      .max(64)
      .optional()
      .openapi({ description: 'Sampler of the bundle (default: the default of the bundle).' }),
  })
  .openapi('CmrRequest')

export const CmrParams = z.object({ jobId: z.string() })
export const ArtifactParams = CmrParams.extend({ name: z.string() })

export const News = z
  .object({
    items: z.array(Summary).readonly(),
    cmr: z.array(z.object(JobState)).readonly().openapi({ description: 'Current state of jobs that changed.' }),
    next: z.string().openapi({ description: 'Pass as `after` (or `Last-Event-ID`) to continue from here.' }),
  })
  .openapi('News')

export const After = z.string().min(1).max(4200).openapi({ description: '`next` of the previous page.' })
export const Limit = z.coerce.number().int().min(1).max(100).default(20)

export const EcgParams = z.object({ id: z.string() })

const Version = z.coerce
  .number()
  .int()
  .min(1)
  .max(1_000_000_000)
  .optional()
  .openapi({ description: 'Version of the ECG (default: the newest screened version).' })

export const EcgQuery = z.object({ version: Version })

export const ListQuery = z.object({
  limit: Limit,
  after: After.optional(),
  device: Device.optional(),
  search: z
    .string()
    .max(128)
    .regex(/^[\w.:-]+$/)
    .optional()
    .openapi({ description: 'Substring of the device name.' }),
  status: Status.optional(),
  flagged: Condition.optional().openapi({ description: 'Only ECGs that are flagged for this condition.' }),
  from: Time.optional().openapi({ description: 'Only ECGs recorded at or after this time.' }),
  to: Time.optional().openapi({ description: 'Only ECGs recorded before this time.' }),
  samePatientAs: EcgIdText.optional().openapi({
    description:
      'Only ECGs of the same patient as this ECG, from every device, by the associations. None if its patient is not known. A URL never names a patient.',
  }),
})

export const UploadQuery = z.object({
  format: z.string().max(32).optional().openapi({ description: 'File format (default: detected from the content).' }),
  rateHz: z.coerce
    .number()
    .positive()
    .optional()
    .openapi({ description: 'Sampling rate; overrides the file, in every format.' }),
  unit: z.enum(VOLTAGE_UNITS).optional().openapi({ description: 'Unit of the samples; overrides the file.' }),
  lead: z.enum(LEADS).optional().openapi({ description: 'Lead name of a file with one ECG channel.' }),
  sex: z.enum(['male', 'female']).optional().openapi({ description: 'Sex of the person; overrides the file.' }),
  ageYears: z.coerce
    .number()
    .positive()
    .max(120)
    .optional()
    .openapi({ description: 'Age of the person; overrides the file.' }),
  device: Device.optional().openapi({ description: 'Device whose association identifies the patient.' }),
  session: Name.optional().openapi({
    description:
      'Session of `device`: the body is one window of a live session, which a gateway forwards. Its id is the same as by MQTT.',
  }),
  firstSample: z.coerce
    .number()
    .int()
    .min(0)
    .max(Number.MAX_SAFE_INTEGER)
    .optional()
    .openapi({ description: 'Number of the window within `session`.' }),
  version: Version.openapi({ description: 'Version of the window (default: 1).' }),
  warnings: z.string().max(512).optional().openapi({
    example: 'window-closed-short,clock-doubtful',
    description: 'Codes of warnings that the sender knows and that the samples do not show.',
  }),
})

export const WaveformQuery = z.object({
  version: Version,
  from: z.coerce.number().min(0).max(600).default(0).openapi({ description: 'Start time in the recording, seconds.' }),
  seconds: z.coerce.number().positive().max(30).default(10),
  leads: z
    .string()
    .regex(/^[A-Za-z0-9]{1,3}(,[A-Za-z0-9]{1,3}){0,11}$/)
    .optional()
    .openapi({ example: 'II,V2', description: 'Leads to return (default: all).' }),
})
