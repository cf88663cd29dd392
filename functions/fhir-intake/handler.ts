/**
 * Lambda `fhir-intake`: SQS `fhir-inbound` → reads the EHR → SQS `intake`. Does nothing without an EHR in the site's configuration.
 * @module
 */

import { dynamo, env, s3, sqs } from '../../shared/aws/clients.ts'
import { sendMessages } from '../../shared/aws/queues.ts'
import { sqsHandler } from '../../shared/aws/sqs-handler.ts'
import { type EhrConfig, readSiteConfig } from '../../shared/config/site.ts'
import { CodedError } from '../../shared/errors.ts'
import { RecordingIntake } from '../../shared/intake/recording-intake.ts'
import { FhirInboundMessage } from '../../shared/messages.ts'
import { noteAudit } from '../../shared/observe/audit.ts'
import { createLogger, describeError } from '../../shared/observe/logging.ts'
import { createMetrics, METRICS } from '../../shared/observe/metrics.ts'
import { FhirProgress } from '../../shared/store/fhir-progress.ts'
import { ResultStore } from '../../shared/store/results.ts'
import { FhirIntake } from '../../streams/fhir/intake.ts'
import { ehrOfSite } from '../../streams/fhir/site.ts'

const logger = createLogger('fhir-intake')
const metrics = createMetrics('fhir-intake')
const queueUrl = env('FHIR_INBOUND_QUEUE_URL')
const table = env('RESULTS_TABLE')
const { ehr } = readSiteConfig()
const intake = ehr && createIntake(ehr)

function createIntake(config: EhrConfig): FhirIntake {
  const { tenant, id: server, criteria } = config
  return new FhirIntake({
    tenant,
    server,
    criteria,
    ehr: ehrOfSite(config),
    recordings: noted(
      new RecordingIntake({
        sqs: sqs(),
        queueUrl: env('INTAKE_QUEUE_URL'),
        s3: s3(),
        bucket: env('RAW_BUCKET'),
        results: new ResultStore(dynamo(), table),
      }),
    ),
    progress: new FhirProgress(dynamo(), table),
    enqueue: (messages) =>
      sendMessages(
        sqs(),
        queueUrl,
        messages.map((message) => JSON.stringify(message)),
      ),
  })
}

/** Adds an audit line for each ECG that is taken in. */
function noted(recordings: RecordingIntake): Pick<RecordingIntake, 'submit'> {
  return {
    async submit(submission) {
      const submitted = await recordings.submit(submission)
      noteAudit(logger, 'waveform.write', 'done', { tenant: submission.tenant, ecgId: submitted.ecgId })
      return submitted
    },
  }
}

/** An EHR may be down for a night's maintenance: attempts continue for about four hours; after that, `redrive` is needed. */
const RETRY = { queueUrl, attempts: 12, firstDelayS: 5, longestDelayS: 3600 }

export const handler = sqsHandler(
  FhirInboundMessage,
  {
    sqs: sqs(),
    deadLetterQueueUrl: env('FHIR_INBOUND_DLQ_URL'),
    logger,
    metrics,
    audit: { action: 'ehr.read', of: ({ tenant, kind }) => (kind === 'poll' ? undefined : { tenant }) },
    retry: RETRY,
  },
  async (message) => {
    if (intake === undefined) return
    // Data of the EHR belongs to its own tenant, whatever tenant a message names.
    if (message.tenant !== ehr?.tenant) throw new CodedError('origin-foreign', { field: 'tenant' })
    if (message.kind === 'poll') return poll(intake)
    const taken = await intake.take(message.reference)
    if ('skipped' in taken) return metrics.addBy('reason', taken.skipped, [METRICS.ehrSkipped, 1])
    metrics.add(METRICS.ehrEcgs, taken.submitted)
    for (const error of taken.unread ?? []) {
      logger.warn('one ECG of several was not read', describeError(error))
      metrics.addBy('reason', error.code, [METRICS.ehrSkipped, 1])
    }
  },
)

/** Polls the EHR. A failed poll is not retried: the schedule polls again in five minutes, from the position of the last successful poll. */
async function poll(to: FhirIntake): Promise<void> {
  try {
    await to.poll(new Date())
    metrics.add(METRICS.ehrPolls)
  } catch (error) {
    logger.error('look for changes failed', describeError(error))
    metrics.add(METRICS.ehrPollsFailed)
  }
}
