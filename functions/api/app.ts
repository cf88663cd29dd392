/**
 * The HTTP API. What it needs is passed in, so that tests and every host run the same app.
 * @module
 */
import { Hono } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import * as z from 'zod'
import type { ResultStore } from '../../shared/aws/result-store.ts'
import { parseEcgId } from '../../shared/domain/ecg-id.ts'
import { NOTICE } from '../../shared/domain/result.ts'
import { CodedError, toCodedError } from '../../shared/errors.ts'
import { describeError } from '../../shared/logging.ts'

export interface ApiOptions {
  readonly results: Pick<ResultStore, 'latest' | 'list'>
  /** Whose ECGs this API shows; tokens will decide it (issue "EHRs in and out"). */
  readonly tenant: string
  readonly onError?: (description: Readonly<Record<string, unknown>>) => void
}

const ListQuery = z.object({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  after: z.string().max(2000).optional(),
})

/**
 * @example
 * const response = await createApi({ results, tenant: 'clinic' }).request('/v1/ecgs?limit=5')
 */
export function createApi({ results, tenant, onError = () => {} }: ApiOptions): Hono {
  const app = new Hono()

  app.get('/healthz', (c) => c.json({ status: 'ok', notice: NOTICE }))

  app.get('/v1/ecgs', async (c) => {
    const query = ListQuery.safeParse(c.req.query())
    if (!query.success) throw new CodedError('field-invalid', { field: query.error.issues[0]!.path.join('.') })
    const { limit, after } = query.data
    return c.json(await results.list(tenant, { limit, ...(after === undefined ? {} : { after }) }))
  })

  app.get('/v1/ecgs/:id', async (c) => {
    const ecgId = parseEcgId(c.req.param('id'))
    const json = ecgId && (await results.latest(tenant, ecgId))
    if (json === undefined) throw new CodedError('not-found', { field: 'id' })
    return c.body(json, 200, { 'content-type': 'application/json' })
  })

  app.notFound((c) => c.json(problem(new CodedError('not-found', { field: 'path' })), 404, PROBLEM_TYPE))

  app.onError((thrown, c) => {
    const error = toCodedError(thrown)
    if (error.kind.status >= 500) onError(describeError(thrown))
    // The table of errors.ts holds only statuses that carry a body.
    return c.json(problem(error), error.kind.status as ContentfulStatusCode, PROBLEM_TYPE)
  })

  return app
}

const PROBLEM_TYPE = { 'content-type': 'application/problem+json' }

/** An RFC 9457 problem document. */
function problem({ code, kind, detail }: CodedError) {
  return {
    type: `urn:cardiacnets:error:${code}`,
    title: code.replaceAll('-', ' '),
    status: kind.status,
    code,
    ...detail,
  }
}
