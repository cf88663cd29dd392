/**
 * Lambda `report`: SQS `results-fhir` → the EHR, by the rules of the site's configuration. Without an EHR, results are not reported.
 * @module
 */

import { dynamo, env, s3, sqs } from '../../shared/aws/clients.ts'
import { artifactKey, readObject } from '../../shared/aws/payloads.ts'
import { sendMessage } from '../../shared/aws/queues.ts'
import { sqsHandler } from '../../shared/aws/sqs-handler.ts'
import { type EhrConfig, readSiteConfig, reportingTenants } from '../../shared/config/site.ts'
import { ReportMessage, type ResultMessage } from '../../shared/messages.ts'
import type { AuditOf } from '../../shared/observe/audit.ts'
import { createLogger, describeError } from '../../shared/observe/logging.ts'
import { createMetrics, METRICS } from '../../shared/observe/metrics.ts'
import { AssociationStore } from '../../shared/store/associations.ts'
import { CmrJobStore } from '../../shared/store/cmr-jobs.ts'
import { ResultStore } from '../../shared/store/results.ts'
import { ehrOfSite } from '../../streams/fhir/site.ts'
import { Cines } from './cines.ts'
import { Reporter } from './reporter.ts'
import { SessionStore } from './session-store.ts'
import { Sessions } from './sessions.ts'

const logger = createLogger('report')
const metrics = createMetrics('report')
const queueUrl = env('RESULTS_FHIR_QUEUE_URL')
const table = env('RESULTS_TABLE')
const bucket = env('RAW_BUCKET')
const { ehr: config, report: rules } = readSiteConfig()
const tenants = config === undefined ? new Set<string>() : reportingTenants(config)
const reporter = config && createReporter(config)

function createReporter(ehrConfig: EhrConfig): Reporter {
  const common = {
    ehr: ehrOfSite(ehrConfig),
    results: new ResultStore(dynamo(), table),
    associations: new AssociationStore(dynamo(), table),
    rules,
    serverId: ehrConfig.id,
    ehrTenant: ehrConfig.tenant,
    tenants,
    now: () => new Date(),
  }
  const sessions = new Sessions({
    ...common,
    store: new SessionStore(dynamo(), table),
    sendCheck: (check, delayS) => sendMessage(sqs(), queueUrl, JSON.stringify(check), {}, delayS),
    onPutOff: (error) => logger.warn('a change is told later', describeError(error)),
  })
  const cines = new Cines({
    ...common,
    jobs: new CmrJobStore(dynamo(), table),
    readArtifact: ({ tenant, ecgId, jobId }, name) => readObject(s3(), bucket, artifactKey(tenant, ecgId, jobId, name)),
    onStays: (error) => logger.warn('a cine of an earlier version stays in the chart', describeError(error)),
  })
  return new Reporter({ ...common, sessions, cines })
}

/** An EHR may be down for a night's maintenance: attempts continue for about four hours; after that, `redrive` is needed. */
const RETRY = { queueUrl, attempts: 12, firstDelayS: 10, longestDelayS: 3600 }

/** Object of the audit line. None without an EHR, or for a tenant that may not report to it, because nothing is read or written. */
function reportOf(message: ReportMessage): AuditOf | undefined {
  const { tenant } = message
  if (!tenants.has(tenant)) return undefined
  // A live window is only recorded for its session's summary, which is written into the chart. Its correction may withdraw cines.
  if (!('kind' in message))
    return message.origin.kind === 'mqtt' && !isCorrection(message) ? undefined : ofResult(message)
  return message.kind === 'cine'
    ? { tenant, jobId: message.jobId }
    : { tenant, device: message.device, session: message.session }
}

function ofResult({ tenant, result }: ResultMessage): AuditOf {
  return { tenant, ecgId: /"ecgId":"([0-9a-f-]{36})"/.exec(result)?.[1] } // our own JSON, unless the message is about to be refused
}

const isCorrection = ({ result }: ResultMessage) => /"version":(?:[2-9]|\d\d)/.test(result)

export const handler = sqsHandler(
  ReportMessage,
  {
    sqs: sqs(),
    deadLetterQueueUrl: env('RESULTS_FHIR_DLQ_URL'),
    logger,
    metrics,
    audit: { action: 'result.report', of: reportOf },
    retry: RETRY,
  },
  async (message, touches) => {
    const outcome = await reporter?.report(message)
    if (outcome === 'written' && !('kind' in message)) touches(ofResult(message))
    if (outcome === 'written') metrics.add(METRICS.reportsWritten)
    if (outcome === 'waiting') metrics.add(METRICS.reportsUnidentified)
  },
)
