/**
 * EventBridge schedules: a repeated message to a queue. The first is sent after one interval, as in AWS.
 * @module
 */
import type { SQSClient } from '@aws-sdk/client-sqs'
import { sendMessage } from '../../../shared/aws/queues.ts'
import { pause } from '../../../shared/pause.ts'

export interface Schedule {
  readonly everyMs: number
  readonly queueUrl: string
  readonly body: string
}

const UNIT_MS: Readonly<Record<string, number>> = { minute: 60_000, hour: 3_600_000, day: 86_400_000 }

/**
 * Milliseconds of `rate(5 minutes)`.
 * @throws Error for any other expression
 */
export function rateMs(expression: string): number {
  const [, count, unit = ''] = /^rate\((\d+) (minute|hour|day)s?\)$/.exec(expression) ?? []
  if (count === undefined) throw new Error(`the local stack knows schedules of a rate only, not ${expression}`)
  return Number(count) * UNIT_MS[unit]!
}

/** Runs until it is stopped. A failed send is logged, and the next one makes up for it. */
export function startSchedule(
  sqs: SQSClient,
  { everyMs, queueUrl, body }: Schedule,
  log: (line: string) => void,
): { stop(): Promise<void> } {
  const stopping = new AbortController()
  const run = async () => {
    for (;;) {
      await pause(everyMs, stopping.signal)
      if (stopping.signal.aborted) return
      await sendMessage(sqs, queueUrl, body).catch((error: unknown) => {
        log(`a scheduled message was not sent: ${error instanceof Error ? error.name : 'unknown'}`)
      })
    }
  }
  const ended = run()
  return {
    stop: () => {
      stopping.abort()
      return ended
    },
  }
}
