/**
 * Lambda `api`: API Gateway (payload 2.0) → the Hono app. The one file that knows Hono's Lambda adapter.
 * @module
 */
import { handle } from 'hono/aws-lambda'
import { dynamo, env } from '../../shared/aws/clients.ts'
import { ResultStore } from '../../shared/aws/result-store.ts'
import { createLogger } from '../../shared/logging.ts'
import { createApi } from './app.ts'

const logger = createLogger('api')

export const handler = handle(
  createApi({
    results: new ResultStore(dynamo(), env('RESULTS_TABLE')),
    tenant: process.env.TENANT ?? 'local',
    onError: (description) => logger.error('request failed', description),
  }),
)
