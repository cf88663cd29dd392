/**
 * The API configured from the environment. Shared by the Lambda and the server process.
 * @module
 */

import { dynamo, env, s3, sqs } from '../../shared/aws/clients.ts'
import { QUEUE_NAMES } from '../../shared/aws/dead-letters.ts'
import { sendMessages } from '../../shared/aws/queues.ts'
import { ApiLimits } from '../../shared/config/deployment.ts'
import { signInOf } from '../../shared/config/sign-in.ts'
import { readSiteConfig, reportingTenants } from '../../shared/config/site.ts'
import { parseSynthesisRules } from '../../shared/config/synthesis-rules.ts'
import { CodedError, type ErrorCode } from '../../shared/errors.ts'
import { RecordingIntake } from '../../shared/intake/recording-intake.ts'
import { isLoopback } from '../../shared/loopback.ts'
import type { FhirInboundMessage } from '../../shared/messages.ts'
import { noteAudit } from '../../shared/observe/audit.ts'
import type { AuditAction, AuditOutcome } from '../../shared/observe/audit-actions.ts'
import { createLogger, describeError, type LogFields } from '../../shared/observe/logging.ts'
import { createMetrics, METRICS } from '../../shared/observe/metrics.ts'
import { AssociationStore } from '../../shared/store/associations.ts'
import { AttributionStore } from '../../shared/store/attributions.ts'
import { AuditStore } from '../../shared/store/audit.ts'
import { CmrJobStore } from '../../shared/store/cmr-jobs.ts'
import { DriftStore } from '../../shared/store/drift.ts'
import { QuotaStore } from '../../shared/store/quotas.ts'
import { ResultList } from '../../shared/store/result-list.ts'
import { ResultStore } from '../../shared/store/results.ts'
import { endpointOfSite } from '../../streams/fhir/site.ts'
import { createApi, createEventsApi } from './app.ts'
import { type Authenticate, openAuthenticator, remoteKeys, tokenAuthenticator } from './auth.ts'
import { type Alarms, alarmsHere, alarmsOfStack, type QueueUrls } from './operations.ts'
import type { ParseUpload } from './parsing/pool.ts'
import type { Limit } from './quota.ts'
import type { StreamRules } from './routes/events.ts'

/** Upload limits: API Gateway and Lambda allow no more, and they also suit a server process. */
const UPLOAD_LIMITS = { maxBytes: 32 * 1024 * 1024, timeoutMs: 60_000 }

/**
 * Makes the API from environment variables.
 * @param parse where uploads are parsed, in a process that serves several callers at once
 */
export function apiFromEnvironment(stream?: StreamRules, parse?: ParseUpload) {
  const { table, ...common } = commonParts()
  const { results } = common
  const bucket = env('RAW_BUCKET')
  const { ehr } = readSiteConfig()
  return createApi({
    ...common,
    associations: new AssociationStore(dynamo(), table),
    attributions: new AttributionStore(dynamo(), table, results),
    intake: new RecordingIntake({ sqs: sqs(), queueUrl: env('INTAKE_QUEUE_URL'), s3: s3(), bucket, results }),
    limits: UPLOAD_LIMITS,
    s3: s3(),
    bucket,
    sqs: sqs(),
    upkeepQueueUrl: env('UPKEEP_QUEUE_URL'),
    ehrTenants: ehr && reportingTenants(ehr),
    synthesis: synthesisOf(process.env),
    drift: new DriftStore(dynamo(), table),
    queueUrls: queueUrlsOf(process.env),
    alarms: alarmsOf(process.env),
    bundle: bundleOf(process.env),
    signIn: signInOf(process.env),
    stream,
    ...(parse === undefined ? {} : { parse }),
    ...(ehr === undefined ? {} : { fhir: endpointOfSite(ehr, noteInbound) }),
  })
}

function noteInbound(messages: readonly FhirInboundMessage[]): Promise<void> {
  const bodies = messages.map((message) => JSON.stringify(message))
  return sendMessages(sqs(), env('FHIR_INBOUND_QUEUE_URL'), bodies)
}

export function eventsFromEnvironment(stream: StreamRules) {
  return createEventsApi({ ...commonParts(), stream })
}

