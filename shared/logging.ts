/**
 * Structured logs. Log a code, a count, a device's own name; never a body, a sample, a patient or an error's free text.
 * @module
 */
import { Logger } from '@aws-lambda-powertools/logger'
import { CodedError } from './errors.ts'

/** A JSON logger for one service; level from `POWERTOOLS_LOG_LEVEL`. */
export function createLogger(serviceName: string): Logger {
  return new Logger({ serviceName })
}

/**
 * What may be logged of an error. A coded one says its code and field. Of any other, only its name: library messages quote
 * their input, and AWS error names (`ThrottlingException`, `ECONNREFUSED`) say what an operator needs.
 */
export function describeError(error: unknown): Readonly<Record<string, unknown>> {
  if (error instanceof CodedError) {
    return { code: error.code, ...error.detail, ...(error.cause === undefined ? {} : { cause: nameOf(error.cause) }) }
  }
  return { code: 'internal', cause: nameOf(error) }
}

function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error
  return 'code' in error && typeof error.code === 'string' ? `${error.name} ${error.code}` : error.name
}
