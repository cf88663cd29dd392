/**
 * All metrics in one place, for the code that emits them, the alarms that watch them and the dashboard that shows them.
 *
 * A metric has the dimension `service` (its emitter); a metric with `by` has a second one. No dimension ever names a tenant, a device or a
 * person: dimension values are public, and each value costs as much as a metric.
 * @module
 */
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics'
import type { MetricUnit as Unit } from '@aws-lambda-powertools/metrics/types'

export const METRICS_NAMESPACE = 'CardiacNets'

/** Emitters, by the names of their functions, processes and logs. */
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
  /** Name of the second dimension. */
  readonly by?: string
}

const { Bytes, Count, Milliseconds, NoUnit, Seconds } = MetricUnit
/** Functions that handle messages of a queue. */
export const QUEUE_HANDLERS: readonly Service[] = [
  'fhir-intake',
  'preprocess',
  'publish',
  'report',
  'screen',
  'synthesis-dispatch',
  'upkeep',
]

export const METRICS = {
  // Processing of a window.
  preprocessMs: {
    name: 'PreprocessMs',
    unit: Milliseconds,
    meaning: 'Signal chain and quality gate, per window',
    from: ['preprocess'],
  },
  inferenceMs: {
    name: 'InferenceMs',
    unit: Milliseconds,
    meaning: 'Encoder and both heads, per window',
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
    meaning: "Screened windows that do not resemble the model's training ECGs",
    from: ['screen'],
  },
  scoreShift: {
    name: 'ScoreShift',
    unit: NoUnit,
    meaning: 'Population stability index of the scores of about 500 people against the reference',
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
    meaning: 'Failed attempts, without those where a dependency was unavailable. Canaries are judged by it',
    from: QUEUE_HANDLERS,
  },
  messagesDeadLettered: {
    name: 'MessagesDeadLettered',
    unit: Count,
    meaning: 'Messages moved to a DLQ, by coded reason',
    from: QUEUE_HANDLERS,
    by: 'reason',
  },
  // The EHR.
  reportsWritten: {
    name: 'ReportsWritten',
    unit: Count,
    meaning: 'Reports written to the EHR',
    from: ['report'],
  },
  reportsUnidentified: {
    name: 'ReportsUnidentified',
    unit: Count,
    meaning: 'Results and sessions that wait for a patient',
    from: ['report'],
  },
  ehrEcgs: { name: 'EhrEcgs', unit: Count, meaning: 'ECGs received from the EHR', from: ['fhir-intake'] },
  ehrSkipped: {
    name: 'EhrSkipped',
    unit: Count,
    meaning: 'EHR resources that were skipped, by reason',
    from: ['fhir-intake'],
    by: 'reason',
  },
  ehrPolls: { name: 'EhrPolls', unit: Count, meaning: 'Successful polls for changes', from: ['fhir-intake'] },
  ehrPollsFailed: {
    name: 'EhrPollsFailed',
    unit: Count,
    meaning: 'Failed polls for changes; the next poll catches up',
    from: ['fhir-intake'],
  },
  // Cines.
  cinesDispatched: {
    name: 'CinesDispatched',
    unit: Count,
    meaning: 'Synthesis jobs handed to a machine',
    from: ['synthesis-dispatch'],
  },
  cineWorkersLost: {
    name: 'CineWorkersLost',
    unit: Count,
    meaning: 'Synthesis jobs whose worker disappeared',
    from: ['synthesis-dispatch'],
  },
  cineWaitS: {
    name: 'CineWaitS',
    unit: Seconds,
    meaning: 'From submission to AWS Batch until a machine draws the job',
    from: ['synthesize'],
  },
  cineS: { name: 'CineS', unit: Seconds, meaning: 'Time to draw, measure and store one job', from: ['synthesize'] },
  cinesFailed: {
    name: 'CinesFailed',
    unit: Count,
    meaning: 'Synthesis jobs that a machine started and could not draw',
    from: ['synthesize'],
  },
  cineFailures: {
    name: 'CineFailures',
    unit: Count,
    meaning: 'CinesFailed, by coded reason',
    from: ['synthesize'],
    by: 'reason',
  },
  // The API.
  apiRequests: {
    name: 'ApiRequests',
    unit: Count,
    meaning: 'API responses, by status class (2xx, …)',
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
    meaning: 'Requests beyond a limit of the caller or tenant, by limit',
    from: ['api'],
    by: 'limit',
  },
  // The adapter: each once a minute, by the name of its session at the broker.
  brokerConnected: {
    name: 'BrokerConnected',
    unit: Count,
    meaning: 'Broker connections that are subscribed',
    from: ['streams-mqtt'],
    by: 'adapter',
  },
  framesReceived: {
    name: 'FramesReceived',
    unit: Count,
    meaning: 'Frames and windows received, including refused ones',
    from: ['streams-mqtt'],
    by: 'adapter',
  },
  framesRefused: {
    name: 'FramesRefused',
    unit: Count,
    meaning: 'Frames and windows refused and reported to their device',
    from: ['streams-mqtt'],
    by: 'adapter',
  },
  frameRefusals: {
    name: 'FrameRefusals',
    unit: Count,
    meaning: 'FramesRefused, by coded reason',
    from: ['streams-mqtt'],
    by: 'reason',
  },
  framesLimited: {
    name: 'FramesLimited',
    unit: Count,
    meaning: 'Frames and windows refused because a device or tenant was beyond a limit, by limit',
    from: ['streams-mqtt'],
    by: 'limit',
  },
  windowsSent: {
    name: 'WindowsSent',
    unit: Count,
    meaning: 'Windows that SQS accepted from the adapter',
    from: ['streams-mqtt'],
    by: 'adapter',
  },
  liveSessions: {
    name: 'LiveSessions',
    unit: Count,
    meaning: 'Device sessions in memory',
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
    meaning: 'Age of the oldest window that waits for SQS; 0 when none waits',
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

  /** Adds a value to the document that the next `publish` writes. */
  add({ name, unit }: Whole, value = 1): void {
    this.#kept.addMetric(name, unit, short(value))
  }

  /**
   * Writes values immediately, in a document of their own, with one more dimension.
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

/** Rounds to three decimals, because log volume is billed. */
const short = (value: number) => Math.round(value * 1000) / 1000

export function createMetrics(service: Service): ServiceMetrics {
  return new ServiceMetrics(service)
}
