/**
 * All alarms: threshold, reason, and where the operator's instructions are. The stack creates them, and the console shows them.
 * @module
 */

/** Has one section per alarm, with the alarm's name. */
export const RUNBOOK = 'docs/operator-runbook.md'

export interface Threshold {
  readonly threshold: number
  readonly minutes: number
  /** Number of consecutive periods above the threshold; 1 by default. */
  readonly periods?: number
  readonly why: string
}

/** All thresholds with their reasons. Ages are in seconds, rates in percent. */
export const THRESHOLDS = {
  'queue-age': { threshold: 300, minutes: 1, periods: 5, why: 'seconds; for a queue without its own limit' },
  'dlq-depth': { threshold: 1, minutes: 5, why: 'a dead-lettered message is deleted after 14 days' },
  'function-errors': {
    threshold: 3,
    minutes: 5,
    why: 'a single crash is retried; three failures in five minutes are not coincidence',
  },
  'function-duration': {
    threshold: 80,
    minutes: 5,
    periods: 3,
    why: 'percent of the timeout, at p99; beyond the timeout, work is lost and repeated',
  },
  'refusal-rate': {
    threshold: 30,
    minutes: 15,
    periods: 2,
    why: 'none of 2,173 resting ECGs (PTB-XL fold 8) is refused; wearables are refused while they are being put on',
  },
  'unfamiliar-rate': {
    threshold: 30,
    minutes: 15,
    periods: 2,
    why: 'the model card flags 0.2% of ECGs like the training data, and 4% of the most foreign data set tried',
  },
  'score-drift': {
    threshold: 0.25,
    minutes: 60,
    why: 'by convention, a PSI of .25 is a large change; 500 people like the reference give .018',
  },
  'quality-drift': {
    threshold: 0.25,
    minutes: 60,
    why: 'a PSI of .25 is about one refusal in ten, where the reference has none',
  },
  'gpu-wait': {
    threshold: 1800,
    minutes: 15,
    why: 'seconds; a spot machine and its image normally take a few minutes',
  },
  'cines-failing': {
    threshold: 3,
    minutes: 60,
    why: 'one failure may be a bad ECG; three point to the machine or the bundle',
  },
  'adapter-silent': {
    threshold: 1,
    minutes: 1,
    periods: 5,
    why: 'all expected connections; a restart takes less than a minute, and the broker queues messages meanwhile',
  },
  'adapter-journal': {
    threshold: 120,
    minutes: 1,
    periods: 5,
    why: 'seconds; a window normally reaches SQS within one second',
  },
  'device-refusals': {
    threshold: 10,
    minutes: 15,
    periods: 2,
    why: 'if one frame in ten is refused, the adapter does not understand this device make or version',
  },
  'ehr-polls-failing': {
    threshold: 1,
    minutes: 30,
    why: 'successful polls out of six; after an EHR outage, the next poll catches up',
  },
  'api-errors': { threshold: 5, minutes: 5, why: 'responses with 5xx; callers retry, and five are not coincidence' },
  cost: {
    threshold: 125,
    minutes: 24 * 60,
    why: 'percent of the daily cost of the expected devices; above it, a device loops or there are more devices than planned',
  },
} as const satisfies Readonly<Record<string, Threshold>>

export type AlarmId = keyof typeof THRESHOLDS

/** With fewer windows or frames in a period, a share is not informative. */
export const LEAST = 50
