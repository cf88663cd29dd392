/**
 * One ECG's way through queues, functions and servers, by W3C Trace Context (https://www.w3.org/TR/trace-context/): a random id that is passed
 * on as `traceparent`, in MQTT's user properties, in attributes of messages and in headers of HTTP, and stands in log lines as `traceId`.
 *
 * A message is handled within its trace (`inTrace`); what it sends and logs meanwhile is of that trace without being told.
 * @module
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { randomBytes } from 'node:crypto'

/** The header, attribute and user property. */
export const TRACEPARENT = 'traceparent'

export interface Trace {
  /** 32 hexadecimal digits: of the whole way. */
  readonly traceId: string
  /** 16 hexadecimal digits: of this step. */
  readonly spanId: string
  /** Its id stands in every log line of each step, not in those of trouble alone. */
  readonly isSampled: boolean
}

const current = new AsyncLocalStorage<Trace>()

/** Versions after 00 may append fields; ff is none. */
const SYNTAX = /^(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/

/** @returns `undefined` for what is absent or invalid: the caller begins a new trace, as the standard says */
export function parseTraceparent(text: string | undefined): Trace | undefined {
  const [, version, traceId, spanId, flags = '', more] = SYNTAX.exec(text ?? '') ?? []
  if (traceId === undefined || spanId === undefined || /^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined
  if (version === '00' && more !== undefined) return undefined
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 }
}

/** @example formatTraceparent(newTrace(true)) // 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 */
export function formatTraceparent({ traceId, spanId, isSampled }: Trace): string {
  return `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}`
}

export function newTrace(isSampled: boolean): Trace {
  return { traceId: randomBytes(16).toString('hex'), spanId: randomBytes(8).toString('hex'), isSampled }
}

/** The next step of a trace that came from elsewhere, or the first of a new one. */
export function childOf(traceparent: string | undefined, isNewSampled = false): Trace {
  const parent = parseTraceparent(traceparent)
  if (parent === undefined) return newTrace(isNewSampled)
  return { ...parent, spanId: randomBytes(8).toString('hex') }
}

/** Runs `work`, and all that it waits for, within a trace. */
export function inTrace<T>(trace: Trace, work: () => T): T {
  return current.run(trace, work)
}

/** The trace that this is a step of, if any. */
export function currentTrace(): Trace | undefined {
  return current.getStore()
}

/** What goes with whatever is sent from here: `{ traceparent }`, or nothing outside a trace. */
export function traceHeaders(): { readonly [TRACEPARENT]?: string } {
  const trace = currentTrace()
  return trace === undefined ? {} : { [TRACEPARENT]: formatTraceparent(trace) }
}
