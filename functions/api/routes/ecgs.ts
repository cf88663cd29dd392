/**
 * `/v1/ecgs`: results of ECGs, their samples, and their deletion.
 * @module
 */
import { createRoute } from '@hono/zod-openapi'
import { etag } from 'hono/etag'
import { readObject, waveformKey } from '../../../shared/aws/payloads.ts'
import { sendMessage } from '../../../shared/aws/queues.ts'
import { MISSING_SAMPLE } from '../../../shared/domain/recording.ts'
import { NOTICE } from '../../../shared/domain/result.ts'
import { CodedError } from '../../../shared/errors.ts'
import type { UpkeepMessage } from '../../../shared/messages.ts'
import type { AssociationStore, DeviceSpan } from '../../../shared/store/associations.ts'
import type { ResultList } from '../../../shared/store/result-list.ts'
import { decodeWaveform } from '../../../shared/waveform/codec.ts'
import { touch } from '../audit.ts'
import { requireScope } from '../auth.ts'
import { EcgParams, EcgQuery, ListQuery, Page, Result, Subject, Submitted, WaveformQuery } from '../schemas.ts'
import { Waveform } from '../waveform-schemas.ts'
import { type EcgStores, ecgIdParam, json, needs, problems, routes } from './common.ts'

export interface EcgOptions extends EcgStores {
  readonly associations: AssociationStore
  readonly list: ResultList
}

/** Suggested polling interval while an ECG is in progress, s. */
const RETRY_AFTER_S = '1'

const listRoute = createRoute({
  method: 'get',
  path: '/v1/ecgs',
  summary: 'List ECGs, newest arrival first',
  description:
    'A corrected ECG is listed once, by its newest version, and filters compare that version. `GET /v1/ecgs/{id}?version=` has the earlier ones.',
  security: needs('ecg:read'),
  middleware: requireScope('ecg:read'),
  request: { query: ListQuery },
  responses: { 200: json(Page, 'One page'), ...problems },
})

const getRoute = createRoute({
  method: 'get',
  path: '/v1/ecgs/{id}',
  summary: 'Get the newest result of an ECG, or the result of one version',
  security: needs('ecg:read'),
  middleware: [requireScope('ecg:read'), etag()] as const,
  request: { params: EcgParams, query: EcgQuery },
  responses: {
    200: json(Result, 'The result, byte for byte as it was stored'),
    202: json(Submitted, 'The ECG has no result yet'),
    304: { description: 'Not modified: the copy of the client is current' },
    ...problems,
  },
})

const waveformRoute = createRoute({
  method: 'get',
  path: '/v1/ecgs/{id}/waveform',
  summary: 'Get the samples of an ECG as received',
  security: needs('ecg:read'),
  middleware: [requireScope('ecg:read'), etag()] as const,
  request: { params: EcgParams, query: WaveformQuery },
  responses: {
    200: json(Waveform, 'Part of the recording'),
    304: { description: 'Not modified: the copy of the client is current' },
    ...problems,
  },
})

const subjectRoute = createRoute({
  method: 'get',
  path: '/v1/ecgs/{id}/subject',
  summary: 'Get the patient of an ECG, if known',
  security: needs('ecg:read'),
  middleware: requireScope('ecg:read'),
  request: { params: EcgParams },
  responses: { 200: json(Subject, 'Origin, device and patient of the ECG'), ...problems },
})

const deleteRoute = createRoute({
  method: 'delete',
  path: '/v1/ecgs/{id}',
  summary: 'Delete an ECG and everything derived from it',
  security: needs('ecg:write'),
  middleware: requireScope('ecg:write'),
  request: { params: EcgParams },
  responses: {
    204: {
      description:
        'Deleted for every reader at once, and from every store within seconds. Only another upload of the file restores it',
    },
    ...problems,
  },
})

