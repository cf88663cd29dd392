/**
 * Every metric, in one place for the code that emits it, the alarm that watches it and the dashboard that shows it.
 *
 * A metric lies under the dimension `service` (who emits it); one with `by` under both of these. No dimension
 * ever names a tenant, a device or a person: what they are counted by is public, and each value of one costs as much as a metric.
 * @module
 */
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics'
import type { MetricUnit as Unit } from '@aws-lambda-powertools/metrics/types'

export const METRICS_NAMESPACE = 'CardiacNets'

/** Who emits, as its functions, processes and logs are called. */
export type Service =
  | 'api'
  | 'fhir-intake'
  | 'preprocess'
  | 'publish'
  | 'report'
  | 'screen'
  | 'streams-mqtt'
  | 'synthesis-dispatch'
  | 'synthesize'
  | 'upkeep'

export interface Metric {
  readonly name: string
  readonly unit: Unit
  readonly meaning: string
  readonly from: readonly Service[]
  /** The dimension beside `service`. */
  readonly by?: string
}

const { Bytes, Count, Milliseconds, NoUnit, Seconds } = MetricUnit
const QUEUES: readonly Service[] = [
  'fhir-intake',
  'preprocess',
  'publish',
  'report',
  'screen',
  'synthesis-dispatch',
  'upkeep',
]

export const METRICS = {
  // A window's way.
  preprocessMs: {
    name: 'PreprocessMs',
    unit: Milliseconds,
    meaning: 'Signal chain and quality gate, a window',
    from: ['preprocess'],
  },
  inferenceMs: {
    name: 'InferenceMs',
    unit: Milliseconds,
    meaning: 'Encoder and both heads, a window',
    from: ['screen'],
  },
  windowsScreened: {
    name: 'WindowsScreened',
    unit: Count,
    meaning: 'Windows whose findings were stored for the first time',
    from: ['screen'],
  },
  windowsRefused: {
    name: 'WindowsRefused',
    unit: Count,
    meaning: 'Windows that the quality gate refused, stored for the first time',
    from: ['screen'],
  },
  refusals: {
    name: 'Refusals',
    unit: Count,
    meaning: 'Refused windows, by the most frequent reason of their leads',
    from: ['screen'],
    by: 'reason',
  },
  windowsUnfamiliar: {
    name: 'WindowsUnfamiliar',
    unit: Count,
    meaning: 'Screened windows that do not look like the ECGs which the model knows',
    from: ['screen'],
  },
  scoreShift: {
    name: 'ScoreShift',
    unit: NoUnit,
    meaning: 'Population stability index of the scores of some 500 people against the reference, by condition',
    from: ['screen'],
    by: 'condition',
  },
  qualityShift: {
    name: 'QualityShift',
    unit: NoUnit,
    meaning: 'Population stability index of the quality verdicts of the same people',
    from: ['screen'],
  },
  messagesFailed: {
    name: 'MessagesFailed',
    unit: Count,
    meaning: 'Tries of messages that failed, what we wait for being away not counted: an upgrade is judged by these',
    from: QUEUES,
  },
  messagesDeadLettered: {
    name: 'MessagesDeadLettered',
    unit: Count,
    meaning: 'Messages that were given up, by coded reason',
    from: QUEUES,
    by: 'reason',
  },
  // The EHR.
  reportsWritten: {
    name: 'ReportsWritten',
    unit: Count,
    meaning: 'Reports that were written into the EHR',
    from: ['report'],
  },
  reportsUnidentified: {
    name: 'ReportsUnidentified',
    unit: Count,
    meaning: 'Results and sessions that wait for a patient',
    from: ['report'],
  },
  ehrEcgs: { name: 'EhrEcgs', unit: Count, meaning: 'ECGs that came from the EHR', from: ['fhir-intake'] },
  ehrSkipped: {
    name: 'EhrSkipped',
    unit: Count,
    meaning: 'Resources of the EHR that were left alone, by reason',
    from: ['fhir-intake'],
    by: 'reason',
  },
  ehrPolls: { name: 'EhrPolls', unit: Count, meaning: 'Looks for changes that went well', from: ['fhir-intake'] },
  ehrPollsFailed: {
    name: 'EhrPollsFailed',
    unit: Count,
    meaning: 'Looks for changes that failed; the next one makes up for it',
    from: ['fhir-intake'],
  },
  // Cines.
  cinesDispatched: {
    name: 'CinesDispatched',
    unit: Count,
    meaning: 'Jobs of CMR synthesis that were handed to a machine',
    from: ['synthesis-dispatch'],
  },
  cineWorkersLost: {
    name: 'CineWorkersLost',
    unit: Count,
    meaning: 'Jobs of CMR synthesis whose machine was gone without a word',
    from: ['synthesis-dispatch'],
  },
  cineWaitS: {
    name: 'CineWaitS',
    unit: Seconds,
    meaning: 'From a job that was handed to AWS Batch to a machine that draws it',
    from: ['synthesize'],
  },
  cineS: { name: 'CineS', unit: Seconds, meaning: 'To draw, measure and store one job', from: ['synthesize'] },
  cinesFailed: {
    name: 'CinesFailed',
    unit: Count,
    meaning: 'Jobs that a machine took and could not draw',
    from: ['synthesize'],
  },
  cineFailures: {
    name: 'CineFailures',
    unit: Count,
    meaning: 'The same, by coded reason',
    from: ['synthesize'],
    by: 'reason',
  },
  // The API.
  apiRequests: {
    name: 'ApiRequests',
    unit: Count,
    meaning: 'Answers of the API, by class of status (2xx …)',
    from: ['api'],
    by: 'status',
  },
  apiRefusals: {
    name: 'ApiRefusals',
    unit: Count,
    meaning: 'Requests that the API refused, by coded reason',
    from: ['api'],
    by: 'reason',
  },
  apiLimits: {
    name: 'ApiLimits',
    unit: Count,
    meaning: 'Requests of callers that had their share, or whose tenant had, by limit',
    from: ['api'],
    by: 'limit',
  },
  // The adapter: once a minute each, by the name of its session at the broker.
  brokerConnected: {
    name: 'BrokerConnected',
    unit: Count,
    meaning: 'Connections to the broker that are subscribed',
    from: ['streams-mqtt'],
    by: 'adapter',
  },
  framesReceived: {
    name: 'FramesReceived',
    unit: Count,
    meaning: 'Frames and windows that came, refused ones among them',
    from: ['streams-mqtt'],
    by: 'adapter',
  },
  framesRefused: {
    name: 'FramesRefused',
    unit: Count,
    meaning: 'Frames and windows that were refused and told to their device',
    from: ['streams-mqtt'],
    by: 'adapter',
  },
  frameRefusals: {
    name: 'FrameRefusals',
    unit: Count,
    meaning: 'The same, by coded reason',
    from: ['streams-mqtt'],
    by: 'reason',
  },
  framesLimited: {
    name: 'FramesLimited',
    unit: Count,
    meaning: 'Frames and windows that were refused because a device or tenant was beyond a limit, by limit',
    from: ['streams-mqtt'],
    by: 'limit',
  },
  windowsSent: {
    name: 'WindowsSent',
    unit: Count,
    meaning: 'Windows that SQS has taken from the adapter',
    from: ['streams-mqtt'],
    by: 'adapter',
  },
  liveSessions: {
    name: 'LiveSessions',
    unit: Count,
    meaning: 'Sessions of devices in memory',
    from: ['streams-mqtt'],
    by: 'adapter',
  },
  journalBytes: {
    name: 'JournalBytes',
    unit: Bytes,
    meaning: 'Bytes of the journal in use',
    from: ['streams-mqtt'],
    by: 'adapter',
  },
  journalAgeS: {
    name: 'JournalAgeS',
    unit: Seconds,
    meaning: 'How long the oldest window has waited for SQS; 0 when none waits',
    from: ['streams-mqtt'],
    by: 'adapter',
  },
} as const satisfies Readonly<Record<string, Metric>>

