/**
 * State of the service for an operator of a tenant: devices, windows, dead-lettered messages and alarms.
 * @module
 */
import type { CloudWatchClient } from '@aws-sdk/client-cloudwatch'
import { GetQueueAttributesCommand, type SQSClient } from '@aws-sdk/client-sqs'
import { QUEUE_NAMES, type QueueName, redrive } from '../../shared/aws/dead-letters.ts'
import { WINDOW_S } from '../../shared/domain/window.ts'
import { type AlarmId, LEAST, RUNBOOK, THRESHOLDS } from '../../shared/observe/alarms.ts'
import type { Drift } from '../../shared/store/drift.ts'
import type { ResultSummary } from '../../shared/store/result-list.ts'

/** A device without a window for this long is offline, s. */
const ONLINE_S = 60

/** Throughput, lag and refusals are computed over this time (s), and over this many windows at most. */
export const LOOK_BACK_S = 300
export const MOST_WINDOWS = 5000

/** Most messages of a dead-letter queue that one request reads. */
const MOST_DEAD = 100

export type QueueUrls = Readonly<Record<QueueName, { readonly queueUrl: string; readonly dlqUrl: string } | undefined>>

export interface QueueState {
  readonly name: QueueName
  /** Waiting messages of all tenants. */
  readonly waiting: number
  /** Dead-lettered messages of this tenant, by reason. */
  readonly dead: readonly { readonly reason: string; readonly count: number }[]
  /** The queue holds more messages than were read. */
  readonly isPartial: boolean
}

export interface AlarmState {
  readonly id: string
  /** The queue, function or adapter. */
  readonly of?: string | undefined
  readonly state: 'ok' | 'alarm' | 'unknown'
  readonly since?: string | undefined
  readonly runbook: string
}

/**
 * Lag below which a window lies in the future: its device's clock is wrong, or a file is replayed faster than recorded. Such a lag is
 * ignored.
 */
const AHEAD_S = -1

/** Summary of the windows that arrived lately. Lag is measured from a window's last sample, by the device's clock, to its stored result. */
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

/** Number of waiting messages per queue, and why this tenant's messages were dead-lettered; never their content. */
export async function queuesOf(sqs: SQSClient, urls: QueueUrls, tenant: string): Promise<readonly QueueState[]> {
  const states = QUEUE_NAMES.map(async (name) => {
    const of = urls[name]
    if (of === undefined) return []
    const [waiting, lying] = await Promise.all([depth(sqs, of.queueUrl), depth(sqs, of.dlqUrl)])
    // Reading an empty queue takes as long as SQS waits for a message.
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

/** Reads the alarms and their states. */
export type Alarms = (seen: Seen) => Promise<readonly AlarmState[]>

/** Data for evaluating alarms on a machine without CloudWatch. */
export interface Seen {
  readonly windows: Pick<ReturnType<typeof windowsOf>, 'screened' | 'refused'>
  readonly queues: readonly QueueState[]
  readonly drift: Drift | undefined
}

/** The stack's own alarms. Their descriptions begin with `id` or `id of what` (`cdk/constructs/observability.ts`). */
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

/** Alarms that can be evaluated from the page's own data, where there is no CloudWatch. */
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
