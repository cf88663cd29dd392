/**
 * The dashboard, which an operator opens first after an alarm.
 * @module
 */
import { Duration } from 'aws-cdk-lib'
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch'
import type * as lambda from 'aws-cdk-lib/aws-lambda'
import type * as sqs from 'aws-cdk-lib/aws-sqs'
import type { Construct } from 'constructs'
import { METRICS, METRICS_NAMESPACE, type Metric } from '../../shared/observe/metrics.ts'
import { ours } from './metric-math.ts'

export interface DashboardProps {
  readonly alarms: readonly cloudwatch.Alarm[]
  readonly queues: readonly sqs.Queue[]
  readonly functions: readonly lambda.Function[]
  /** Functions with a limited duration. */
  readonly timed: readonly lambda.Function[]
  readonly adapters: readonly string[]
  readonly hasSynthesis: boolean
}

export function addDashboard(
  scope: Construct,
  { alarms, queues, functions, timed, adapters, hasSynthesis }: DashboardProps,
): void {
  const minute = { period: Duration.minutes(1) }
  const graph = (title: string, left: cloudwatch.IMetric[], right: cloudwatch.IMetric[] = []) =>
    new cloudwatch.GraphWidget({ title, left, right, width: 8, height: 6 })
  const times = (metric: Metric) => ['p50', 'p99'].map((statistic) => ours(metric, { statistic, ...minute }))
  const working = queues.filter((queue) => queue.deadLetterQueue !== undefined)
  const ending = queues.filter((queue) => queue.deadLetterQueue === undefined)
  const ofAdapters = (metric: Metric, statistic: string) =>
    adapters.map((part) => ours(metric, { statistic, part, ...minute }))
  const parts = (metric: Metric) =>
    new cloudwatch.SearchExpression({
      expression: `SEARCH('{${[METRICS_NAMESPACE, 'service', metric.by].filter(Boolean).join()}} MetricName="${metric.name}"', 'Sum')`,
      period: Duration.minutes(5),
    })
  const dashboard = new cloudwatch.Dashboard(scope, 'dashboard', { defaultInterval: Duration.hours(3) })
  dashboard.addWidgets(new cloudwatch.AlarmStatusWidget({ title: 'Alarms', alarms: [...alarms], width: 24, height: 6 }))
  dashboard.addWidgets(
    graph('Windows a minute', [
      ours(METRICS.windowsScreened, minute),
      ours(METRICS.windowsRefused, minute),
      ours(METRICS.windowsUnfamiliar, minute),
    ]),
    graph('Milliseconds a window', [...times(METRICS.preprocessMs), ...times(METRICS.inferenceMs)]),
    graph('Why windows are refused', [parts(METRICS.refusals)]),
  )
  dashboard.addWidgets(
    graph(
      'Oldest message, seconds',
      working.map((queue) => queue.metricApproximateAgeOfOldestMessage({ statistic: 'Maximum', ...minute })),
    ),
    graph(
      'Given up, in the DLQs',
      ending.map((queue) => queue.metricApproximateNumberOfMessagesVisible({ statistic: 'Maximum' })),
    ),
    graph('Why messages were given up', [parts(METRICS.messagesDeadLettered)], [parts(METRICS.messagesFailed)]),
  )
  dashboard.addWidgets(
    graph(
      'Errors of functions',
      functions.map((fn) => fn.metricErrors()),
      functions.map((fn) => fn.metricThrottles()),
    ),
    graph(
      'Duration, p99',
      timed.map((fn) => fn.metricDuration({ statistic: 'p99' })),
    ),
    graph(
      'Running at once',
      functions.map((fn) => fn.metric('ConcurrentExecutions', { statistic: 'Maximum' })),
    ),
  )
  dashboard.addWidgets(
    graph('API, by status', [parts(METRICS.apiRequests)]),
    graph('API, why refused', [parts(METRICS.apiRefusals)], [parts(METRICS.apiLimits)]),
    graph(
      'EHR',
      [ours(METRICS.ehrEcgs), ours(METRICS.reportsWritten), ours(METRICS.reportsUnidentified)],
      [ours(METRICS.ehrPolls), ours(METRICS.ehrPollsFailed)],
    ),
  )
  if (adapters.length > 0) {
    dashboard.addWidgets(
      graph(
        'Adapters: frames a minute',
        ofAdapters(METRICS.framesReceived, 'Sum'),
        ofAdapters(METRICS.framesRefused, 'Sum'),
      ),
      graph(
        'Adapters: connections and sessions',
        ofAdapters(METRICS.brokerConnected, 'Minimum'),
        ofAdapters(METRICS.liveSessions, 'Maximum'),
      ),
      graph(
        'Adapters: journal',
        ofAdapters(METRICS.journalAgeS, 'Maximum'),
        ofAdapters(METRICS.journalBytes, 'Maximum'),
      ),
    )
    dashboard.addWidgets(
      graph('Adapters: windows sent', ofAdapters(METRICS.windowsSent, 'Sum')),
      graph('Why devices are refused', [parts(METRICS.frameRefusals)], [parts(METRICS.framesLimited)]),
    )
  }
  if (hasSynthesis) {
    dashboard.addWidgets(
      graph(
        'Cines: seconds to wait and to draw',
        [ours(METRICS.cineWaitS, { statistic: 'Maximum' })],
        [ours(METRICS.cineS, { statistic: 'Average' })],
      ),
      graph('Cines', [ours(METRICS.cinesDispatched), ours(METRICS.cinesFailed), ours(METRICS.cineWorkersLost)]),
      graph('Why cines failed', [parts(METRICS.cineFailures)]),
    )
  }
  dashboard.addWidgets(
    graph('Drift of scores (PSI)', [parts(METRICS.scoreShift)]),
    graph('Drift of quality (PSI)', [ours(METRICS.qualityShift, { statistic: 'Maximum' })]),
    graph('EHR: left alone', [parts(METRICS.ehrSkipped)]),
  )
}
