/**
 * Our metrics in CloudWatch, and expressions of them.
 * @module
 */
import { Duration } from 'aws-cdk-lib'
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch'
import { LEAST } from '../../shared/observe/alarms.ts'
import { METRICS_NAMESPACE, type Metric } from '../../shared/observe/metrics.ts'

interface OursOptions {
  readonly statistic?: string
  readonly period?: Duration
  /** Value of the metric's second dimension. */
  readonly part?: string
}

/** A metric of ours, from the first service that emits it. */
export function ours({ name, from, by }: Metric, options: OursOptions = {}): cloudwatch.Metric {
  const { statistic = 'Sum', period = Duration.minutes(5), part } = options
  return new cloudwatch.Metric({
    namespace: METRICS_NAMESPACE,
    metricName: name,
    dimensionsMap: { service: from[0]!, ...(by === undefined || part === undefined ? {} : { [by]: part }) },
    statistic,
    period,
  })
}

export function sum(expression: string, usingMetrics: Record<string, cloudwatch.IMetric>): cloudwatch.MathExpression {
  return new cloudwatch.MathExpression({ expression, usingMetrics, label: expression })
}

/** A share in percent; 0 where the total is too small. */
export function percent(part: cloudwatch.IMetric, whole: readonly cloudwatch.IMetric[]): cloudwatch.MathExpression {
  const names = whole.map((_, index) => `whole${index}`)
  const all = names.map((name) => `FILL(${name}, 0)`).join(' + ')
  const usingMetrics = Object.fromEntries([['part', part], ...names.map((name, index) => [name, whole[index]!])])
  return sum(`IF((${all}) >= ${LEAST}, 100 * FILL(part, 0) / (${all}), 0)`, usingMetrics)
}
