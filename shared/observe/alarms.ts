/**
 * Every alarm: its threshold, the reason for it, and where an operator reads on. The stack makes them, and the console shows them.
 * @module
 */

/** Where the sections are that the alarms are called after. */
export const RUNBOOK = 'docs/operator-runbook.md'

export interface Threshold {
  readonly threshold: number
  readonly minutes: number
  /** How many of these in a row; 1 unless said otherwise. */
  readonly periods?: number
  readonly why: string
}

/** Every threshold and its reason. Ages are in seconds, rates in percent. */
export const THRESHOLDS = {
  'queue-age': { threshold: 300, minutes: 1, periods: 5, why: 'a queue of which nothing more is known' },
  'dlq-depth': { threshold: 1, minutes: 5, why: 'what nobody looks at is gone after 14 days' },
  'function-errors': {
    threshold: 3,
    minutes: 5,
    why: 'what crashed once is tried again; three times in five minutes is no chance',
  },
  'function-duration': {
    threshold: 80,
    minutes: 5,
    periods: 3,
    why: 'percent of the timeout, which the slowest of a hundred calls takes: beyond it, work is lost and done again',
  },
  'refusal-rate': {
    threshold: 30,
    minutes: 15,
    periods: 2,
    why: 'of 2,173 resting ECGs (PTB-XL fold 8) none is refused; of wearables, those while they are put on',
  },
  'unfamiliar-rate': {
    threshold: 30,
    minutes: 15,
    periods: 2,
    why: 'the card flags 1.4% of its own kind and 14% of the most foreign set that was tried',
  },
  'score-drift': {
    threshold: 0.25,
    minutes: 60,
    why: 'by convention much has changed from .25 on; of 500 people like the reference it is .018',
  },
  'quality-drift': {
    threshold: 0.25,
    minutes: 60,
    why: 'about one in ten refused, where in the reference none is',
  },
  'gpu-wait': { threshold: 1800, minutes: 15, why: 'a spot machine and its image take a few minutes' },
  'cines-failing': { threshold: 3, minutes: 60, why: 'one may be a bad ECG, three are the machine or the bundle' },
  'adapter-silent': {
    threshold: 1,
    minutes: 1,
    periods: 5,
    why: 'all connections that it should have; a restart takes less than a minute, and the broker keeps what comes meanwhile',
  },
  'adapter-journal': {
    threshold: 120,
    minutes: 1,
    periods: 5,
    why: 'a window is in SQS within a second; nothing is lost yet, but findings come late',
  },
  'device-refusals': {
    threshold: 10,
    minutes: 15,
    periods: 2,
    why: 'a device of which one frame in ten is refused is of a make or version that we do not understand',
  },
  'ehr-polls-failing': {
    threshold: 1,
    minutes: 30,
    why: 'looks that went well, of six: after an outage of the EHR the next one makes up for those that failed',
  },
  'api-errors': { threshold: 5, minutes: 5, why: 'answers of 5xx; a caller tries again, and five are no chance' },
  cost: {
    threshold: 125,
    minutes: 24 * 60,
    why: 'percent of what the devices that the site expects cost a day: a device in a loop, or more devices than planned for',
  },
} as const satisfies Readonly<Record<string, Threshold>>

export type AlarmId = keyof typeof THRESHOLDS

/** Below so many windows or frames in a period a share says nothing. */
export const LEAST = 50
