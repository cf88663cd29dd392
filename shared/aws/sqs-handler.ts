/**
 * A Lambda handler for an SQS queue. Each message is parsed and handled on its own. What happens next depends on the outcome:
 * - success → the event source mapping deletes the message
 * - a permanent coded error → the message goes to the DLQ with its `reason`, and is then deleted (redrive alone cannot add a reason)
 * - any other error → a batch item failure: SQS delivers the message again, and its redrive policy moves it to the DLQ in the end. With
 *   `retry`, the pauses between attempts double, and after the last attempt the message goes to the DLQ with its reason as well
 *
 * Each message is handled within the trace that it carries (`shared/observe/tracing.ts`).
 * @module
 */
import { BatchProcessor, EventType, processPartialResponse } from '@aws-lambda-powertools/batch'
import { ChangeMessageVisibilityCommand, type SQSClient } from '@aws-sdk/client-sqs'
import type { Context, SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda'
import type * as z from 'zod'
import { type CodedError, toCodedError } from '../errors.ts'
import { parseMessage } from '../messages.ts'
import { type AuditOf, noteAudit } from '../observe/audit.ts'
import type { AuditAction, AuditOutcome } from '../observe/audit-actions.ts'
import { describeError, type Log } from '../observe/logging.ts'
import { METRICS, type ServiceMetrics } from '../observe/metrics.ts'
import { childOf, inTrace, TRACEPARENT } from '../observe/tracing.ts'
import { sendMessage } from './queues.ts'

/** How handling a message appears in the audit trail. */
interface AuditRule<T> {
  readonly action: AuditAction | ((message: T) => AuditAction)
  /** @returns `undefined` for a message that concerns no ECG */
  readonly of: (message: T) => AuditOf | undefined
}

interface SqsHandlerOptions<T> {
  readonly sqs: SQSClient
  readonly deadLetterQueueUrl: string
  readonly logger: Log
  readonly metrics: ServiceMetrics
  readonly audit: AuditRule<T>
  readonly retry?: RetryOptions
}

/** Retries for queues whose target may be unavailable for hours. The queue's own `maxReceiveCount` must be higher than `attempts`. */
export interface RetryOptions {
  readonly queueUrl: string
  readonly attempts: number
  /** Delay after the first failure; it doubles with each further one. The actual delay is random, between half of it and all of it. */
  readonly firstDelayS: number
  readonly longestDelayS: number
}

/**
 * Makes the Lambda handler of a queue.
 * @param handle calls `touches` to name the ECG when the message does not
 * @example
 * export const handler = sqsHandler(ScreeningMessage, { sqs: sqs(), deadLetterQueueUrl, logger, metrics, audit }, async (message) => { … })
 */
export function sqsHandler<T>(
  type: z.ZodType<T>,
  { sqs, deadLetterQueueUrl, logger, metrics, audit, retry }: SqsHandlerOptions<T>,
  handle: (message: T, touches: (found: AuditOf) => void) => Promise<void>,
): (event: SQSEvent, context: Context) => Promise<SQSBatchResponse> {
  const processor = new BatchProcessor(EventType.SQS)

  const handleRecord = (record: SQSRecord) =>
    inTrace(childOf(record.messageAttributes[TRACEPARENT]?.stringValue), () => handleTraced(record))

  const handleTraced = async (record: SQSRecord) => {
    try {
      await audited(parseMessage(type, record.body))
    } catch (thrown) {
      const error = toCodedError(thrown)
      logger.error('message failed', {
        messageId: record.messageId,
        permanent: error.kind.permanent,
        ...describeError(thrown),
      })
      if (error.kind.permanent || error.code === 'internal') metrics.add(METRICS.messagesFailed)
      const attempt = Number(record.attributes.ApproximateReceiveCount)
      if (error.kind.permanent || attempt >= (retry?.attempts ?? Number.POSITIVE_INFINITY)) return giveUp(record, error)
      if (retry !== undefined) await putOff(record, delayS(retry, attempt), retry.queueUrl)
      throw error
    }
  }

  const audited = async (message: T) => {
    const note = (outcome: AuditOutcome) => {
      const action = typeof audit.action === 'function' ? audit.action(message) : audit.action
      if (of !== undefined) noteAudit(logger, action, outcome, of)
    }
    let of = audit.of(message)
    try {
      await handle(message, (found) => {
        of = found
      })
    } catch (thrown) {
      note(toCodedError(thrown).code)
      throw thrown
    }
    note('done')
  }

  const putOff = async ({ receiptHandle }: SQSRecord, seconds: number, queueUrl: string) => {
    const command = new ChangeMessageVisibilityCommand({
      QueueUrl: queueUrl,
      ReceiptHandle: receiptHandle,
      VisibilityTimeout: seconds,
    })
    // If this fails, the message comes again after the queue's own visibility timeout.
    await sqs.send(command).catch((thrown: unknown) => logger.warn('visibility not changed', describeError(thrown)))
  }

  const giveUp = async (record: SQSRecord, error: CodedError) => {
    const { field } = error.detail
    await sendMessage(sqs, deadLetterQueueUrl, record.body, {
      reason: error.code,
      ...(field === undefined ? {} : { field: String(field) }),
    })
    metrics.addBy('reason', error.code, [METRICS.messagesDeadLettered, 1])
  }

  return async (event, context) => {
    try {
      return await processPartialResponse(event, handleRecord, processor, { context, throwOnFullBatchFailure: false })
    } finally {
      metrics.publish()
    }
  }
}

/** Delay before the next attempt, s. The jitter keeps messages that failed together from returning together. */
function delayS({ firstDelayS, longestDelayS }: RetryOptions, attempt: number): number {
  const most = Math.min(firstDelayS * 2 ** (attempt - 1), longestDelayS)
  return Math.ceil(most * (0.5 + Math.random() / 2))
}
