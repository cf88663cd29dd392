/**
 * `GET /v1/events`: new results and progress of jobs, as server-sent events or, where the host cannot stream, by polling.
 *
 * The id of an event contains a position in the tenant's results and one in its jobs, separated by `~`. A stream can therefore be resumed
 * by any process, without loss or duplicates.
 * @module
 */
import { createRoute, z } from '@hono/zod-openapi'
import { type SSEStreamingApi, streamSSE } from 'hono/streaming'
import type { CmrProgress } from '../../../shared/domain/cmr-job.ts'
import type { EcgId } from '../../../shared/domain/ecg-id.ts'
import { CodedError } from '../../../shared/errors.ts'
import { describeError } from '../../../shared/observe/logging.ts'
import { pause } from '../../../shared/pause.ts'
import type { CmrJobStore } from '../../../shared/store/cmr-jobs.ts'
import type { ResultList, ResultSummary } from '../../../shared/store/result-list.ts'
import type { ResultStore } from '../../../shared/store/results.ts'
import { type AuditOptions, touch } from '../audit.ts'
import { requireScope } from '../auth.ts'
import type { ReportError } from '../problem.ts'
import { holdStream, type QuotaOptions } from '../quota.ts'
import { After, News } from '../schemas.ts'
import { needs, problems, routes } from './common.ts'

export interface EventOptions extends QuotaOptions {
  readonly list: Pick<ResultList, 'news'>
  readonly jobs: Pick<CmrJobStore, 'news'>
  readonly results: Pick<ResultStore, 'deletedOf'>
  /** Absent where the host cannot stream. */
  readonly stream?: StreamRules | undefined
  readonly onError: ReportError
  readonly audit: AuditOptions['audit']
}

export interface StreamRules {
  /** Interval between reads of the table. */
  readonly pollMs: number
  /** Interval of comments that keep proxies from closing an idle stream. */
  readonly heartbeatMs: number
  /** Duration after which a stream ends and its reader reconnects, because Lambdas and tokens have limited lifetimes. */
  readonly maxMs: number
}

/** A stream that ends normally frees its slot. When its process has died, the slot stays taken for this much longer. */
const LEASE_SLACK_MS = 10_000

const eventsRoute = createRoute({
  method: 'get',
  path: '/v1/events',
  summary: 'Stream new results and the progress of jobs',
  description:
    'With `accept: text/event-stream`: a stream of the events `result` and `cmr`, which resumes by `Last-Event-ID`. Otherwise: one page of the events since `after`. Without a position, both start at the present.',
  security: needs('ecg:read'),
  middleware: requireScope('ecg:read'),
  request: { query: z.object({ after: After.optional() }), headers: z.object({ 'last-event-id': After.optional() }) },
  responses: {
    200: {
      description: 'New results',
      content: { 'application/json': { schema: News }, 'text/event-stream': { schema: z.string() } },
    },
    ...problems,
  },
})

/** In the order in which they are sent. */
interface Events {
  readonly items: readonly (
    | { readonly event: 'result'; readonly data: ResultSummary; readonly position: string }
    | { readonly event: 'cmr'; readonly data: CmrProgress; readonly position: string }
  )[]
  readonly position: string
}

/** ECGs that the events are about. */
const told = ({ items }: Events) => [...new Set(items.map(({ data }) => data.ecgId))]

export function eventRoutes({ list, jobs, results: marks, stream: rules, onError, audit, ...quota }: EventOptions) {
  const app = routes()

  /** News of results and jobs. For a position from before there were jobs, jobs start with the current position. */
  async function newsOf(tenant: string, after: string | undefined): Promise<Events> {
    const [ofResults, ofJobs] = after?.split('~', 2) ?? []
    const [results, progress] = await Promise.all([list.news(tenant, ofResults), jobs.news(tenant, ofJobs)])
    const news = {
      items: [
        ...results.items.map(({ item, position }) => ({
          event: 'result' as const,
          data: item,
          position: `${position}~${ofJobs ?? progress.position}`,
        })),
        ...progress.items.map(({ item, position }) => ({
          event: 'cmr' as const,
          data: item,
          position: `${results.position}~${position}`,
        })),
      ],
      position: `${results.position}~${progress.position}`,
    }
    const gone = await marks.deletedOf(tenant, told(news))
    return { ...news, items: news.items.filter(({ data }) => !gone.has(data.ecgId)) }
  }

  /** The slot becomes free when its time is over. */
  const onLostPlace = (error: unknown) => onError(describeError(error))

  app.openapi(eventsRoute, async (c) => {
    const { tenant, subject, expiresAt } = c.get('caller')
    const after = c.req.valid('header')['last-event-id'] ?? c.req.valid('query').after
    // Read before the stream begins, so that an invalid position is answered by a problem document.
    const news = await newsOf(tenant, after)
    if (!/text\/event-stream/i.test(c.req.header('accept') ?? '')) {
      const items = news.items.flatMap(({ event, data }) => (event === 'result' ? [data] : []))
      const cmr = news.items.flatMap(({ event, data }) => (event === 'cmr' ? [data] : []))
      touch(c, ...told(news))
      return c.json({ items, cmr, next: news.position }, 200)
    }
    if (rules === undefined) throw new CodedError('not-acceptable', { field: 'accept' })
    const endsInMs = Math.min(rules.maxMs, expiresAt === undefined ? rules.maxMs : expiresAt.getTime() - Date.now())
    const giveBack = await holdStream(quota, c.get('caller'), Date.now() + Math.max(0, endsInMs) + LEASE_SLACK_MS)
    // Keeps proxies from buffering events.
    c.header('x-accel-buffering', 'no')
    // The OpenAPI document has no type for a stream.
    const note = (ecgIds: readonly EcgId[]) =>
      audit.append({
        at: new Date(),
        tenant,
        action: 'events.read',
        outcome: 'done',
        subject,
        ecgIds,
        traceId: c.get('traceId'),
      })
    return streamSSE(c, (sse) =>
      run(sse, tenant, { news, note }, rules, endsInMs).finally(() => giveBack().catch(onLostPlace)),
    ) as never
  })

  async function run(
    sse: SSEStreamingApi,
    tenant: string,
    { news: first, note }: { news: Events; note: (ecgIds: readonly EcgId[]) => Promise<void> },
    { pollMs, heartbeatMs }: StreamRules,
    endsInMs: number,
  ): Promise<void> {
    const gone = new AbortController()
    sse.onAbort(() => gone.abort())
    const signal = AbortSignal.any([gone.signal, AbortSignal.timeout(Math.max(0, endsInMs))])
    let news = first
    let saidAtMs = Number.NEGATIVE_INFINITY
    try {
      while (!signal.aborted) {
        if (news.items.length > 0) await note(told(news))
        for (const { event, data, position } of news.items) {
          await sse.writeSSE({ event, id: position, data: JSON.stringify(data) })
          saidAtMs = performance.now()
        }
        if (performance.now() - saidAtMs >= heartbeatMs) {
          // An id without data is not an event, but sets the position to resume from.
          await sse.write(`: heartbeat\nid: ${news.position}\n\n`)
          saidAtMs = performance.now()
        }
        await pause(news.items.length > 0 ? 0 : pollMs, signal)
        if (!signal.aborted) news = await newsOf(tenant, news.position)
      }
    } catch (error) {
      // The reader reconnects and resumes where it was.
      onError(describeError(error))
    }
  }

  return app
}
