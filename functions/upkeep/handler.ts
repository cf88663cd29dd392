/**
 * Lambda `upkeep`: SQS `upkeep` → follow-up work after a request was answered.
 * @module
 */

import { dynamo, env, s3, sqs } from '../../shared/aws/clients.ts'
import { sendMessage } from '../../shared/aws/queues.ts'
import { sqsHandler } from '../../shared/aws/sqs-handler.ts'
import { readBundle } from '../../shared/inference/bundle.ts'
import { Screener } from '../../shared/inference/screener.ts'
import { UpkeepMessage } from '../../shared/messages.ts'
import { createLogger } from '../../shared/observe/logging.ts'
import { createMetrics } from '../../shared/observe/metrics.ts'
import { CARDIACNETS_V1 } from '../../shared/signal/profile.ts'
import { AssociationStore } from '../../shared/store/associations.ts'
import { AttributionStore } from '../../shared/store/attributions.ts'
import { CmrJobStore } from '../../shared/store/cmr-jobs.ts'
import { ResultStore } from '../../shared/store/results.ts'
import { explain } from './explain.ts'
import { Upkeep } from './upkeep.ts'

const table = env('RESULTS_TABLE')
const queueUrl = env('UPKEEP_QUEUE_URL')
const reportQueueUrl = env('RESULTS_FHIR_QUEUE_URL')
const deviceQueueUrl = env('RESULTS_MQTT_QUEUE_URL')
const bucket = env('RAW_BUCKET')
const { ECG_DAYS } = process.env
const results = new ResultStore(dynamo(), table)
const associations = new AssociationStore(dynamo(), table)
const attributions = new AttributionStore(dynamo(), table, results, ECG_DAYS ? Number(ECG_DAYS) : undefined)

/** Loaded with the first attribution request. A failed load is tried again. */
let loading: Promise<Screener> | undefined
const screener = () =>
  (loading ??= readBundle(env('MODEL_DIR'), CARDIACNETS_V1.name)
    .then((bundle) => Screener.load(bundle))
    .catch((error: unknown) => {
      loading = undefined
      throw error
    }))

const ACTIONS = {
  deletion: 'ecg.delete',
  association: 'association.write',
  attribution: 'attribution.write',
  result: 'result.publish',
} as const

const upkeep = new Upkeep({
  associations,
  deletion: {
    results,
    associations,
    jobs: new CmrJobStore(dynamo(), table),
    s3: s3(),
    bucket,
    sqs: sqs(),
    synthesisQueueUrl: process.env.SYNTHESIS_QUEUE_URL,
  },
  report: (message) => sendMessage(sqs(), reportQueueUrl, JSON.stringify(message), { origin: message.origin.kind }),
  publish: (message) => sendMessage(sqs(), deviceQueueUrl, JSON.stringify(message)),
  explain: (tenant, ecgId) => explain({ results, s3: s3(), bucket, attributions, screener }, tenant, ecgId),
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
      action: ({ kind }) => ACTIONS[kind],
      of: (message) =>
        message.kind === 'association'
          ? { tenant: message.tenant, device: message.device }
          : { tenant: message.tenant, ecgId: message.ecgId },
    },
  },
  (message) => upkeep.handle(message),
)