export function ecgRoutes({ results, associations, list, s3, bucket, sqs, upkeepQueueUrl }: EcgOptions) {
  const app = routes()

  /** The newest result of an ECG, and whom its device was on. */
  async function wornBy(tenant: string, id: string) {
    const judged = await results.judged(tenant, ecgIdParam(id))
    if (judged === undefined) throw new CodedError('not-found', { field: 'id' })
    const { origin, result, arrivedAt } = judged
    const device = origin.kind === 'fhir' ? undefined : origin.device
    const at = result.span.startedAt === null ? arrivedAt : new Date(result.span.startedAt)
    const found = device === undefined ? undefined : await associations.associationAt(tenant, device, at)
    return { judged, device, found }
  }

  /** Spans of the patient of an ECG. Those of its own device are known even where older associations are in no list. */
  async function spansOfWearer(tenant: string, id: string): Promise<readonly DeviceSpan[]> {
    const { device, found } = await wornBy(tenant, id)
    if (device === undefined || found === undefined) return []
    const all = await associations.spansOfPatient(tenant, found.patient)
    return [...all.filter((span) => span.device !== device), ...found.spans.map((span) => ({ device, ...span }))]
  }

  app.openapi(listRoute, async (c) => {
    const { limit, after, from, to, samePatientAs, ...filter } = c.req.valid('query')
    const times = { from: from === undefined ? from : new Date(from), to: to === undefined ? to : new Date(to) }
    const { tenant } = c.get('caller')
    const spans = samePatientAs === undefined ? undefined : await spansOfWearer(tenant, samePatientAs)
    const page = await list.page(tenant, { limit, after, filter: { ...filter, ...times, spans } })
    const gone = await results.deletedOf(
      tenant,
      page.items.map(({ ecgId }) => ecgId),
    )
    const items = page.items.filter(({ ecgId }) => !gone.has(ecgId))
    touch(c, ...items.map(({ ecgId }) => ecgId))
    return c.json({ ...page, items }, 200)
  })

  app.openapi(getRoute, async (c) => {
    const { tenant } = c.get('caller')
    const ecgId = ecgIdParam(c.req.valid('param').id)
    const { version } = c.req.valid('query')
    const result = await results.latest(tenant, ecgId, version)
    if (result !== undefined) return c.body(result, 200, { 'content-type': 'application/json' })
    if (
      version === undefined &&
      (await results.isReceived(tenant, ecgId)) &&
      !(await results.isDeleted(tenant, ecgId))
    ) {
      return c.json({ ecgId, status: 'pending' as const }, 202, { 'retry-after': RETRY_AFTER_S })
    }
    throw new CodedError('not-found', { field: version === undefined ? 'id' : 'version' })
  })

  app.openapi(waveformRoute, async (c) => {
    const ecgId = ecgIdParam(c.req.valid('param').id)
    const { from, seconds, leads: only, version: wantedVersion } = c.req.valid('query')
    const wanted = only === undefined ? undefined : new Set(only.split(','))
    const { tenant } = c.get('caller')
    // The samples of the newest result; while there is none, those of the first version.
    const version = wantedVersion ?? (await results.version(tenant, ecgId)) ?? 1
    const [packed, isDeleted] = await Promise.all([
      readObject(s3, bucket, waveformKey('raw', tenant, ecgId, version)),
      results.isDeleted(tenant, ecgId),
    ])
    if (packed === undefined || isDeleted) {
      throw new CodedError('not-found', { field: wantedVersion === undefined ? 'id' : 'version' })
    }
    const { rateHz, leads } = decodeWaveform(packed)
    const firstSample = Math.round(from * rateHz)
    const end = firstSample + Math.round(seconds * rateHz)
    const shown = leads.filter(({ name }) => wanted?.has(name) ?? true)
    const piece = shown.map(({ name, gainUv, samples }) => ({
      name,
      gainUv,
      samples: Array.from(samples.subarray(firstSample, end), (sample) => (sample === MISSING_SAMPLE ? null : sample)),
    }))
    const samples = leads[0]!.samples.length
    return c.json({ ecgId, version, rateHz, samples, firstSample, leads: piece, notice: NOTICE }, 200)
  })

  app.openapi(subjectRoute, async (c) => {
    const { tenant } = c.get('caller')
    const { judged, device, found } = await wornBy(tenant, c.req.valid('param').id)
    const { origin } = judged
    const { sex, ageYears } = judged.person ?? {}
    const isTold = sex !== undefined || ageYears !== undefined
    const told = isTold ? { person: { ...(sex && { sex }), ...(ageYears === undefined ? {} : { ageYears }) } } : {}
    if (origin.kind === 'fhir') return c.json({ source: origin.kind, ...told }, 200)
    const whose = found && {
      patient: found.patient,
      spans: found.spans.map(({ from, to }) => ({ from: from.toISOString(), ...(to && { to: to.toISOString() }) })),
    }
    return c.json({ source: origin.kind, ...(device && { device }), ...whose, ...told }, 200)
  })

  app.openapi(deleteRoute, async (c) => {
    const { tenant } = c.get('caller')
    const ecgId = ecgIdParam(c.req.valid('param').id)
    // From here on nobody can read the ECG. It may have thousands of drawings, so they are removed later and not while the caller waits.
    if (!(await results.markDeleted(tenant, ecgId))) throw new CodedError('not-found', { field: 'id' })
    const message: UpkeepMessage = { schema: 1, kind: 'deletion', tenant, ecgId }
    await sendMessage(sqs, upkeepQueueUrl, JSON.stringify(message))
    return c.body(null, 204)
  })

  return app
}
