/**
 * Errors of the API: RFC 9457 problem documents.
 * @module
 */

/** A response of the API that is not a success, or no response at all (`code` = `unreachable`). */
export class ApiError extends Error {
  readonly status: number
  readonly code: string
  readonly field: string | undefined
  readonly problem: Readonly<Record<string, unknown>>

  constructor(status: number, problem: unknown) {
    const known: Readonly<Record<string, unknown>> = isObject(problem) ? problem : {}
    const code = typeof known.code === 'string' ? known.code : status === 0 ? 'unreachable' : `http-${status}`
    super(code)
    this.name = 'ApiError'
    this.status = status
    this.code = code
    this.field = typeof known.field === 'string' ? known.field : undefined
    this.problem = known
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null
