/**
 * `/v1/ecgs/{id}/cmr` and `/v1/cmr`: jobs that draw cines from an ECG.
 * @module
 */
import type { S3Client } from '@aws-sdk/client-s3'
import type { SQSClient } from '@aws-sdk/client-sqs'
import { createRoute, z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { etag } from 'hono/etag'
import { artifactKey, readObject } from '../../../shared/aws/payloads.ts'
import { sendMessage } from '../../../shared/aws/queues.ts'
import type { SynthesisRules } from '../../../shared/config/synthesis-rules.ts'
import type { CmrJob } from '../../../shared/domain/cmr-job.ts'
import { cmrJobId, type EcgId } from '../../../shared/domain/ecg-id.ts'
import { NOTICE, parseResult, type Result } from '../../../shared/domain/result.ts'
import { CodedError } from '../../../shared/errors.ts'
import { checkDrawable } from '../../../shared/inference/synthesis-refusal.ts'
import type { SynthesisMessage } from '../../../shared/messages.ts'
import type { CmrJobStore } from '../../../shared/store/cmr-jobs.ts'
import { cancelJob } from '../../../shared/store/ecg-deletion.ts'
import type { ResultStore } from '../../../shared/store/results.ts'
import { touch } from '../audit.ts'
import { type AuthVariables, requireScope } from '../auth.ts'
import { boundedBody } from '../body.ts'
import { type QuotaOptions, take } from '../quota.ts'
import { ArtifactParams, CmrJob as CmrJobBody, CmrJobs, CmrParams, CmrRequest, EcgParams } from '../schemas.ts'
import { ecgIdParam, jobIdParam, json, needs, problems, routes } from './common.ts'

export interface CmrOptions extends QuotaOptions {
  readonly results: Pick<ResultStore, 'latest' | 'version' | 'isReceived' | 'isDeleted'>
  readonly jobs: CmrJobStore
  readonly s3: S3Client
  readonly bucket: string
  readonly sqs: SQSClient
  /** Absent where the stack has no bundle that can draw. */
  readonly synthesis?: { readonly queueUrl: string; readonly rules: SynthesisRules } | undefined
}

/** Jobs in a list. Each may have other pictures, so more than a reader looks at. */
const MOST_LISTED = 100

const submitRoute = createRoute({
  method: 'post',
  path: '/v1/ecgs/{id}/cmr',
  summary: 'Request synthetic cines of an ECG',
  description:
    'Draws from the newest version of the ECG. The same version, seed and sampler are the same job, drawn once; ' +
    'a failed or cancelled job restarts.',
  security: needs('cmr:request'),
  middleware: [requireScope('cmr:request'), boundedBody({ maxBytes: 4096, timeoutMs: 10_000 })] as const,
  request: {
    params: EcgParams,
    body: { required: false, content: { 'application/json': { schema: CmrRequest } } },
  },
  responses: {
    202: { ...json(CmrJobBody, 'The job. `Location` is its address'), headers: z.object({ location: z.string() }) },
    ...problems,
  },
})

const listRoute = createRoute({
  method: 'get',
  path: '/v1/ecgs/{id}/cmr',
  summary: 'List the jobs of an ECG, newest first',
  description: `The ${MOST_LISTED} that were requested last.`,
  security: needs('ecg:read'),
  middleware: [requireScope('ecg:read'), etag()] as const,
  request: { params: EcgParams },
  responses: {
    200: json(CmrJobs, 'The jobs; none for an ECG without a result'),
    304: { description: 'Not modified: the copy of the client is current' },
    ...problems,
  },
})

const getRoute = createRoute({
  method: 'get',
  path: '/v1/cmr/{jobId}',
  summary: 'Get the progress and the artifacts of a job',
  security: needs('ecg:read'),
  middleware: [requireScope('ecg:read'), etag()] as const,
  request: { params: CmrParams },
  responses: {
    200: json(CmrJobBody, 'The job'),
    304: { description: 'Not modified: the copy of the client is current' },
    ...problems,
  },
})

const cancelRoute = createRoute({
  method: 'delete',
  path: '/v1/cmr/{jobId}',
  summary: 'Cancel a job',
  security: needs('cmr:request'),
  middleware: requireScope('cmr:request'),
  request: { params: CmrParams },
  responses: { 200: json(CmrJobBody, 'The job: cancelled, or the state in which it had ended before'), ...problems },
})

const artifactRoute = createRoute({
  method: 'get',
  path: '/v1/cmr/{jobId}/artifacts/{name}',
  summary: 'Get an artifact of a job: DICOM, preview, measured indices',
  security: needs('ecg:read'),
  middleware: requireScope('ecg:read'),
  request: { params: ArtifactParams },
  responses: {
    200: {
      description: 'The artifact, with the content type stated by the job. Every artifact is marked SYNTHETIC',
      content: { 'application/octet-stream': { schema: z.string().openapi({ format: 'binary' }) } },
    },
    304: { description: 'Not modified: the copy of the client is current' },
    ...problems,
  },
})

export function cmrRoutes({ results, jobs, s3, bucket, sqs, synthesis, ...quota }: CmrOptions) {
  const app = routes()

  app.openapi(submitRoute, async (c) => {
    const { tenant } = c.get('caller')
    const ecgId = ecgIdParam(c.req.valid('param').id)
    const { seed, sampler: wanted } = CmrRequest.parse(c.req.valid('json') ?? {})
    const result = await screened(tenant, ecgId)
    checkDrawable(result, synthesis?.rules)
    const { rules, queueUrl } = synthesis!
    const sampler = wanted ?? rules.default
    if (!rules.samplers.includes(sampler))
      throw new CodedError('field-invalid', { field: 'sampler', known: rules.samplers.join(',') })
    const drawing = { ecgId, version: result.version, bundleSha256: rules.bundleSha256, seed, sampler }
    const known = await jobs.get(tenant, cmrJobId(drawing))
    const isNew = known === undefined || known.status === 'failed' || known.status === 'cancelled'
    if (isNew) await take(quota, 'cinesPerDay', c.get('caller'))
    const job = await jobs.submit(tenant, drawing, new Date())
    // After the job was stored: a deletion first sets its mark and then looks for jobs, so one of the two always sees the other.
    if (await results.isDeleted(tenant, ecgId)) {
      await jobs.remove(tenant, job)
      throw new CodedError('not-found', { field: 'id' })
    }
    c.set('jobId', job.jobId)
    // Also for a job that is already queued, because an earlier request may have failed before this point.
    if (job.status === 'queued') await send(queueUrl, { schema: 1, kind: 'draw', tenant, jobId: job.jobId })
    return c.json(view(job), 202, { location: `/v1/cmr/${job.jobId}` })
  })

  app.openapi(listRoute, async (c) => {
    const { tenant } = c.get('caller')
    const ecgId = ecgIdParam(c.req.valid('param').id)
    const newest = await jobs.newestOfEcg(tenant, ecgId, MOST_LISTED)
    // After the jobs were read, so that those of an ECG that is deleted meanwhile are not shown.
    if (!(await isKnown(tenant, ecgId))) throw new CodedError('not-found', { field: 'id' })
    return c.json({ items: newest.map(view) }, 200)
  })

  app.openapi(getRoute, async (c) => {
    return c.json(view(await existing(c, c.req.valid('param').jobId)), 200)
  })

  app.openapi(cancelRoute, async (c) => {
    const job = await existing(c, c.req.valid('param').jobId)
    return c.json(
      view(
        (await cancelJob(job, { jobs, sqs, synthesisQueueUrl: synthesis?.queueUrl })) ?? (await existing(c, job.jobId)),
      ),
      200,
    )
  })

  app.openapi(artifactRoute, async (c) => {
    const { tenant } = c.get('caller')
    const { jobId, name } = c.req.valid('param')
    const job = await existing(c, jobId)
    const artifact = job.artifacts?.find((each) => each.name === name)
    if (artifact === undefined) throw new CodedError('not-found', { field: 'name' })
    const tag = `"${artifact.sha256}"`
    if (c.req.header('if-none-match')?.includes(tag)) return c.body(null, 304, { etag: tag })
    const bytes = await readObject(s3, bucket, artifactKey(tenant, job.ecgId, job.jobId, name))
    if (bytes === undefined) throw new CodedError('not-found', { field: 'name' })
    return c.body(Uint8Array.from(bytes), 200, { 'content-type': artifact.contentType, etag: tag })
  })

  async function screened(tenant: string, ecgId: EcgId): Promise<Result> {
    const result = await results.latest(tenant, ecgId)
    if (result !== undefined) return parseResult(result)
    throw new CodedError((await isOnItsWay(tenant, ecgId)) ? 'not-screened' : 'not-found', { field: 'id' })
  }

  async function isOnItsWay(tenant: string, ecgId: EcgId): Promise<boolean> {
    return (await results.isReceived(tenant, ecgId)) && !(await results.isDeleted(tenant, ecgId))
  }

  async function isKnown(tenant: string, ecgId: EcgId): Promise<boolean> {
    return (await results.version(tenant, ecgId)) !== undefined || (await isOnItsWay(tenant, ecgId))
  }

  async function existing(c: Context<AuthVariables>, jobId: string): Promise<CmrJob> {
    const job = await jobs.get(c.get('caller').tenant, jobIdParam(jobId))
    // A job disappears together with its ECG, even while parts of it remain to be removed.
    if (job === undefined || (await results.isDeleted(job.tenant, job.ecgId))) {
      throw new CodedError('not-found', { field: 'jobId' })
    }
    touch(c, job.ecgId)
    return job
  }

  function send(queueUrl: string, message: SynthesisMessage): Promise<void> {
    return sendMessage(sqs, queueUrl, JSON.stringify(message))
  }

  return app
}

function view(job: CmrJob) {
  const { jobId, ecgId, version, status, step, steps, seed, sampler } = job
  const { reason, field, artifacts, submittedAt, updatedAt } = job
  return {
    jobId,
    ecgId,
    status,
    ...(step === undefined ? {} : { step, steps }),
    version,
    seed,
    sampler,
    ...(reason === undefined ? {} : { reason, field }),
    ...(artifacts === undefined
      ? {}
      : { artifacts: artifacts.map((each) => ({ ...each, href: `/v1/cmr/${jobId}/artifacts/${each.name}` })) }),
    submittedAt,
    updatedAt,
    synthetic: true as const,
    notice: NOTICE,
  }
}
