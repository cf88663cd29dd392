/**
 * The messages between the rooms, as they stand in SQS and SNS. Each carries `schema`, so that old ones drain through new code.
 *
 * While functions are replaced, old and new ones read each other's messages; queues keep them for four days, dead-letter queues for fourteen. So
 * a field that readers may ignore needs no new schema: add it as optional. For any other change:
 * 1. **Read it first.** The type becomes `z.union([TheNew, TheOld.transform(toTheNew)])`, handlers know the new one only, `NEWEST_SCHEMA` goes up, and
 *    writers still write the old one. Deploy that (the adapter too, if it reads it), and wait until nobody wants it rolled back.
 * 2. **Write it.** Messages as the last deployment wrote them go to `test/fixtures/messages/v{n}`, where a test drains them through today's handlers.
 * 3. **Forget the old one** once it can lie nowhere any more: fourteen days later, and what was redriven is through.
 *
 * A message of a schema that is newer than the code (it was rolled back in between) is no accident and nobody's fault: it goes to the dead-letter queue as
 * `schema-unsupported`, byte for byte, and after the next deployment `cli redrive QUEUE --reason schema-unsupported` brings it back.
 * A window that comes from a device by AWS IoT Core has its version in its topic (`ecg/v1/…`) instead.
 * @module
 */
import * as z from 'zod'
import { type CmrJobId, type EcgId, parseCmrJobId, parseEcgId } from './domain/ecg-id.ts'
import { LEADS } from './domain/leads.ts'
import { QUALITY_REASONS } from './domain/quality.ts'
import { WARNING_CODES } from './domain/warnings.ts'
import { CodedError } from './errors.ts'

/** Of all messages that this code reads. */
const NEWEST_SCHEMA = 1

/** One SQS billing unit; a body that stays within it travels inline, else as a claim check. */
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

/** Bytes inline (base64), or where they lie in the bucket. */
const Payload = z.union([
  z.object({ inline: z.base64() }),
  z.object({ key: z.string(), sha256: z.hex().length(64), bytes: z.int().positive() }),
])
export type Payload = z.infer<typeof Payload>

/** A part of a topic or of an address in the store: no slash, wildcard, space or control character. */
export const NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/
export const Name = z.string().regex(NAME_PATTERN)

/** A resource on a FHIR server: type and id, https://hl7.org/fhir/R4/references.html#literal */
const ResourceReference = z.string().regex(/^[A-Z][A-Za-z]{1,63}\/[A-Za-z0-9\-.]{1,64}$/)

/**
 * Where an ECG comes from; decides where its result goes. Of an EHR's: the site's name of the server, and the resource that holds the
 * ECG. Whose it is stands there, and is read when the result is reported: a patient's reference travels in no message.
 */
export const Origin = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('mqtt'), device: Name, session: Name }),
  // Where the uploader says a device, its associations say whose ECG it is.
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
  /** Absent: 1. A correction has the next number. */
  version: z.int().positive().optional(),
  supersedes: z.int().positive().optional(),
  /** What a reader must know although the ECG was read. */
  warnings: z.array(Warning).readonly().optional(),
})

/** adapter → `preprocess`: one window, packed by `shared/waveform/codec.ts`. */
export const IntakeMessage = Envelope.extend({
  heartRateBpm: z.number().positive().optional(),
  waveform: Payload,
})
export type IntakeMessage = z.infer<typeof IntakeMessage>

/** AWS IoT Core → `preprocess`: what a device published on `…/window`, as the rule `windows` selects it. */
const SelectedWindow = z.object({ topic: z.string(), data: z.base64(), receivedAtMs: z.int().nonnegative() })

/** The same as the rule's error action wrote it into the DLQ: a redrive brings it. */
const UndeliveredWindow = z
  .object({ topic: z.string(), base64OriginalPayload: z.base64() })
  .transform(({ topic, base64OriginalPayload }) => ({ topic, data: base64OriginalPayload, receivedAtMs: Date.now() }))

/** All that comes to the queue `intake`. */
export const IntakeInput = z.union([IntakeMessage, SelectedWindow, UndeliveredWindow])
export type IntakeInput = z.infer<typeof IntakeInput>

