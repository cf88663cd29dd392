/**
 * A Lambda on an SQS queue: each message is parsed, handled and told apart.
 * - done → deleted by the event source mapping
 * - a permanent coded error → sent to the DLQ with its `reason`, then deleted (redrive alone cannot add a reason)
 * - anything else → a batch item failure: it comes again, and redrive moves it in the end
 * @module
 */
import { BatchProcessor, EventType, processPartialResponse } from '@aws-lambda-powertools/batch'
import type { Logger } from '@aws-lambda-powertools/logger'
import type { Metrics } from '@aws-lambda-powertools/metrics'
import { MetricUnit } from '@aws-lambda-powertools/metrics'
import type { SQSClient } from '@aws-sdk/client-sqs'
import type { Context, SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda'
import type * as z from 'zod'
import { type CodedError, toCodedError } from '../errors.ts'
import { describeError } from '../logging.ts'
import { parseMessage } from '../messages.ts'
import { METRICS } from '../metrics.ts'
import { sendMessage } from './queues.ts'

interface SqsHandlerOptions {
  readonly sqs: SQSClient
  readonly deadLetterQueueUrl: string
  readonly logger: Logger
  readonly metrics: Metrics
}

/**
 * @example
 * export const handler = sqsHandler(ScreeningMessage, { sqs: sqs(), deadLetterQueueUrl, logger, metrics }, async (message) => { … })
 */
export function sqsHandler<T>(
  type: z.ZodType<T>,
  { sqs, deadLetterQueueUrl, logger, metrics }: SqsHandlerOptions,
  handle: (message: T) => Promise<void>,
): (event: SQSEvent, context: Context) => Promise<SQSBatchResponse> {
  const processor = new BatchProcessor(EventType.SQS)

  const handleRecord = async (record: SQSRecord) => {
    try {
      await handle(parseMessage(type, record.body))
    } catch (thrown) {
      const error = toCodedError(thrown)
      logger.error('message failed', {
        messageId: record.messageId,
        permanent: error.kind.permanent,
        ...describeError(thrown),
      })
      if (!error.kind.permanent) throw error
      await giveUp(record, error)
    }
  }

  const giveUp = async (record: SQSRecord, error: CodedError) => {
    const { field } = error.detail
    await sendMessage(sqs, deadLetterQueueUrl, record.body, {
      reason: error.code,
      ...(field === undefined ? {} : { field: String(field) }),
    })
    metrics
      .singleMetric()
      .addDimension('reason', error.code)
      .addMetric(METRICS.messagesDeadLettered, MetricUnit.Count, 1)
  }

  return async (event, context) => {
    try {
      return await processPartialResponse(event, handleRecord, processor, { context, throwOnFullBatchFailure: false })
    } finally {
      if (metrics.hasStoredMetrics()) metrics.publishStoredMetrics()
    }
  }
}