function commonParts() {
  const logger = createLogger('api')
  const metrics = createMetrics('api')
  const table = env('RESULTS_TABLE')
  return {
    table,
    results: new ResultStore(dynamo(), table),
    list: new ResultList(dynamo(), table),
    jobs: new CmrJobStore(dynamo(), table),
    authenticate: authenticatorOf(process.env),
    front: process.env.FRONT_SECRET,
    quotas: new QuotaStore(dynamo(), table),
    apiLimits: ApiLimits.parse(JSON.parse(process.env.API_LIMITS ?? '{}')),
    onLimit: (limit: Limit) => metrics.addBy('limit', limit, [METRICS.apiLimits, 1]),
    audit: new AuditStore(dynamo(), env('AUDIT_TABLE'), Number(env('AUDIT_DAYS'))),
    onStranger: (action: AuditAction, outcome: AuditOutcome) => noteAudit(logger, action, outcome, {}),
    onLost: (error: unknown, action: AuditAction) =>
      logger.error('audit entry lost', { action, ...describeError(error) }),
    onError: (description: LogFields) => logger.error('request failed', description),
    onAnswer: (status: number, refusal: ErrorCode | undefined) => {
      metrics.addBy('status', `${Math.floor(status / 100)}xx`, [METRICS.apiRequests, 1])
      if (refusal !== undefined) metrics.addBy('reason', refusal, [METRICS.apiRefusals, 1])
    },
  }
}

/** Queues whose variables are set. Others are not shown. */
function queueUrlsOf(settings: NodeJS.ProcessEnv): QueueUrls {
  const urls = QUEUE_NAMES.map((name) => {
    const prefix = name.toUpperCase().replace('-', '_')
    const [queueUrl, dlqUrl] = [settings[`${prefix}_QUEUE_URL`], settings[`${prefix}_DLQ_URL`]]
    return [name, queueUrl && dlqUrl ? { queueUrl, dlqUrl } : undefined]
  })
  return Object.fromEntries(urls)
}

/** CloudWatch alarms of the stack or, on one machine, those that the API can evaluate itself. */
function alarmsOf({ ALARMS_OF_STACK: stack }: NodeJS.ProcessEnv): Alarms {
  if (!stack) return alarmsHere
  const client = async () => new (await import('@aws-sdk/client-cloudwatch')).CloudWatchClient({})
  return alarmsOfStack(client, stack)
}

function bundleOf({ MODEL_NAME: name, MODEL_SHA256: sha256 }: NodeJS.ProcessEnv) {
  return name && sha256 ? { name, sha256 } : undefined
}

/** Defined when both are set; otherwise the stack cannot draw. */
function synthesisOf({ SYNTHESIS_QUEUE_URL: queueUrl, SYNTHESIS_RULES: rules }: NodeJS.ProcessEnv) {
  return queueUrl && rules ? { queueUrl, rules: parseSynthesisRules(rules) } : undefined
}

/**
 * How callers are authenticated. Without an identity provider, every caller is refused. `UNAUTHENTICATED_TENANT` accepts everybody, and
 * only the local stack sets it: an API whose table is not on this machine refuses to start with it.
 * @throws Error for contradictory settings
 */
export function authenticatorOf(settings: Readonly<Record<string, string | undefined>>): Authenticate {
  const {
    UNAUTHENTICATED_TENANT: open,
    AUTH_ISSUER: issuer,
    AUTH_AUDIENCE: audience,
    AUTH_JWKS_URL: jwksUrl,
    AUTH_TENANTS: tenants,
  } = settings
  if (open !== undefined) {
    const table = settings.AWS_ENDPOINT_URL_DYNAMODB
    if (table === undefined || !isLoopback(new URL(table).hostname)) {
      throw new Error('UNAUTHENTICATED_TENANT is for the local stack only: the table is not on this machine')
    }
    return openAuthenticator(open)
  }
  if (issuer === undefined || audience === undefined || jwksUrl === undefined || !tenants) {
    return async () => {
      throw new CodedError('unavailable', { field: 'identityProvider' })
    }
  }
  const tenantClaim = settings.AUTH_TENANT_CLAIM ?? 'tenant'
  return tokenAuthenticator({
    issuer,
    audience,
    tenantClaim,
    tenants: new Set(tenants.split(',')),
    keys: remoteKeys(new URL(jwksUrl)),
  })
}
