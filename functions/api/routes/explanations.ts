/**
 * `/v1/ecgs/{id}/model-input` and `…/attribution`: the network's input for an ECG, and which stretches moved its scores.
 * @module
 */
import { createRoute } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { etag } from 'hono/etag'
import { sendMessage } from '../../../shared/aws/queues.ts'
import type { EcgId } from '../../../shared/domain/ecg-id.ts'
import { LEADS } from '../../../shared/domain/leads.ts'
import { NOTICE, type Result } from '../../../shared/domain/result.ts'
import { CodedError } from '../../../shared/errors.ts'
import { judgedWindow } from '../../../shared/inference/judged-window.ts'
import type { UpkeepMessage } from '../../../shared/messages.ts'
import { CARDIACNETS_V1 } from '../../../shared/signal/profile.ts'
import type { AttributionStore, StoredAttribution } from '../../../shared/store/attributions.ts'
import { CLEAN_STEPS } from '../../../shared/waveform/clean-codec.ts'
import { type AuthVariables, requireScope } from '../auth.ts'
import { type QuotaOptions, take } from '../quota.ts'
import { EcgParams, Submitted } from '../schemas.ts'
import { Attribution, ModelInput } from '../waveform-schemas.ts'
import { type EcgStores, ecgIdParam, json, needs, problems, routes } from './common.ts'

export interface ExplanationOptions extends EcgStores, QuotaOptions {
  readonly attributions: AttributionStore
}

/** Suggested polling interval, s; an attribution takes seconds. */
const RETRY_AFTER_S = '1'

const modelInputRoute = createRoute({
  method: 'get',
  path: '/v1/ecgs/{id}/model-input',
  summary: 'Get the window as the network received it',
  security: needs('ecg:read'),
  middleware: [requireScope('ecg:read'), etag()] as const,
  request: { params: EcgParams },
  responses: {
    200: json(ModelInput, 'The window, with the leads that the network received'),
    304: { description: 'Not modified: the copy of the client is current' },
    ...problems,
  },
})

const answers = {
  200: json(Attribution, 'Which stretches moved the scores'),
  202: json(Submitted, 'Requested and not ready: repeat the request'),
  ...problems,
}

const askRoute = createRoute({
  method: 'post',
  path: '/v1/ecgs/{id}/attribution',
  summary: 'Request the attribution of the scores of an ECG',
  description: 'Computed once per result and stored with it. Later requests return the stored attribution.',
  security: needs('ecg:read'),
  middleware: requireScope('ecg:read'),
  request: { params: EcgParams },
  responses: answers,
})

const readRoute = createRoute({
  method: 'get',
  path: '/v1/ecgs/{id}/attribution',
  summary: 'Get the attribution of the scores of an ECG, after it was requested',
  security: needs('ecg:read'),
  middleware: requireScope('ecg:read'),
  request: { params: EcgParams },
  responses: answers,
})

export function explanationRoutes(options: ExplanationOptions) {
  const { results, attributions, s3, bucket, sqs, upkeepQueueUrl, ...quota } = options
  const app = routes()

  app.openapi(modelInputRoute, async (c) => {
    const { tenant } = c.get('caller')
    const { ecgId } = await screened(tenant, ecgIdParam(c.req.valid('param').id))
    const { result, clean, fromS } = await judgedWindow({ results, s3, bucket }, tenant, ecgId)
    const width = clean.codes.length / LEADS.length
    const leads = LEADS.flatMap((name, i) => {
      if (clean.leadMask[i] !== 1) return []
      return [{ name, samples: Array.from(clean.codes.subarray(i * width, (i + 1) * width)) }]
    })
    const { profile } = result.provenance
    return c.json(
      { ecgId, profile, rateHz: CARDIACNETS_V1.rateHz, fromS, steps: CLEAN_STEPS, leads, notice: NOTICE },
      200,
    )
  })

  app.openapi(askRoute, async (c) => {
    const { tenant } = c.get('caller')
    const result = await screened(tenant, ecgIdParam(c.req.valid('param').id))
    const known = await attributions.get(tenant, result, new Date())
    if (known?.status === 'done') return answer(c, result, known)
    if (known?.status !== 'pending') await take(quota, 'attributionsPerMinute', c.get('caller'))
    if (await attributions.begin(tenant, result, new Date())) {
      const message: UpkeepMessage = { schema: 1, kind: 'attribution', tenant, ecgId: result.ecgId }
      await sendMessage(sqs, upkeepQueueUrl, JSON.stringify(message))
    }
    return pending(c, result.ecgId)
  })

  app.openapi(readRoute, async (c) => {
    const { tenant } = c.get('caller')
    const result = await screened(tenant, ecgIdParam(c.req.valid('param').id))
    const known = await attributions.get(tenant, result, new Date())
    if (known === undefined) throw new CodedError('not-found', { field: 'attribution' })
    if (known.status === 'pending') return pending(c, result.ecgId)
    if (known.status === 'failed') throw new CodedError(known.reason, { field: 'attribution' })
    return answer(c, result, known)
  })

  return app

  async function screened(tenant: string, ecgId: EcgId): Promise<Result> {
    const judged = await results.judged(tenant, ecgId)
    if (judged === undefined) {
      const isComing = (await results.isReceived(tenant, ecgId)) && !(await results.isDeleted(tenant, ecgId))
      throw new CodedError(isComing ? 'not-screened' : 'not-found', { field: 'id' })
    }
    if (judged.result.status === 'refused') throw new CodedError('ecg-refused', { field: 'quality' })
    return judged.result
  }
}

type C = Context<AuthVariables>

const pending = (c: C, ecgId: EcgId) =>
  c.json({ ecgId, status: 'pending' as const }, 202, { 'retry-after': RETRY_AFTER_S })

function answer(c: C, { ecgId, version, provenance }: Result, known: Extract<StoredAttribution, { status: 'done' }>) {
  const { status: _, conditions, ...how } = known
  const { modelSha256 } = provenance
  // The stored lists are readonly, those of the schema are not.
  const copied = conditions.map(({ condition, leads }) => ({
    condition,
    leads: leads.map(({ lead, changes }) => ({ lead, changes: [...changes] })),
  }))
  return c.json({ ecgId, version, modelSha256, ...how, conditions: copied, notice: NOTICE }, 200)
}
