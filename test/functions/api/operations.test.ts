import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { alarmsOfStack, windowsOf } from '../../../functions/api/operations.ts'
import { sendMessage } from '../../../shared/aws/queues.ts'
import type { ResultSummary } from '../../../shared/store/result-list.ts'
import { startTestApi, type TestApi } from './helpers.ts'

let api: TestApi
let tenant: string
let tenants = 0

beforeAll(async () => {
  api = await startTestApi()
})
afterAll(() => api.stop())
beforeEach(() => {
  tenant = `clinic${++tenants}`
})

const dead = (of: string, reason: string, body: object = {}) =>
  sendMessage(api.sqs, api.intakeDlqUrl, JSON.stringify({ schema: 1, tenant: of, ...body }), { reason })

async function operations(of = tenant) {
  const response = await api.as(of, '/v1/operations')
  expect(response.status).toBe(200)
  return (await response.json()) as {
    windows: { devicesOnline: number; screened: number; refused: number; refusals: object[] }
    queues: { name: string; dead: { reason: string; count: number }[] }[]
    alarms: { id: string; of?: string; state: string; runbook: string }[]
  }
}

const redrive = (body: object, claims = {}) =>
  api.as(
    tenant,
    '/v1/operations/redrive',
    { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) },
    claims,
  )

describe('GET /v1/operations', () => {
  it('counts the tenant’s devices, windows and refusals of the last minutes', async () => {
    const origin = (device: string) => ({ kind: 'mqtt', device, session: 's1' }) as const
    await api.screened(tenant, {}, origin('d1'))
    await api.screened(tenant, {}, origin('d2'))
    await api.screened(tenant, { status: 'refused', findings: [], indices: [] }, origin('d2'))
    await api.screened(tenant, {}, origin('d3'), new Date(Date.now() - 3_600_000))

    const [mine, other] = [await operations(), await operations('another')]

    expect(mine.windows).toMatchObject({ devicesOnline: 2, screened: 2, refused: 1 })
    expect(other.windows).toMatchObject({ devicesOnline: 0, screened: 0, refused: 0 })
  })

  it('reports the DLQ reasons of the tenant’s own messages, without content', async () => {
    await dead(tenant, 'payload-malformed', { secret: 'a body' })
    await dead(tenant, 'payload-malformed')
    await dead('another', 'lead-unknown')

    const { queues, alarms } = await operations()

    expect(queues).toEqual([
      { name: 'intake', waiting: 0, dead: [{ reason: 'payload-malformed', count: 2 }], isPartial: false },
    ])
    expect(JSON.stringify(queues)).not.toContain('a body')
    const alarm = { id: 'dlq-depth', of: 'intake-dlq', state: 'alarm', runbook: 'docs/operator-runbook.md#dlq-depth' }
    expect(alarms).toContainEqual(alarm)
  })

  it('redrives the tenant’s own messages by reason, if the scope allows it', async () => {
    await dead(tenant, 'unavailable', { n: 1 })
    await dead(tenant, 'lead-unknown', { n: 2 })
    await dead('another', 'unavailable', { n: 3 })
    await api.receive(api.intakeUrl)

    const refused = await redrive({ queue: 'intake' }, { scope: 'ops:read' })
    const response = await redrive({ queue: 'intake', reason: 'unavailable' })

    expect(refused.status).toBe(403)
    expect(await response.json()).toEqual({ queue: 'intake', moved: 1, isPartial: false })
    const back = await api.receive(api.intakeUrl)
    expect(back.map(({ Body }) => JSON.parse(Body!))).toEqual([{ schema: 1, tenant, n: 1 }])
    expect((await operations()).queues[0]!.dead).toEqual([{ reason: 'lead-unknown', count: 1 }])
    expect((await operations('another')).queues[0]!.dead).toContainEqual({ reason: 'unavailable', count: 1 })
  })

  it('reports the drift of the last population', async () => {
    const drift = { at: '2026-01-02T03:04:05.000Z', quality: 0.3, scores: [{ condition: 'cad', shift: 0.1 }] } as const
    await api.drift.put(drift)

    const answer = await operations()

    expect(answer).toMatchObject({ drift, bundle: { name: 'test@1' } })
    expect(answer.alarms).toContainEqual(expect.objectContaining({ id: 'quality-drift', state: 'alarm' }))
    expect(answer.alarms).toContainEqual(expect.objectContaining({ id: 'score-drift', state: 'ok' }))
  })

  it('refuses an unknown queue', async () => {
    expect((await redrive({ queue: 'upkeep' })).status).toBe(404)
    expect((await redrive({ queue: 'other' })).status).toBe(400)
  })
})

