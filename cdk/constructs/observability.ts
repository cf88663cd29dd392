/**
 * Alarms, the topic that they notify, and the dashboard.
 *
 * It is built last and finds queues and functions itself, so that none is missed. An alarm's construct id is the heading of its section in
 * docs/operator-runbook.md; the construct around it is what it watches (a queue, a function, an adapter).
 * @module
 */
import { Duration, Stack } from 'aws-cdk-lib'
import * as apigateway from 'aws-cdk-lib/aws-apigatewayv2'
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch'
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions'
import * as iam from 'aws-cdk-lib/aws-iam'
import type * as kms from 'aws-cdk-lib/aws-kms'
import * as lambda from 'aws-cdk-lib/aws-lambda'
import * as sns from 'aws-cdk-lib/aws-sns'
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions'
import * as sqs from 'aws-cdk-lib/aws-sqs'
import { Construct } from 'constructs'
import type { SiteConfig } from '../../shared/config/site.ts'
import { CONDITION_IDS } from '../../shared/domain/conditions.ts'
import { type AlarmId, RUNBOOK, THRESHOLDS, type Threshold } from '../../shared/observe/alarms.ts'
import { METRICS, type Metric } from '../../shared/observe/metrics.ts'
import { addDashboard } from './dashboard.ts'
import { ours, percent, sum } from './metric-math.ts'
import { acknowledge } from './nag.ts'

export interface ObservabilityProps {
  readonly key: kms.IKey
  readonly site: SiteConfig
  /** Names of the adapters' sessions at their broker (`MQTT_CLIENT_ID`). */
  readonly adapters: readonly string[]
  readonly hasSynthesis: boolean
}

/** Limits on the age of messages, s, for queues that do not use the default. */
export const QUEUE_AGES: Readonly<Record<string, { readonly seconds: number; readonly why: string }>> = {
  intake: { seconds: 60, why: 'live windows, answered within half a second' },
  screening: { seconds: 60, why: 'live windows, answered within half a second' },
  'results-mqtt': { seconds: 60, why: 'the adapter takes results at once, even if the device is offline' },
  'results-fhir': { seconds: 3600, why: 'an EHR may be unavailable for an hour; retries continue for four' },
  'fhir-inbound': { seconds: 3600, why: 'an EHR may be unavailable for an hour; retries continue for four' },
  upkeep: { seconds: 3600, why: 'no caller waits, but deleted data must be gone the same day' },
  synthesis: { seconds: 900, why: 'a job reaches AWS Batch within seconds; the longest backoff is ten minutes' },
}

/** Windows of one live device in 24 hours. */
const WINDOWS_A_DAY = 8640

/** Budget of DESIGN section 7, which docs/benchmarks.md meets (9.53). It does not include fixed costs. */
const USD_PER_MILLION_WINDOWS = 10

/** Functions without a limit on duration. */
const STREAMS = ['events']

const isTimed = ({ node }: lambda.Function): boolean => !STREAMS.includes(node.id)

interface Watched {
  readonly metric: cloudwatch.Metric | cloudwatch.MathExpression
  readonly threshold?: number
  readonly isBelow?: boolean
  readonly isMissingBad?: boolean
  /** Values are rare: each one is valid until the next. */
  readonly isRare?: boolean
  /** The queue, function or adapter. */
  readonly of?: string
}

export class Observability extends Construct {
  /** Topic that all alarms notify. */
  readonly topic: sns.Topic
  readonly #alarms: cloudwatch.Alarm[] = []

  constructor(scope: Construct, id: string, { key, site, adapters, hasSynthesis }: ObservabilityProps) {
    super(scope, id)
    this.topic = this.#topic(key, site.deployment.alarms.email)
    const found = Stack.of(this).node.findAll()
    const queues = found.filter((each) => each instanceof sqs.Queue)
    const functions = found.filter((each) => each instanceof lambda.Function).filter(isOurs)
    const http = found.find((each) => each instanceof apigateway.HttpApi)

    for (const queue of queues) this.#watchQueue(queue)
    for (const fn of functions) this.#watchFunction(fn)
    this.#watchWindows(site.deployment.devices)
    const { connections = 1 } = site.deployment.gateway.adapter ?? {}
    for (const adapter of adapters) this.#watchAdapter(adapter, connections)
    if (hasSynthesis) this.#watchCines()
    if (site.ehr !== undefined) {
      this.#alarm('ehr-polls-failing', { metric: ours(METRICS.ehrPolls), isBelow: true, isMissingBad: true })
    }
    if (http !== undefined) this.#alarm('api-errors', { metric: http.metricServerError({ statistic: 'Sum' }) })
    // The deploying operator is also told why an upgrade was rolled back.
    for (const alarm of found) if (alarm instanceof cloudwatch.Alarm) this.#tell(alarm)
    addDashboard(this, {
      alarms: this.#alarms,
      queues,
      functions,
      timed: functions.filter(isTimed),
      adapters,
      hasSynthesis,
    })
  }

