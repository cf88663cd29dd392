/**
 * Lambda `upkeep`: SQS `upkeep` → what is left to do after a request was answered.
 * @module
 */

import { dynamo, env, s3, sqs } from '../../shared/aws/clients.ts'
import { sendMessage } from '../../shared/aws/queues.ts'
import { sqsHandler } from '../../shared/aws/sqs-handler.ts'
import { UpkeepMessage } from '../../shared/messages.ts'
import { createLogger } from '../../shared/observe/logging.ts'
import { createMetrics } from '../../shared/observe/metrics.ts'
import { AssociationStore } from '../../shared/store/associations.ts'
import { CmrJobStore } from '../../shared/store/cmr-jobs.ts'
import { ResultStore } from '../../shared/store/results.ts'
import { Upkeep } from './upkeep.ts'

const table = env('RESULTS_TABLE')
const queueUrl = env('UPKEEP_QUEUE_URL')
const reportQueueUrl = env('RESULTS_FHIR_QUEUE_URL')
const associations = new AssociationStore(dynamo(), table)

const upkeep = new Upkeep({
  associations,
  deletion: {
    results: new ResultStore(dynamo(), table),
    associations,
    jobs: new CmrJobStore(dynamo(), table),
    s3: s3(),
    bucket: env('RAW_BUCKET'),
    sqs: sqs(),
    synthesisQueueUrl: process.env.SYNTHESIS_QUEUE_URL,
  },
  report: (message) => sendMessage(sqs(), reportQueueUrl, JSON.stringify(message), { origin: message.origin.kind }),
  goOn: (message) => sendMessage(sqs(), queueUrl, JSON.stringify(message)),
})

export const handler = sqsHandler(
  UpkeepMessage,
  {
    sqs: sqs(),
    deadLetterQueueUrl: env('UPKEEP_DLQ_URL'),
    logger: createLogger('upkeep'),
    metrics: createMetrics('upkeep'),
    audit: {
      action: ({ kind }) => (kind === 'deletion' ? 'ecg.delete' : 'association.write'),
      of: (message) =>
        message.kind === 'deletion'
          ? { tenant: message.tenant, ecgId: message.ecgId }
          : { tenant: message.tenant, device: message.device },
    },
  },
  (message) => upkeep.handle(message),
)
