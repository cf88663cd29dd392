/**
 * What an operator of a tenant looks at: how its devices and its windows do, what was given up, and which alarms are raised.
 * @module
 */
import type { CloudWatchClient } from '@aws-sdk/client-cloudwatch'
import { GetQueueAttributesCommand, type SQSClient } from '@aws-sdk/client-sqs'
import { QUEUE_NAMES, type QueueName, redrive } from '../../shared/aws/dead-letters.ts'
import { WINDOW_S } from '../../shared/domain/window.ts'
import { type AlarmId, LEAST, RUNBOOK, THRESHOLDS } from '../../shared/observe/alarms.ts'
import type { Drift } from '../../shared/store/drift.ts'
import type { ResultSummary } from '../../shared/store/result-list.ts'

/** A device that gave no window for so long is not online. */
const ONLINE_S = 60

/** Windows of which throughput, lag and refusals are counted. */
export const LOOK_BACK_S = 300
export const MOST_WINDOWS = 5000

/** Messages of a dead-letter queue that one request looks at. */
const MOST_DEAD = 100

export type QueueUrls = Readonly<Record<QueueName, { readonly queueUrl: string; readonly dlqUrl: string } | undefined>>

export interface QueueState {
  readonly name: QueueName
  /** Of all tenants. */
  readonly waiting: number
  /** Of this tenant, by reason. */
  readonly dead: readonly { readonly reason: string; readonly count: number }[]
  /** There are more than were looked at. */
  readonly isPartial: boolean
}

export interface AlarmState {
  readonly id: string
  /** Which queue, function or adapter. */
  readonly of?: string | undefined
  readonly state: 'ok' | 'alarm' | 'unknown'
  readonly since?: string | undefined
  readonly runbook: string
}

/** A window from the future: its device's clock is wrong, or a file is played faster than it was recorded. Its lag says nothing. */
const AHEAD_S = -1

/** What arrived lately, summed up. Lag is from a window's last sample, by the device's clock, to its stored result. */
export function windowsOf(items: readonly ResultSummary[], isAll: boolean, now: Date) {
  const times = items.map(({ arrivedAt }) => Date.parse(arrivedAt))
  const spanS = isAll ? LOOK_BACK_S : Math.max(1, (now.getTime() - Math.min(...times)) / 1000)
  const live = items.filter(({ device }) => device !== undefined)
  const online = new Set(
    live
      .filter(({ arrivedAt }) => now.getTime() - Date.parse(arrivedAt) <= 1000 * ONLINE_S)
      .map(({ device }) => device),
  )
  const lags = live
    .map(({ arrivedAt, startedAt }) => (Date.parse(arrivedAt) - Date.parse(startedAt)) / 1000 - WINDOW_S)
    .filter((lag) => lag >= AHEAD_S)
    .toSorted((a, b) => a - b)
  const quantile = (part: number) => round(lags[Math.min(lags.length - 1, Math.floor(part * lags.length))]!)
  const refused = items.filter(({ status }) => status === 'refused')
  return {
    spanS: Math.round(spanS),
    devicesOnline: online.size,
    perMinute: round((60 * items.length) / spanS),
    screened: items.length - refused.length,
    refused: refused.length,
    ...(lags.length === 0 ? {} : { lagS: { p50: quantile(0.5), p95: quantile(0.95) } }),
    refusals: counted(refused.map(({ reasons }) => reasons?.[0] ?? 'unknown')),
  }
}

/** How many wait in each queue, and why this tenant's messages were given up; never what is in them. */
export async function queuesOf(sqs: SQSClient, urls: QueueUrls, tenant: string): Promise<readonly QueueState[]> {
  const states = QUEUE_NAMES.map(async (name) => {
    const of = urls[name]
    if (of === undefined) return []
    const [waiting, lying] = await Promise.all([depth(sqs, of.queueUrl), depth(sqs, of.dlqUrl)])
    // To look into an empty queue takes as long as SQS waits for a message.
    if (lying === 0) return [{ name, waiting, dead: [], isPartial: false }]
    const look = { dryRun: true, tenant, most: MOST_DEAD }
    const { counts, isPartial } = await redrive(sqs, of.dlqUrl, of.queueUrl, look)
    return [{ name, waiting, dead: [...counts].map(([reason, count]) => ({ reason, count })), isPartial }]
  })
  return (await Promise.all(states)).flat()
}

async function depth(sqs: SQSClient, QueueUrl: string): Promise<number> {
  const command = new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['ApproximateNumberOfMessages'] })
  return Number((await sqs.send(command)).Attributes?.ApproximateNumberOfMessages ?? 0)
}

/** Where alarms are, and what they say. */
export type Alarms = (seen: Seen) => Promise<readonly AlarmState[]>

/** What a machine without CloudWatch can judge by. */
export interface Seen {
  readonly windows: Pick<ReturnType<typeof windowsOf>, 'screened' | 'refused'>
  readonly queues: readonly QueueState[]
  readonly drift: Drift | undefined
}

/** The stack's own alarms, whose description begins with `id` or `id of what` (`cdk/constructs/observability.ts`). */
export function alarmsOfStack(cloudWatch: () => Promise<CloudWatchClient>, stack: string): Alarms {
  return async () => {
    const [{ paginateDescribeAlarms }, client] = await Promise.all([import('@aws-sdk/client-cloudwatch'), cloudWatch()])
    const found: AlarmState[] = []
    for await (const { MetricAlarms = [] } of paginateDescribeAlarms({ client }, { AlarmNamePrefix: `${stack}-` })) {
      for (const { AlarmDescription = '', StateValue, StateTransitionedTimestamp: since } of MetricAlarms) {
        const [, id, of] = /^([a-z-]+)(?: of ([\w-]+))?\./.exec(AlarmDescription) ?? []
        if (id === undefined) continue
        const state = StateValue === 'ALARM' ? 'alarm' : StateValue === 'OK' ? 'ok' : 'unknown'
        found.push({ id, of, state, since: since?.toISOString(), runbook: runbookOf(id) })
      }
    }
    return found
  }
}

/** Those that can be judged by what the page shows anyway, where there is no CloudWatch. */
export const alarmsHere: Alarms = async ({ windows, queues, drift }) => {
  const total = windows.screened + windows.refused
  const alarm = (id: AlarmId, value: number | undefined, of?: string): AlarmState => ({
    id,
    of,
    state: value === undefined ? 'unknown' : value >= THRESHOLDS[id].threshold ? 'alarm' : 'ok',
    since: undefined,
    runbook: runbookOf(id),
  })
  return [
    ...queues.map(({ name, dead }) =>
      alarm(
        'dlq-depth',
        dead.reduce((sum, { count }) => sum + count, 0),
        `${name}-dlq`,
      ),
    ),
    alarm('refusal-rate', total < LEAST ? 0 : (100 * windows.refused) / total),
    alarm('score-drift', drift && Math.max(...drift.scores.map(({ shift }) => shift))),
    alarm('quality-drift', drift?.quality),
  ]
}

const runbookOf = (id: string) => `${RUNBOOK}#${id}`

function counted(reasons: readonly string[]): readonly { readonly reason: string; readonly count: number }[] {
  const counts = new Map<string, number>()
  for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1)
  return [...counts].map(([reason, count]) => ({ reason, count })).toSorted((a, b) => b.count - a.count)
}

const round = (value: number) => Math.round(value * 10) / 10
