/**
 * Entry point of the container, and of the process that replaces it on a single machine. Draws the job that `TENANT` and `JOB_ID` name, and
 * exits with 0 (done, or nothing to do), 1 (failed, with the reason in the job) or 143 (given back after SIGTERM).
 * @module
 */

import { dynamo, env, s3, sqs } from '../../shared/aws/clients.ts'
import { parseCmrJobId } from '../../shared/domain/ecg-id.ts'
import { CodedError } from '../../shared/errors.ts'
import { activeBundle } from '../../shared/inference/active-bundle.ts'
import { readBundle } from '../../shared/inference/bundle.ts'
import { noteAudit } from '../../shared/observe/audit.ts'
import type { AuditOutcome } from '../../shared/observe/audit-actions.ts'
import { createLogger, describeError, logUncaught } from '../../shared/observe/logging.ts'
import { createMetrics } from '../../shared/observe/metrics.ts'
import { childOf, inTrace } from '../../shared/observe/tracing.ts'
import { CARDIACNETS_V1 } from '../../shared/signal/profile.ts'
import { CmrJobStore } from '../../shared/store/cmr-jobs.ts'
import { ResultStore } from '../../shared/store/results.ts'
import { Drawer } from './draw.ts'
import { checkProvider, providerOf } from './provider.ts'
import { type Ended, work } from './worker.ts'

const EXIT: Readonly<Record<Ended, number>> = { done: 0, nothing: 0, failed: 1, 'given-back': 143 }

const logger = createLogger('synthesize')
logUncaught(logger)
const stopping = new AbortController()
process.once('SIGTERM', () => stopping.abort())

/** The local bundle. One that cannot be read fails the job, not the process. */
async function bundleHere() {
  try {
    return await readBundle(activeBundle(), CARDIACNETS_V1.name)
  } catch (error) {
    logger.error('no bundle', describeError(error))
    return undefined
  }
}

async function main(): Promise<Ended> {
  const tenant = env('TENANT')
  const jobId = parseCmrJobId(env('JOB_ID'))
  if (jobId === undefined) throw new CodedError('field-invalid', { field: 'JOB_ID' })
  const table = env('RESULTS_TABLE')
  const bundle = await bundleHere()
  const jobs = new CmrJobStore(dynamo(), table)
  const ended = await work(
    {
      jobs,
      results: new ResultStore(dynamo(), table),
      s3: s3(),
      bucket: env('RAW_BUCKET'),
      sqs: sqs(),
      queueUrl: env('SYNTHESIS_QUEUE_URL'),
      reportQueueUrl: process.env.RESULTS_FHIR_QUEUE_URL,
      bundleSha256: bundle?.sha256 ?? '',
      open: async (sampler) => {
        const provider = providerOf(process.env.EXECUTION_PROVIDER)
        await checkProvider(provider)
        return Drawer.open(bundle!, env('CODE_VERSION'), { sampler, provider }) // the bundle that the job names
      },
      onError: (error) => logger.error('trouble while drawing', describeError(error)),
      metrics: createMetrics('synthesize'),
    },
    { tenant, jobId },
    stopping.signal,
  )
  if (ended === 'nothing') return ended
  const job = await jobs.get(tenant, jobId)
  noteAudit(logger, 'cmr.draw', outcomeOf(ended, job?.reason), { tenant, jobId, ecgId: job?.ecgId })
  return ended
}

/** Outcome for the audit trail. The reason of a failed job is a code. */
function outcomeOf(ended: Ended, reason: string | undefined): AuditOutcome {
  if (ended === 'done') return ended
  return ended === 'given-back' ? 'unavailable' : ((reason ?? 'internal') as AuditOutcome)
}

try {
  const ended = await inTrace(childOf(process.env.TRACEPARENT), main)
  logger.info(ended)
  process.exit(EXIT[ended])
} catch (error) {
  logger.error('not drawn', describeError(error))
  process.exit(1)
}
