/**
 * Structured logs, by an allow-list: a message is a text that stands in the code, and of the fields only those of `LOG_FIELDS` get through, each with
 * its own shape. Codes, counts, durations, ids that are ours and a device's own name; no body, sample, patient or error's free text.
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

/** Where in a message or file: names, indices and separators of a path. */
const Place = z.string().regex(/^[\w.:[\]/-]{1,96}$/)

/** As classes of errors and system codes are named: `ThrottlingException`, `Error ECONNREFUSED`. */
const ErrorName = z.string().regex(/^[A-Za-z$_][\w$]{0,63}( [A-Z][A-Z0-9_]{0,63})?$/)

/** All that a log line may hold beside what every line has, and what each must look like. */
export const LOG_FIELDS = {
  // Of an error.
  code: z.enum(Object.keys(ERROR_KINDS) as [keyof typeof ERROR_KINDS]), // `keys` forgets the names
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

  // What it was about. A device's name and its session's are its own; a device that is named after a patient puts the patient here (docs/privacy.md).
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

  // The adapter's state. A broker's address without a name, a password or a path.
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

/** A text that stands in the code: neither `string` nor a template with one in it. */
type Literal<Text extends string> = Record<never, never> extends Record<Text, 1> ? never : Text

type Write = <const Text extends string>(message: Text & Literal<Text>, ...fields: LogFields[]) => void

/** What the rooms see of a logger: no other argument than these compiles. */
export interface Log extends Record<'debug' | 'info' | 'warn' | 'error' | 'critical', Write> {
  setLogLevel(level: 'SILENT' | 'INFO'): void
}

/** A field that did not get through; tests listen, and fail by it (`test/helpers/log-guard.ts`). */
export interface DroppedField {
  readonly service: string
  readonly key: string
}

export const LOG_DROPS = channel('cardiacnets:log-drops')

/** A JSON logger for one service; level from `POWERTOOLS_LOG_LEVEL`. */
export function createLogger(serviceName: string): Log {
  return new AllowListLogger(serviceName)
}

/** What Powertools adds by itself is ours: level, time, service, X-Ray's id and the function's own name, memory and request. */
class AllowListLogger extends Logger {
  readonly #service: string

  constructor(serviceName: string) {
    super({ serviceName })
    this.#service = serviceName
  }

  /** All lines pass here, printed or not. */
  protected override processLogItem(level: number, message: LogItemMessage, extra: LogItemExtraInput): void {
    const text = typeof message === 'string' && MESSAGE.test(message) ? message : 'message withheld'
    super.processLogItem(level, text, [{ ...ofTrace(level), ...allowed(this.#service, extra) }])
  }
}

/** As Powertools counts levels. */
const WARN = 16

/** The log is paid for by the byte: where all is well, only sampled traces stand in it. */
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

/** Where an error lies, of what its detail may say: the limits beside it stand in the code. */
const PLACES = ['field', 'status', 'line', 'column', 'sample', 'record', 'offset', 'lead'] as const

/**
 * What may be logged of an error. A coded one says its code and place. Of any other, only its name: library messages quote
 * their input, and AWS error names (`ThrottlingException`, `ECONNREFUSED`) say what an operator needs.
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

/** For a process of our own: an error that nobody caught ends it with a line that follows the rules, not with its text. */
export function logUncaught(logger: Log): void {
  process.on('uncaughtException', (error) => {
    logger.critical('uncaught error', describeError(error))
    process.exit(1)
  })
}
