/**
 * Messages between functions, as they travel through SQS and SNS. Each carries `schema`, so that old messages can be handled by new code.
 *
 * While functions are replaced, old and new ones read each other's messages. Queues keep messages for four days, dead-letter queues for
 * fourteen. A field that readers may ignore therefore needs no new schema: add it as optional. For any other change:
 * 1. **Read it first.** The type becomes `z.union([TheNew, TheOld.transform(toTheNew)])`, handlers know only the new form, `NEWEST_SCHEMA`
 *    goes up, and writers still write the old form. Deploy that (also the adapter, if it reads the message), and wait until a rollback is
 *    ruled out.
 * 2. **Write it.** Put messages as the last deployment wrote them into `test/fixtures/messages/v{n}`, where a test passes them through
 *    today's handlers.
 * 3. **Drop the old form** when no such message can exist any more: after fourteen days, and after redriven messages have been handled.
 *
 * A message whose schema is newer than the code (after a rollback) is not an error of its sender. It goes to the dead-letter queue
 * unchanged, as `schema-unsupported`. After the next deployment `cli redrive QUEUE --reason schema-unsupported` brings it back. A window
 * that a device sends through AWS IoT Core has its version in the topic (`ecg/v1/…`) instead.
 * @module
 */
import * as z from 'zod'
import { type CmrJobId, type EcgId, parseCmrJobId, parseEcgId } from './domain/ecg-id.ts'
import { LEADS } from './domain/leads.ts'
import { QUALITY_REASONS } from './domain/quality.ts'
import { WARNING_CODES } from './domain/warnings.ts'
import { CodedError } from './errors.ts'

/** Newest schema that this code reads, of all messages. */
const NEWEST_SCHEMA = 1

/** One SQS billing unit, bytes. A body up to this size travels inline, a larger one as a claim check. */
export const INLINE_LIMIT_BYTES = 64 * 1024

const EcgIdField = z.string().transform((text, context): EcgId => {
  const ecgId = parseEcgId(text)
  if (ecgId !== undefined) return ecgId
  context.addIssue({ code: 'custom', message: 'no ECG id' })
  return z.NEVER
})

const CmrJobIdField = z.string().transform((text, context): CmrJobId => {
  const jobId = parseCmrJobId(text)
  if (jobId !== undefined) return jobId
  context.addIssue({ code: 'custom', message: 'no job id' })
  return z.NEVER
})

/** Bytes inline (base64), or a reference to the bucket. */
const Payload = z.union([
  z.object({ inline: z.base64() }),
  z.object({ key: z.string(), sha256: z.hex().length(64), bytes: z.int().positive() }),
])
export type Payload = z.infer<typeof Payload>

/** A name that is part of a topic or of a key in the store: no slash, wildcard, space or control character. */
export const NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/
export const Name = z.string().regex(NAME_PATTERN)

/** Reference to a resource on a FHIR server: type and id, https://hl7.org/fhir/R4/references.html#literal */
const ResourceReference = z.string().regex(/^[A-Z][A-Za-z]{1,63}\/[A-Za-z0-9\-.]{1,64}$/)

/**
 * Where an ECG comes from, which decides where its result goes. For an EHR: the site's name of the server, and the resource that holds the
 * ECG. The patient is named in that resource and read when the result is reported; no message carries a patient reference.
 */
export const Origin = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('mqtt'), device: Name, session: Name }),
  // When the uploader names a device, the device's associations give the patient.
  z.object({ kind: z.literal('upload'), device: Name.optional() }),
  z.object({ kind: z.literal('fhir'), server: Name, source: ResourceReference }),
])
export type Origin = z.infer<typeof Origin>

const Person = z
  .object({
    sex: z.enum(['male', 'female']),
    ageYears: z.number().min(0).max(130),
    heightCm: z.number().min(30).max(280),
    weightKg: z.number().min(1).max(500),
  })
  .partial()

