/**
 * Errors as RFC 9457 problem documents, with codes of `shared/errors.ts` and never an error's own text.
 * @module
 */
import type { Context, ErrorHandler, NotFoundHandler } from 'hono'
import { HTTPException } from 'hono/http-exception'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { sentenceOf } from '../../shared/error-sentences.ts'
import { CodedError, type ErrorCode, toCodedError } from '../../shared/errors.ts'
import { describeError, type LogFields } from '../../shared/observe/logging.ts'

export type ReportError = (description: LogFields) => void

export function problemHandler(report: ReportError): ErrorHandler {
  return (thrown, c) => {
    const error = codedError(thrown)
    if (error.kind.status >= 500) report(describeError(thrown))
    return respond(c, error)
  }
}

/** Hono throws its own error for JSON or a form that it cannot parse. */
function codedError(thrown: unknown): CodedError {
  const isMalformed = thrown instanceof HTTPException && thrown.status < 500
  return isMalformed ? new CodedError('payload-malformed', { field: 'body' }) : toCodedError(thrown)
}

/** The code that a response refuses with; `undefined` for a response that is not a refusal. */
export function refusalOf(c: Context): ErrorCode | undefined {
  if (c.error !== undefined) return codedError(c.error).code
  return c.res.status === 404 ? 'not-found' : undefined
}

export const notFound: NotFoundHandler = (c) => respond(c, new CodedError('not-found', { field: 'path' }))

export function respond(c: Context, { code, kind, detail }: CodedError): Response {
  const problem = {
    type: `urn:cardiacnets:error:${code}`,
    title: code.replaceAll('-', ' '),
    status: kind.status,
    code,
    detail: sentenceOf({ code, detail }),
    ...detail,
  }
  const challenge = challenges[code]?.(detail)
  return c.json(problem, kind.status as ContentfulStatusCode, {
    // The table in errors.ts contains only statuses that allow a body.
    'content-type': 'application/problem+json',
    ...(challenge === undefined ? {} : { 'www-authenticate': challenge }),
    // The rest of a body that was not read completely must not be taken for the next request.
    ...(kind.status === 413 || kind.status === 408 ? { connection: 'close' } : {}),
    ...(kind.status === 503 ? { 'retry-after': '5' } : {}),
    ...(kind.status === 429 ? { 'retry-after': String(detail.retryAfterS ?? 1) } : {}),
  })
}

/** RFC 6750, section 3. */
const challenges: Readonly<Record<string, (detail: CodedError['detail']) => string>> = {
  'token-missing': () => 'Bearer',
  'token-invalid': () => 'Bearer error="invalid_token"',
  'scope-missing': ({ scope }) => `Bearer error="insufficient_scope", scope="${scope}"`,
}
