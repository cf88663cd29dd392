/**
 * Associations of devices with patients, and the list of ECGs without a known patient.
 * @module
 */
import type { SQSClient } from '@aws-sdk/client-sqs'
import { createRoute, z } from '@hono/zod-openapi'
import { sendMessage } from '../../../shared/aws/queues.ts'
import { CodedError } from '../../../shared/errors.ts'
import type { UpkeepMessage } from '../../../shared/messages.ts'
import type { AssociationStore } from '../../../shared/store/associations.ts'
import type { ResultStore } from '../../../shared/store/results.ts'
import { touch } from '../audit.ts'
import { requireScope } from '../auth.ts'
import { boundedBody } from '../body.ts'
import { limited, type QuotaOptions } from '../quota.ts'
import { After, Associated, Association, Device, Limit, UnidentifiedPage } from '../schemas.ts'
import { json, needs, problems, routes } from './common.ts'

export interface DeviceOptions extends QuotaOptions {
  readonly associations: AssociationStore
  readonly results: Pick<ResultStore, 'deletedOf'>
  /** Tenants that may report to the EHR, whose patients the associations name; absent without an EHR. */
  readonly ehrTenants?: ReadonlySet<string> | undefined
  readonly sqs: SQSClient
  /** Queue for work that no caller waits for. */
  readonly upkeepQueueUrl: string
}

const associationRoute = (quota: QuotaOptions) =>
  createRoute({
    method: 'put',
    path: '/v1/devices/{id}/association',
    summary: 'Associate a device with a patient',
    description:
      'From `from` up to `to`. An association with the same `from` is replaced; one that overlaps another is refused. Results that waited for it are reported afterwards.',
    security: needs('ecg:write'),
    middleware: [
      requireScope('ecg:write'),
      limited(quota, 'associationsPerMinute'),
      boundedBody({ maxBytes: 64 * 1024, timeoutMs: 10_000 }),
    ] as const,
    request: {
      params: z.object({ id: Device }),
      body: { required: true, content: { 'application/json': { schema: Association } } },
    },
    responses: { 200: json(Associated, 'The stored association'), ...problems },
  })

const unidentifiedRoute = createRoute({
  method: 'get',
  path: '/v1/unidentified',
  summary: 'List results without a known patient, by device and time',
  security: needs('ecg:read'),
  middleware: requireScope('ecg:read'),
  request: { query: z.object({ limit: Limit, after: After.optional(), device: Device.optional() }) },
  responses: { 200: json(UnidentifiedPage, 'One page'), ...problems },
})

export function deviceRoutes({ associations, results, ehrTenants, sqs, upkeepQueueUrl, ...quota }: DeviceOptions) {
  const app = routes()

  app.openapi(associationRoute(quota), async (c) => {
    const { tenant } = c.get('caller')
    // The patients belong to the EHR, so only tenants whose results may be written into its charts can name them.
    if (ehrTenants?.has(tenant) === false) throw new CodedError('tenant-forbidden', { field: 'tenant' })
    const device = c.req.valid('param').id
    const body = c.req.valid('json')
    const span = { from: new Date(body.from), to: body.to === undefined ? undefined : new Date(body.to) }
    await associations.put(tenant, device, { patient: body.patient, ...span })
    // Thousands of results may be waiting, so they are passed to the report later and not while the caller waits.
    const message: UpkeepMessage = {
      schema: 1,
      kind: 'association',
      tenant,
      device,
      from: span.from.toISOString(),
      to: span.to?.toISOString() ?? null,
    }
    await sendMessage(sqs, upkeepQueueUrl, JSON.stringify(message))
    return c.json({ device, ...body }, 200)
  })

  app.openapi(unidentifiedRoute, async (c) => {
    const { tenant } = c.get('caller')
    const { items, next } = await associations.unidentified(tenant, c.req.valid('query'))
    const gone = await results.deletedOf(
      tenant,
      items.map(({ ecgId }) => ecgId),
    )
    const left = items.filter(({ ecgId }) => !gone.has(ecgId))
    touch(c, ...left.map(({ ecgId }) => ecgId))
    const shown = left.map(({ device, at, ecgId }) => ({ device, at: at.toISOString(), ecgId }))
    return c.json({ items: shown, ...(next === undefined ? {} : { next }) }, 200)
  })

  return app
}
