/**
 * Lambda `synthesis-dispatch`: SQS `synthesis` → AWS Batch.
 * @module
 */
import { BatchClient, SubmitJobCommand, TerminateJobCommand } from '@aws-sdk/client-batch'
import { dynamo, env, sqs } from '../../shared/aws/clients.ts'
import { sqsHandler } from '../../shared/aws/sqs-handler.ts'
import { SynthesisMessage } from '../../shared/messages.ts'
import { createLogger } from '../../shared/observe/logging.ts'
import { createMetrics, METRICS } from '../../shared/observe/metrics.ts'
import { traceHeaders } from '../../shared/observe/tracing.ts'
import { CmrJobStore } from '../../shared/store/cmr-jobs.ts'
import { type BatchQueue, Dispatcher } from './dispatcher.ts'

const logger = createLogger('synthesis-dispatch')
const metrics = createMetrics('synthesis-dispatch')
const queueUrl = env('SYNTHESIS_QUEUE_URL')
const jobQueue = env('BATCH_JOB_QUEUE')
const jobDefinition = env('BATCH_JOB_DEFINITION')
const client = new BatchClient({})

const batch: BatchQueue = {
  async submit({ tenant, jobId }) {
    const { jobId: batchJobId } = await client.send(
      new SubmitJobCommand({
        jobName: `cmr-${jobId}`,
        jobQueue,
        jobDefinition,
        // Included in Batch's events, which report machines that disappeared.
        parameters: { tenant, jobId },
        containerOverrides: {
          environment: [
            { name: 'TENANT', value: tenant },
            { name: 'JOB_ID', value: jobId },
            ...Object.values(traceHeaders()).map((value) => ({ name: 'TRACEPARENT', value })),
          ],
        },
      }),
    )
    return batchJobId!
  },
  async terminate(batchJobId) {
    await client.send(new TerminateJobCommand({ jobId: batchJobId, reason: 'cancelled' }))
  },
}

const dispatcher = new Dispatcher({
  jobs: new CmrJobStore(dynamo(), env('RESULTS_TABLE')),
  batch,
  now: () => new Date(),
})

/** Longer than the lease of a dispatch, so that the next attempt takes over an interrupted one. */
const RETRY = { queueUrl, attempts: 12, firstDelayS: 150, longestDelayS: 600 }

export const handler = sqsHandler(
  SynthesisMessage,
  {
    sqs: sqs(),
    deadLetterQueueUrl: env('SYNTHESIS_DLQ_URL'),
    logger,
    metrics,
    audit: { action: 'cmr.dispatch', of: ({ tenant, jobId }) => ({ tenant, jobId }) },
    retry: RETRY,
  },
  async (message) => {
    const outcome = await dispatcher.dispatch(message)
    if (outcome === 'submitted') metrics.add(METRICS.cinesDispatched)
    if (outcome === 'failed') metrics.add(METRICS.cineWorkersLost)
  },
)