describe('windowsOf', () => {
  const now = new Date('2026-01-02T03:10:00.000Z')
  const window = (secondsAgo: number, more: Partial<ResultSummary> = {}): ResultSummary => {
    const at = now.getTime() - 1000 * secondsAgo
    return {
      ecgId: '' as never,
      device: 'd1',
      status: 'screened',
      flagged: [],
      startedAt: new Date(at - 10_200).toISOString(),
      arrivedAt: new Date(at).toISOString(),
      ...more,
    }
  }

  it('measures the lag from the last sample to the result, but not for files', () => {
    const { device: _, ...file } = window(5, { startedAt: '2020-01-01T00:00:00.000Z' })

    expect(windowsOf([window(1), window(11), file], true, now)).toMatchObject({ lagS: { p50: 0.2, p95: 0.2 } })
    expect(windowsOf([file], true, now)).not.toHaveProperty('lagS')
    // A clock that is ahead.
    const future = window(1, { startedAt: new Date(now.getTime() - 1000).toISOString() })
    expect(windowsOf([future], true, now)).not.toHaveProperty('lagS')
    expect(windowsOf([future, window(1)], true, now)).toMatchObject({ lagS: { p50: 0.2 } })
  })

  it('reports windows per minute of the observed period', () => {
    const items = Array.from({ length: 60 }, (_, i) => window(i))

    expect(windowsOf(items, true, now)).toMatchObject({ spanS: 300, perMinute: 12, devicesOnline: 1 })
    expect(windowsOf(items, false, now)).toMatchObject({ spanS: 59, perMinute: 61 })
    expect(windowsOf([], true, now)).toMatchObject({ perMinute: 0, devicesOnline: 0, refusals: [] })
  })

  it('counts refusals by their first reason, the most frequent first', () => {
    const refused = (reason: 'noise' | 'gap') => window(1, { status: 'refused', reasons: [reason] })

    const { refusals } = windowsOf([refused('gap'), refused('noise'), refused('noise')], true, now)

    expect(refusals).toEqual([
      { reason: 'noise', count: 2 },
      { reason: 'gap', count: 1 },
    ])
  })
})

it('alarmsOfStack returns CloudWatch’s alarms, each with its runbook section', async () => {
  const asked: unknown[] = []
  const client = {
    config: {},
    send: async ({ input }: { input: unknown }) => {
      asked.push(input)
      return {
        MetricAlarms: [
          { AlarmDescription: 'queue-age of intake. See docs/operator-runbook.md#queue-age', StateValue: 'ALARM' },
          { AlarmDescription: 'cost. See docs/operator-runbook.md#cost', StateValue: 'OK' },
          { AlarmDescription: 'cost. See …', StateValue: 'INSUFFICIENT_DATA' },
          { AlarmDescription: 'Somebody’s own' },
        ],
      }
    },
  }
  const { CloudWatchClient } = await import('@aws-sdk/client-cloudwatch')
  // The paginator asks whether it is one.
  Object.setPrototypeOf(client, CloudWatchClient.prototype)

  const found = await alarmsOfStack(async () => client as never, 'CardiacNets')(undefined as never)

  expect(asked).toMatchObject([{ AlarmNamePrefix: 'CardiacNets-' }])
  expect(found).toMatchObject([
    { id: 'queue-age', of: 'intake', state: 'alarm', runbook: 'docs/operator-runbook.md#queue-age' },
    { id: 'cost', state: 'ok' },
    { id: 'cost', state: 'unknown' },
  ])
})
