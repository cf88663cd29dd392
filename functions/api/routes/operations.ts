/**
 * `/v1/operations`: state of the service for a tenant, and redriving of its dead-lettered messages.
 * @module
 */
import type { SQSClient } from '@aws-sdk/client-sqs'
import { createRoute } from '@hono/zod-openapi'
import { redrive } from '../../../shared/aws/dead-letters.ts'
import { CodedError } from '../../../shared/errors.ts'
import type { DriftStore } from '../../../shared/store/drift.ts'
import type { ResultList } from '../../../shared/store/result-list.ts'
import { requireScope } from '../auth.ts'
import { boundedBody } from '../body.ts'
import { type Alarms, LOOK_BACK_S, MOST_WINDOWS, type QueueUrls, queuesOf, windowsOf } from '../operations.ts'
import { Operations, Redriven, RedriveRequest } from '../operations-schemas.ts'
import { json, needs, problems, routes } from './common.ts'

export interface OperationsOptions {
  readonly list: ResultList
  readonly sqs: SQSClient
  readonly drift: Pick<DriftStore, 'last'>
  readonly queueUrls: QueueUrls
  readonly alarms: Alarms
  /** The bundle that is used for screening. */
  readonly bundle: { readonly name: string; readonly sha256: string } | undefined
}

/** Most messages that one request moves. */
const MOST_MOVED = 500

const readRoute = createRoute({
  method: 'get',
  path: '/v1/operations',
  summary: 'Operational state: devices, windows, queues, drift, alarms',
  description: 'Devices, windows and dead letters are those of the tenant. Waiting messages are those of all tenants.',
  security: needs('ops:read'),
  middleware: requireScope('ops:read'),
  responses: { 200: json(Operations, 'The current state'), ...problems },
})

const redriveRoute = createRoute({
  method: 'post',
  path: '/v1/operations/redrive',
  summary: "Redrive the tenant's messages of a dead-letter queue",
  description:
    'At most 500 messages per request. Messages that the adapter refused are not redriven: the device was notified.',
  security: needs('ops:write'),
  middleware: [requireScope('ops:write'), boundedBody({ maxBytes: 4096, timeoutMs: 10_000 })] as const,
  request: { body: { required: true, content: { 'application/json': { schema: RedriveRequest } } } },
  responses: { 200: json(Redriven, 'Number of messages that were put back'), ...problems },
})

export function operationsRoutes({ list, sqs, drift, queueUrls, alarms, bundle }: OperationsOptions) {
  const app = routes()

  app.openapi(readRoute, async (c) => {
    const { tenant } = c.get('caller')
    const now = new Date()
    const [{ items, isAll }, queues, moved] = await Promise.all([
      list.since(tenant, new Date(now.getTime() - 1000 * LOOK_BACK_S), MOST_WINDOWS),
      queuesOf(sqs, queueUrls, tenant),
      drift.last(),
    ])
    const windows = windowsOf(items, isAll, now)
    const raised = await alarms({ windows, queues, drift: moved })
    const state = { at: now.toISOString(), windows, queues, alarms: raised, bundle, drift: moved }
    return c.json(Operations.parse(state), 200)
  })

  app.openapi(redriveRoute, async (c) => {
    const { tenant } = c.get('caller')
    const { queue, reason } = c.req.valid('json')
    const of = queueUrls[queue]
    if (of === undefined) throw new CodedError('not-found', { field: 'queue' })
    const { moved, isPartial } = await redrive(sqs, of.dlqUrl, of.queueUrl, { tenant, reason, most: MOST_MOVED })
    return c.json({ queue, moved, isPartial }, 200)
  })

  return app
}