const Warning = z.object({
  code: z.enum(WARNING_CODES),
  field: z.string().optional(),
  leads: z.array(z.enum(LEADS)).readonly().optional(),
  which: z.string().optional(),
  probability: z.number().min(0).max(1).optional(),
  withholds: z.boolean().optional(),
})

const Measured = z.number().optional()
const Measurements = z.object({
  method: z.string(),
  heartRateBpm: Measured,
  rrMs: Measured,
  pMs: Measured,
  prMs: Measured,
  qrsMs: Measured,
  qtMs: Measured,
  qtcBazettMs: Measured,
  qtcFridericiaMs: Measured,
  axisDegrees: Measured,
})

const Envelope = z.object({
  schema: z.literal(1),
  tenant: Name,
  ecgId: EcgIdField,
  origin: Origin,
  span: z.object({
    startedAt: z.iso.datetime().nullable(),
    firstSample: z.int().nonnegative(),
    durationMs: z.number().nonnegative(),
  }),
  person: Person.optional(),
  /** Absent means 1. A correction has the next number. */
  version: z.int().positive().optional(),
  supersedes: z.int().positive().optional(),
  /** Warnings about how the ECG was read. */
  warnings: z.array(Warning).readonly().optional(),
})

/** adapter → `preprocess`: one window, packed by `shared/waveform/codec.ts`. */
export const IntakeMessage = Envelope.extend({
  heartRateBpm: z.number().positive().optional(),
  waveform: Payload,
})
export type IntakeMessage = z.infer<typeof IntakeMessage>

/** AWS IoT Core → `preprocess`: what a device published to `…/window`, as the rule `windows` selects it. */
const SelectedWindow = z.object({ topic: z.string(), data: z.base64(), receivedAtMs: z.int().nonnegative() })

/** The same window as the rule's error action wrote it to the DLQ. It arrives after a redrive. */
const UndeliveredWindow = z
  .object({ topic: z.string(), base64OriginalPayload: z.base64() })
  .transform(({ topic, base64OriginalPayload }) => ({ topic, data: base64OriginalPayload, receivedAtMs: Date.now() }))

/** All messages of the queue `intake`. */
export const IntakeInput = z.union([IntakeMessage, SelectedWindow, UndeliveredWindow])
export type IntakeInput = z.infer<typeof IntakeInput>

/** `api` and a schedule → `fhir-intake`: a resource of the EHR that may hold an ECG, or the request to look for new ones. */
export const FhirInboundMessage = z.discriminatedUnion('kind', [
  z.object({ schema: z.literal(1), tenant: Name, kind: z.literal('resource'), reference: ResourceReference }),
  z.object({ schema: z.literal(1), tenant: Name, kind: z.literal('poll') }),
])
export type FhirInboundMessage = z.infer<typeof FhirInboundMessage>

const LeadVerdict = z.enum(['acceptable', 'missing', ...QUALITY_REASONS])
const Quality = z.object({
  verdict: z.enum(['acceptable', 'refused']),
  reasons: z.array(z.enum(QUALITY_REASONS)).readonly(),
  leads: z.record(z.enum(LEADS), LeadVerdict),
  derived: z.array(z.enum(LEADS)).readonly(),
  heartRateBpm: z.number().nullable(),
})

/** `preprocess` → `screen`: the clean window (`shared/waveform/clean-codec.ts`), or none when the quality gate refused it. */
export const ScreeningMessage = Envelope.extend({
  profile: z.string(),
  inputSha256: z.hex().length(64),
  quality: Quality,
  measurements: Measurements.optional(),
  clean: Payload.optional(),
  /** Whether this ECG counts for the population that is compared with the bundle's reference. */
  isCounted: z.boolean().optional(),
})
export type ScreeningMessage = z.infer<typeof ScreeningMessage>

/** `screen` → topic `results`: `result` is the stored result, byte for byte. */
export const ResultMessage = z.object({ schema: z.literal(1), tenant: Name, origin: Origin, result: z.string() })
export type ResultMessage = z.infer<typeof ResultMessage>

