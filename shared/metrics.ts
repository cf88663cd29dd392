/**
 * Every metric's name, in one place for the code that emits it and the alarm that watches it.
 * @module
 */
import { Metrics } from '@aws-lambda-powertools/metrics'

export const METRICS_NAMESPACE = 'CardiacNets'

export const METRICS = {
  /** Windows whose result was stored for the first time. */
  windowsScreened: 'WindowsScreened',
  /** Windows that the quality gate refused. */
  windowsRefused: 'WindowsRefused',
  /** Messages that were given up, by coded reason. */
  messagesDeadLettered: 'MessagesDeadLettered',
  /** Reports that were written into the EHR. */
  reportsWritten: 'ReportsWritten',
  /** Results and sessions that wait for a patient. */
  reportsUnidentified: 'ReportsUnidentified',
  /** Signal chain and quality gate, milliseconds a window. */
  preprocessMs: 'PreprocessMs',
  /** Encoder and both heads, milliseconds a window. */
  inferenceMs: 'InferenceMs',
  /** ECGs that came from the EHR. */
  ehrEcgs: 'EhrEcgs',
  /** Resources of the EHR that were left alone, by reason. */
  ehrSkipped: 'EhrSkipped',
  /** Looks for changes that failed; the next one makes up for it. */
  ehrPollsFailed: 'EhrPollsFailed',
  /** Jobs of CMR synthesis that were handed to a machine. */
  cinesDispatched: 'CinesDispatched',
  /** Jobs of CMR synthesis whose machine was gone without a word. */
  cineWorkersLost: 'CineWorkersLost',
} as const

/** Metrics of one service, written to its log in CloudWatch's embedded metric format. */
export function createMetrics(serviceName: string): Metrics {
  return new Metrics({ namespace: METRICS_NAMESPACE, serviceName })
}
