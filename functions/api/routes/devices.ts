/**
 * Whose a device's ECGs are, and those that nobody has said it of.
 * @module
 */
import type { SQSClient } from '@aws-sdk/client-sqs'
import { createRoute, z } from '@hono/zod-openapi'
import { sendMessage } from '../../../shared/aws/queues.ts'
import { CodedError } from '../../../shared/errors.ts'
import type { ResultMessage } from '../../../shared/messages.ts'
import type { AssociationStore, Unidentified } from '../../../shared/store/associations.ts'
import type { ResultStore } from '../../../shared/store/results.ts'
import { touch } from '../audit.ts'
import { requireScope } from '../auth.ts'
import { boundedBody } from '../body.ts'
import { After, Associated, Association, Device, Limit, UnidentifiedPage } from '../schemas.ts'
import { json, needs, problems, routes } from './common.ts'

export interface DeviceOptions {
  readonly associations: AssociationStore
  readonly results: Pick<ResultStore, 'latest'>
  /** Who may report to the EHR, whose patients associations name; absent where there is no EHR. */
  readonly ehrTenants?: ReadonlySet<string> | undefined
  readonly sqs: SQSClient
  /** Where results go that are to be reported to the EHR. */
  readonly reportQueueUrl: string
}

/** Results that are handed to the report at once. */
const CONCURRENCY = 20

const associationRoute = createRoute({
  method: 'put',
  path: '/v1/devices/{id}/association',
  summary: 'Say which patient a device is on',
  description:
    'From `from` up to `to`. An association with the same `from` is replaced; one that overlaps another is refused. Results that waited for it are reported.',
  security: needs('ecg:write'),
  middleware: [requireScope('ecg:write'), boundedBody({ maxBytes: 64 * 1024, timeoutMs: 10_000 })] as const,
  request: {
    params: z.object({ id: Device }),
    body: { required: true, content: { 'application/json': { schema: Association } } },
  },
  responses: { 200: json(Associated, 'The association as it now stands'), ...problems },
})

const unidentifiedRoute = createRoute({
  method: 'get',
  path: '/v1/unidentified',
  summary: 'List results whose patient nobody has said, by device and time',
  security: needs('ecg:read'),
  middleware: requireScope('ecg:read'),
  request: { query: z.object({ limit: Limit, after: After.optional(), device: Device.optional() }) },
  responses: { 200: json(UnidentifiedPage, 'A page'), ...problems },
})

export function deviceRoutes({ associations, results, ehrTenants, sqs, reportQueueUrl }: DeviceOptions) {
  const app = routes()

  app.openapi(associationRoute, async (c) => {
    const { tenant } = c.get('caller')
    // The patients are the EHR's: to name one is for those only whose results may stand in its charts.
    if (ehrTenants?.has(tenant) === false) throw new CodedError('tenant-forbidden', { field: 'tenant' })
    const device = c.req.valid('param').id
    const body = c.req.valid('json')
    const span = { from: new Date(body.from), to: body.to === undefined ? undefined : new Date(body.to) }
    await associations.put(tenant, device, { patient: body.patient, ...span })
    let released = 0
    let batch: Promise<boolean>[] = []
    for await (const waiting of associations.waitingFor(tenant, device, span)) {
      touch(c, waiting.ecgId)
      batch.push(release(tenant, waiting))
      if (batch.length < CONCURRENCY) continue
      released += (await Promise.all(batch)).filter(Boolean).length
      batch = []
    }
    released += (await Promise.all(batch)).filter(Boolean).length
    return c.json({ device, ...body, released }, 200)
  })

  app.openapi(unidentifiedRoute, async (c) => {
    const { items, next } = await associations.unidentified(c.get('caller').tenant, c.req.valid('query'))
    touch(c, ...items.map(({ ecgId }) => ecgId))
    const shown = items.map(({ device, at, ecgId }) => ({ device, at: at.toISOString(), ecgId }))
    return c.json({ items: shown, ...(next === undefined ? {} : { next }) }, 200)
  })

  /** Hands a result to the report again. It leaves the list when it is reported, so that to ask twice loses nothing. */
  async function release(tenant: string, waiting: Unidentified): Promise<boolean> {
    const result = await results.latest(tenant, waiting.ecgId)
    if (result === undefined) {
      await associations.markReported(tenant, waiting) // deleted meanwhile
      return false
    }
    const message: ResultMessage = { schema: 1, tenant, origin: waiting.origin, result }
    await sendMessage(sqs, reportQueueUrl, JSON.stringify(message), { origin: waiting.origin.kind })
    return true
  }

  return app
}