/**
 * `report` → `report`, delayed: has this live session ended? `token` identifies the valid check among those that repeated messages left
 * behind.
 */
export const SessionCheck = z.object({
  schema: z.literal(1),
  kind: z.literal('session-check'),
  tenant: Name,
  device: Name,
  session: Name,
  token: z.uuid(),
})
export type SessionCheck = z.infer<typeof SessionCheck>

const CmrMessage = z.object({ schema: z.literal(1), tenant: Name, jobId: CmrJobIdField })

/**
 * Messages of the queue `synthesis`: a job to draw (from the API, or from a worker that had to give it back), a job that was cancelled, and
 * the failure of a job as AWS Batch reports it.
 */
export const SynthesisMessage = z.discriminatedUnion('kind', [
  CmrMessage.extend({ kind: z.literal('draw') }),
  CmrMessage.extend({ kind: z.literal('cancel'), batchJobId: z.string() }),
  CmrMessage.extend({ kind: z.literal('ended'), batchJobId: z.string() }),
])
export type SynthesisMessage = z.infer<typeof SynthesisMessage>

/** Worker → `report`: the cines of an ECG are drawn, or about to be stored. */
export const CineMessage = CmrMessage.extend({ kind: z.literal('cine') })
export type CineMessage = z.infer<typeof CineMessage>

/** All messages of the queue `results-fhir`. */
export const ReportMessage = z.union([ResultMessage, SessionCheck, CineMessage])
export type ReportMessage = z.infer<typeof ReportMessage>

/**
 * `api` → `upkeep`: follow-up work of a request. Remove an ECG that was marked as deleted; compute the attribution of an ECG's scores; pass
 * results that waited for an association to the report, continuing where an earlier message of the same kind stopped.
 * Adapter → `upkeep`: publish the newest result of an ECG to its device again, which does not have it.
 */
export const UpkeepMessage = z.discriminatedUnion('kind', [
  z.object({ schema: z.literal(1), kind: z.literal('deletion'), tenant: Name, ecgId: EcgIdField }),
  z.object({ schema: z.literal(1), kind: z.literal('attribution'), tenant: Name, ecgId: EcgIdField }),
  z.object({ schema: z.literal(1), kind: z.literal('result'), tenant: Name, ecgId: EcgIdField }),
  z.object({
    schema: z.literal(1),
    kind: z.literal('association'),
    tenant: Name,
    device: Name,
    from: z.iso.datetime(),
    to: z.iso.datetime().nullable(),
    after: z.object({ at: z.iso.datetime(), ecgId: EcgIdField }).optional(),
  }),
])
export type UpkeepMessage = z.infer<typeof UpkeepMessage>

/**
 * Parses a message body.
 * @throws CodedError `payload-malformed` for text that is not JSON, `schema-unsupported` for a newer schema or none, `field-invalid` naming
 * the first bad field
 */
export function parseMessage<T>(type: z.ZodType<T>, body: string): T {
  let json: unknown
  try {
    json = JSON.parse(body)
  } catch {
    // The parser's own message quotes its input, which may contain patient data.
    throw new CodedError('payload-malformed', { field: 'body' })
  }
  const parsed = type.safeParse(json)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const field = issue === undefined ? '' : innermost(issue).path.join('.')
  // A newer message may differ in any field, including its kind.
  if (field === 'schema' || isNewer(json)) throw new CodedError('schema-unsupported', { field: 'schema' })
  throw new CodedError('field-invalid', { field: field || 'body' })
}

function isNewer(json: unknown): boolean {
  if (typeof json !== 'object' || json === null || !('schema' in json)) return false
  return typeof json.schema === 'number' && json.schema > NEWEST_SCHEMA
}

/** For a union, reports the fault of the closest kind, which is more useful than "none of them matches". */
function innermost(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  const kinds = issue.code === 'invalid_union' ? issue.errors : []
  const [nearest] = kinds.filter((issues) => issues.length > 0).toSorted((a, b) => a.length - b.length)
  const [first] = nearest ?? []
  return first === undefined ? issue : innermost(first)
}
