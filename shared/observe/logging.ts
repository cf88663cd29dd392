/**
 * Structured logs with an allow-list. A message must be a literal in the code, and only the fields of `LOG_FIELDS` are written, each with
 * its own format: codes, counts, durations, our own ids and a device's name. No body, sample, patient data or free text of an error is
 * logged.
 * @module
 */
import { channel } from 'node:diagnostics_channel'
import { Logger } from '@aws-lambda-powertools/logger'
import type { LogAttributes, LogItemExtraInput, LogItemMessage } from '@aws-lambda-powertools/logger/types'
import * as z from 'zod'
import { LEADS } from '../domain/leads.ts'
import { CodedError, ERROR_KINDS } from '../errors.ts'
import { Name } from '../messages.ts'
import { AUDIT_ACTIONS } from './audit-actions.ts'
import { currentTrace } from './tracing.ts'

const Count = z.number().nonnegative()

/** Place in a message or file: names, indices and separators of a path. */
const Place = z.string().regex(/^[\w.:[\]/-]{1,96}$/)

/** Names of error classes and system codes: `ThrottlingException`, `Error ECONNREFUSED`. */
const ErrorName = z.string().regex(/^[A-Za-z$_][\w$]{0,63}( [A-Z][A-Z0-9_]{0,63})?$/)

/** All fields that a log line may have beside those of every line, with their formats. */
export const LOG_FIELDS = {
  // Fields of an error.
  code: z.enum(Object.keys(ERROR_KINDS) as [keyof typeof ERROR_KINDS]), // `keys` loses the literal types
  field: Place,
  cause: ErrorName,
  permanent: z.boolean(),
  status: Count,
  line: Count,
  column: Count,
  sample: Count,
  record: Count,
  offset: Count,
  lead: z.union([Count, z.enum(LEADS)]),

  // The object. Devices choose their own names and those of sessions; a device that is named after a patient puts the patient here
  // (docs/privacy.md).
  tenant: Name,
  device: Name,
  session: Name,
  sequence: Count,
  ecgId: z.uuid(),
  jobId: z.uuid(),
  messageId: z.string().regex(/^[\w-]{1,100}$/),
  traceId: z.string().regex(/^[0-9a-f]{32}$/),

  // The audit trail (`audit.ts`).
  action: z.enum(AUDIT_ACTIONS),
  outcome: z.enum(['begun', 'done', ...Object.keys(ERROR_KINDS)] as ['begun', 'done', keyof typeof ERROR_KINDS]),

  // State of the adapter. A broker's address has no user name, password or path.
  broker: z.string().regex(/^(mqtts?|wss?):\/\/[\w.:[\]-]{1,200}$/),
  clientId: Name,
  frames: z.strictObject({ accepted: Count, repeated: Count, late: Count, refused: Count }),
  sessions: Count,
  waitingWindows: Count,
  journalBytes: Count,
  usedBytes: Count,
  limit: Place,
  expiredWindows: Count,
  forgottenSessions: Count,

  // The gateway.
  door: z.enum(['mqtt', 'hl7', 'dicom', 'folder', 'status']),
  guard: z.enum(['loopback', 'mutual-tls', 'peers', 'mutual-tls-and-peers']),
  port: Count,
  erased: Count,
} as const

export type LogFields = { readonly [Key in keyof typeof LOG_FIELDS]?: z.input<(typeof LOG_FIELDS)[Key]> | undefined }

/** A literal in the code: neither `string` nor a template that contains one. */
type Literal<Text extends string> = Record<never, never> extends Record<Text, 1> ? never : Text

type Write = <const Text extends string>(message: Text & Literal<Text>, ...fields: LogFields[]) => void

/** The logger that the rest of the code sees. Calls with other arguments do not compile. */
export interface Log extends Record<'debug' | 'info' | 'warn' | 'error' | 'critical', Write> {
  setLogLevel(level: 'SILENT' | 'INFO'): void
}

/** A field that the allow-list dropped. Tests listen for these and fail (`test/helpers/log-guard.ts`). */
export interface DroppedField {
  readonly service: string
  readonly key: string
}

export const LOG_DROPS = channel('cardiacnets:log-drops')

/** Makes a JSON logger for one service. The level comes from `POWERTOOLS_LOG_LEVEL`. */
export function createLogger(serviceName: string): Log {
  return new AllowListLogger(serviceName)
}

/** Powertools itself adds only data of ours: level, time, service, X-Ray id, and the function's name, memory and request id. */
class AllowListLogger extends Logger {
  readonly #service: string

  constructor(serviceName: string) {
    super({ serviceName })
    this.#service = serviceName
  }

  /** Every line passes through here, whether it is printed or not. */
  protected override processLogItem(level: number, message: LogItemMessage, extra: LogItemExtraInput): void {
    const text = typeof message === 'string' && MESSAGE.test(message) ? message : 'message withheld'
    super.processLogItem(level, text, [{ ...ofTrace(level), ...allowed(this.#service, extra) }])
  }
}

/** Level as Powertools numbers it. */
const WARN = 16

/** Adds the trace id for sampled traces, warnings and errors only, because log volume is billed. */
function ofTrace(level: number): LogAttributes {
  const trace = currentTrace()
  const isWanted = trace?.isSampled === true || level >= WARN
  return trace !== undefined && isWanted ? { traceId: trace.traceId } : {}
}

function allowed(service: string, extra: LogItemExtraInput): LogAttributes {
  const line: LogAttributes = {}
  let dropped = 0
  for (const [key, value] of extra.flatMap((part) => Object.entries(part))) {
    if (value === undefined) continue
    if (isAllowed(key, value)) line[key] = value
    else {
      dropped++
      LOG_DROPS.publish({ service, key } satisfies DroppedField)
    }
  }
  return dropped === 0 ? line : { ...line, droppedFields: dropped }
}

const MESSAGE = /^[A-Za-z][\w ,:.'-]{0,99}$/

function isAllowed(key: string, value: unknown): boolean {
  return Object.hasOwn(LOG_FIELDS, key) && LOG_FIELDS[key as keyof typeof LOG_FIELDS].safeParse(value).success
}

/** Details of an error that tell where it is. Other details are limits, which are in the code. */
const PLACES = ['field', 'status', 'line', 'column', 'sample', 'record', 'offset', 'lead'] as const

/**
 * What may be logged about an error. For a coded error: its code and place. For any other: only its name, because library messages quote
 * their input, and AWS error names (`ThrottlingException`, `ECONNREFUSED`) are what an operator needs.
 */
export function describeError(error: unknown): LogFields {
  if (!(error instanceof CodedError)) return { code: 'internal', cause: nameOf(error) }
  const { code, detail, cause } = error
  const places = PLACES.filter((key) => isAllowed(key, detail[key])).map((key) => [key, detail[key]])
  return { code, ...Object.fromEntries(places), ...(cause === undefined ? {} : { cause: nameOf(cause) }) }
}

function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error
  const name = 'code' in error && typeof error.code === 'string' ? `${error.name} ${error.code}` : error.name
  return ErrorName.safeParse(name).data ?? ErrorName.safeParse(error.name).data ?? 'Error'
}

/** For a process of our own: logs an uncaught error under the same rules, without its text, and exits with 1. */
export function logUncaught(logger: Log): void {
  process.on('uncaughtException', (error) => {
    logger.critical('uncaught error', describeError(error))
    process.exit(1)
  })
}
