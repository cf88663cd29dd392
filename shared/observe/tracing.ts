/**
 * Traces the path of one ECG through queues, functions and servers with W3C Trace Context (https://www.w3.org/TR/trace-context/). A random
 * id travels as `traceparent` in MQTT user properties, message attributes and HTTP headers, and appears in log lines as `traceId`.
 *
 * A message is handled within its trace (`inTrace`). Everything that is sent or logged meanwhile belongs to that trace automatically.
 * @module
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { randomBytes } from 'node:crypto'

/** Name of the header, attribute and user property. */
export const TRACEPARENT = 'traceparent'

export interface Trace {
  /** 32 hexadecimal digits, the same for all steps. */
  readonly traceId: string
  /** 16 hexadecimal digits, of this step. */
  readonly spanId: string
  /** True: the id is in every log line of each step. False: only in warnings and errors. */
  readonly isSampled: boolean
}

const current = new AsyncLocalStorage<Trace>()

/** Versions after 00 may append fields; version ff is invalid. */
const SYNTAX = /^(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/

/**
 * Parses a `traceparent`.
 * @returns `undefined` when it is absent or invalid; the caller then starts a new trace, as the standard requires
 */
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

/** The next step of a received trace, or the first step of a new one. */
export function childOf(traceparent: string | undefined, isNewSampled = false): Trace {
  const parent = parseTraceparent(traceparent)
  if (parent === undefined) return newTrace(isNewSampled)
  return { ...parent, spanId: randomBytes(8).toString('hex') }
}

/** Runs `work`, and everything that it awaits, within a trace. */
export function inTrace<T>(trace: Trace, work: () => T): T {
  return current.run(trace, work)
}

/** The current trace, if any. */
export function currentTrace(): Trace | undefined {
  return current.getStore()
}

/** Headers or attributes for whatever is sent from here: `{ traceparent }`, or nothing outside a trace. */
export function traceHeaders(): { readonly [TRACEPARENT]?: string } {
  const trace = currentTrace()
  return trace === undefined ? {} : { [TRACEPARENT]: formatTraceparent(trace) }
}