/** `api` and a schedule → `fhir-intake`: a resource of the EHR that may hold an ECG, or the wish to look for new ones. */
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

/** `preprocess` → `screen`: the clean window (`shared/waveform/clean-codec.ts`), or none where the quality gate refused it. */
export const ScreeningMessage = Envelope.extend({
  profile: z.string(),
  inputSha256: z.hex().length(64),
  quality: Quality,
  measurements: Measurements.optional(),
  clean: Payload.optional(),
  /** Stands for somebody in the population that is compared with the bundle's reference. */
  isCounted: z.boolean().optional(),
})
export type ScreeningMessage = z.infer<typeof ScreeningMessage>

/** `screen` → topic `results`: `result` is the stored result, byte for byte. */
export const ResultMessage = z.object({ schema: z.literal(1), tenant: Name, origin: Origin, result: z.string() })
export type ResultMessage = z.infer<typeof ResultMessage>

/**
 * `report` to itself, later: has this live session ended? `token` tells the one that still counts from those that a repeat left behind.
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
 * What comes to the queue `synthesis`: a job that is to be drawn (from the API, or from a worker that had to give it back), one that is not
 * wanted any more, and what AWS Batch says of one that ended without success.
 */
export const SynthesisMessage = z.discriminatedUnion('kind', [
  CmrMessage.extend({ kind: z.literal('draw') }),
  CmrMessage.extend({ kind: z.literal('cancel'), batchJobId: z.string() }),
  CmrMessage.extend({ kind: z.literal('ended'), batchJobId: z.string() }),
])
export type SynthesisMessage = z.infer<typeof SynthesisMessage>

/** A worker → `report`: the cines of an ECG are drawn, or will be in a moment. */
export const CineMessage = CmrMessage.extend({ kind: z.literal('cine') })
export type CineMessage = z.infer<typeof CineMessage>

/** What comes to the queue `results-fhir`. */
export const ReportMessage = z.union([ResultMessage, SessionCheck, CineMessage])
export type ReportMessage = z.infer<typeof ReportMessage>

/**
 * `api` → `upkeep`: what a request set off. An ECG that was marked as deleted is to be removed; somebody asks which stretches of an ECG moved its
 * scores; results that waited for an association are to be handed to the report, from where an earlier message of the same left off.
 */
export const UpkeepMessage = z.discriminatedUnion('kind', [
  z.object({ schema: z.literal(1), kind: z.literal('deletion'), tenant: Name, ecgId: EcgIdField }),
  z.object({ schema: z.literal(1), kind: z.literal('attribution'), tenant: Name, ecgId: EcgIdField }),
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
 * @throws CodedError `payload-malformed` for what is no JSON, `schema-unsupported` for a newer schema or none, `field-invalid` naming the first bad field.
 */
export function parseMessage<T>(type: z.ZodType<T>, body: string): T {
  let json: unknown
  try {
    json = JSON.parse(body)
  } catch {
    // The parser's own text quotes its input, which may be a patient's.
    throw new CodedError('payload-malformed', { field: 'body' })
  }
  const parsed = type.safeParse(json)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const field = issue === undefined ? '' : innermost(issue).path.join('.')
  // A newer message may differ in anything, its kind among it.
  if (field === 'schema' || isNewer(json)) throw new CodedError('schema-unsupported', { field: 'schema' })
  throw new CodedError('field-invalid', { field: field || 'body' })
}

function isNewer(json: unknown): boolean {
  if (typeof json !== 'object' || json === null || !('schema' in json)) return false
  return typeof json.schema === 'number' && json.schema > NEWEST_SCHEMA
}

/** Of a union, what is wrong with the kind that it is nearest to says more than that it is none of them. */
function innermost(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  const kinds = issue.code === 'invalid_union' ? issue.errors : []
  const [nearest] = kinds.filter((issues) => issues.length > 0).toSorted((a, b) => a.length - b.length)
  const [first] = nearest ?? []
  return first === undefined ? issue : innermost(first)
}