  /** Uses our own key: CloudWatch cannot publish to a topic under the AWS-managed key of SNS. */
  #topic(key: kms.IKey, email: string | undefined): sns.Topic {
    const topic = new sns.Topic(this, 'alarms', { enforceSSL: true, masterKey: key })
    topic.addToResourcePolicy(
      new iam.PolicyStatement({
        principals: [new iam.ServicePrincipal('cloudwatch.amazonaws.com')],
        actions: ['sns:Publish'],
        resources: [topic.topicArn],
        conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } },
      }),
    )
    acknowledge(topic, { 'Serverless-SNSRedrivePolicy': 'Mail; the alarm itself stays in CloudWatch' })
    if (email !== undefined) topic.addSubscription(new EmailSubscription(email))
    return topic
  }

  /** Watches a working queue by the age of its messages, and a dead-letter queue by their number. */
  #watchQueue(queue: sqs.Queue): void {
    const of = queue.node.id
    if (queue.deadLetterQueue === undefined) {
      const metric = queue.metricApproximateNumberOfMessagesVisible({ statistic: 'Maximum' })
      this.#alarm('dlq-depth', { metric, of })
    } else {
      const metric = queue.metricApproximateAgeOfOldestMessage({ statistic: 'Maximum' })
      const { seconds: threshold = THRESHOLDS['queue-age'].threshold } = QUEUE_AGES[of] ?? {}
      this.#alarm('queue-age', { metric, threshold, of })
    }
  }

  #watchFunction(fn: lambda.Function): void {
    const of = fn.node.id
    const usingMetrics = { errors: fn.metricErrors(), throttles: fn.metricThrottles() }
    this.#alarm('function-errors', { metric: sum('errors + throttles', usingMetrics), of })
    if (!isTimed(fn)) return
    const timeoutMs = fn.timeout?.toMilliseconds() ?? 3000
    const share = sum(`100 * duration / ${timeoutMs}`, { duration: fn.metricDuration({ statistic: 'p99' }) })
    this.#alarm('function-duration', { metric: share, of })
  }

  #watchWindows(devices: number): void {
    const screened = ours(METRICS.windowsScreened)
    const refused = ours(METRICS.windowsRefused)
    const unfamiliar = ours(METRICS.windowsUnfamiliar)
    this.#alarm('refusal-rate', { metric: percent(refused, [screened, refused]) })
    this.#alarm('unfamiliar-rate', { metric: percent(unfamiliar, [screened]) })
    const shifts = Object.fromEntries(
      CONDITION_IDS.map((id) => [id, ours(METRICS.scoreShift, { statistic: 'Maximum', part: id })]),
    )
    this.#alarm('score-drift', { metric: sum(`MAX([${CONDITION_IDS.join()}])`, shifts), isRare: true })
    this.#alarm('quality-drift', { metric: ours(METRICS.qualityShift, { statistic: 'Maximum' }), isRare: true })
    // Number of windows times the cost of one. Billing's own metric exists only in us-east-1, covers the whole account, and is hours late.
    const expectedUsd = (devices * WINDOWS_A_DAY * USD_PER_MILLION_WINDOWS) / 1e6
    const usd = sum(`(FILL(screened, 0) + FILL(refused, 0)) * ${USD_PER_MILLION_WINDOWS / 1e6}`, { screened, refused })
    this.#alarm('cost', { metric: usd, threshold: (THRESHOLDS.cost.threshold / 100) * expectedUsd })
  }

  #watchAdapter(adapter: string, connections: number): void {
    const of = adapter
    const by = (metric: Metric, statistic: string) => ours(metric, { statistic, part: adapter })
    const connected = by(METRICS.brokerConnected, 'Minimum')
    this.#alarm('adapter-silent', { metric: connected, threshold: connections, isBelow: true, isMissingBad: true, of })
    this.#alarm('adapter-journal', { metric: by(METRICS.journalAgeS, 'Maximum'), of })
    const received = by(METRICS.framesReceived, 'Sum')
    this.#alarm('device-refusals', { metric: percent(by(METRICS.framesRefused, 'Sum'), [received]), of })
  }

  #watchCines(): void {
    const failed = ours(METRICS.cinesFailed)
    const lost = ours(METRICS.cineWorkersLost)
    this.#alarm('gpu-wait', { metric: ours(METRICS.cineWaitS, { statistic: 'Maximum' }) })
    this.#alarm('cines-failing', { metric: sum('FILL(failed, 0) + FILL(lost, 0)', { failed, lost }) })
  }

  #alarm(
    id: AlarmId,
    { metric, of, isBelow = false, isMissingBad = false, isRare = false, ...watched }: Watched,
  ): void {
    const rule: Threshold = THRESHOLDS[id]
    const { threshold = rule.threshold } = watched
    const scope = of === undefined ? this : ((this.node.tryFindChild(of) as Construct) ?? new Construct(this, of))
    const { ComparisonOperator, TreatMissingData } = cloudwatch
    const missing = isRare ? TreatMissingData.IGNORE : TreatMissingData.NOT_BREACHING
    const alarm = new cloudwatch.Alarm(scope, id, {
      alarmDescription: `${id}${of === undefined ? '' : ` of ${of}`}. See ${RUNBOOK}#${id}`,
      metric: metric.with({ period: Duration.minutes(rule.minutes) }),
      threshold,
      evaluationPeriods: rule.periods ?? 1,
      comparisonOperator: isBelow
        ? ComparisonOperator.LESS_THAN_THRESHOLD
        : ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: isMissingBad ? TreatMissingData.BREACHING : missing,
    })
    this.#tell(alarm)
  }

  #tell(alarm: cloudwatch.Alarm): void {
    alarm.addAlarmAction(new SnsAction(this.topic as sns.ITopic))
    alarm.addOkAction(new SnsAction(this.topic as sns.ITopic))
    this.#alarms.push(alarm)
  }
}

/** Excludes functions that CDK made for its own purposes: only ours have a log group with their name. */
function isOurs({ node }: lambda.Function): boolean {
  return node.scope?.node.tryFindChild(`${node.id}-log`) !== undefined
}