type Known = (typeof METRICS)[keyof typeof METRICS]
type Parted = Extract<Known, { by: string }>
type Whole = Exclude<Known, Parted>

/** Metrics of one service, written to its log in CloudWatch's embedded metric format. */
export class ServiceMetrics {
  readonly #service: Service
  readonly #kept: Metrics

  constructor(service: Service) {
    this.#service = service
    this.#kept = metricsOf(service)
  }

  /** Keeps a value for `publish`: whatever is kept until then shares one document. */
  add({ name, unit }: Whole, value = 1): void {
    this.#kept.addMetric(name, unit, short(value))
  }

  /**
   * Writes values at once, in a document of their own, under one more dimension.
   * @example metrics.addBy('reason', 'noise', [METRICS.refusals, 1])
   */
  addBy<By extends Parted['by']>(by: By, part: string, ...values: readonly PartedValue<By>[]): void {
    const metrics = metricsOf(this.#service).addDimension(by, part)
    for (const [{ name, unit }, value] of values) metrics.addMetric(name, unit, short(value))
    metrics.publishStoredMetrics()
  }

  publish(): void {
    if (this.#kept.hasStoredMetrics()) this.#kept.publishStoredMetrics()
  }
}

type PartedValue<By> = readonly [metric: Extract<Parted, { by: By }>, value: number]

const metricsOf = (serviceName: Service) => new Metrics({ namespace: METRICS_NAMESPACE, serviceName })

/** The log is paid for by the byte. */
const short = (value: number) => Math.round(value * 1000) / 1000

export function createMetrics(service: Service): ServiceMetrics {
  return new ServiceMetrics(service)
}
