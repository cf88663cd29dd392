/**
 * Reports results from their queue to the EHR.
 * @module
 */
import { Duration } from 'aws-cdk-lib'
import { Construct } from 'constructs'
import type { SiteConfig } from '../../shared/config/site.ts'
import { siteVariable } from '../site.ts'
import { type FunctionDefaults, lambdaFunction } from './lambda-function.ts'
import { consume, grantSend } from './queue.ts'
import type { Results } from './results.ts'
import { grantSecret } from './secrets.ts'
import type { Storage } from './storage.ts'

export interface ReportProps {
  readonly defaults: FunctionDefaults
  readonly storage: Storage
  readonly results: Results
  readonly site: SiteConfig
}

/** Most concurrent batches of ten, to limit the load on the EHR. */
const MAX_CONCURRENCY = 5

/** A chart can wait for a second. Ten live windows per batch instead of one save most of the cost of the queue and the function. */
const GATHER = Duration.seconds(1)

export class Report extends Construct {
  constructor(scope: Construct, id: string, { defaults, storage, results, site }: ReportProps) {
    super(scope, id)
    const { queue, dlq } = results.fhir
    const report = lambdaFunction(this, defaults, {
      name: 'report',
      bundle: 'report',
      memoryMb: 512,
      // Several calls of the EHR, each of which may be retried.
      timeout: Duration.seconds(60),
      concurrency: MAX_CONCURRENCY,
      network: { outside: 'the EHR' },
      environment: {
        RESULTS_FHIR_QUEUE_URL: queue.queueUrl,
        RESULTS_FHIR_DLQ_URL: dlq.queueUrl,
        RESULTS_TABLE: storage.table.tableName,
        RAW_BUCKET: storage.bucket.bucketName,
        SITE_CONFIG: siteVariable(site),
      },
    })
    consume(report, queue, MAX_CONCURRENCY, GATHER)
    // Delayed messages to its own queue: has a live session ended?
    grantSend(queue, report)
    grantSend(dlq, report)
    storage.grantRows(report, 'DeleteItem', 'GetItem', 'PutItem', 'Query', 'UpdateItem')
    // Drawn cines.
    storage.grantGet(report, 'artifacts/')
    const auth = site.ehr?.auth
    if (auth?.kind === 'smart-backend') grantSecret(report, auth.key)
  }
}
