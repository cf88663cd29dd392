/**
 * The API over real stores (the emulators), with its own identity provider.
 * @module
 */
import { randomUUID } from 'node:crypto'
import { createLocalJWKSet, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { type ApiOptions, createApi } from '../../../functions/api/app.ts'
import { SCOPES, tokenAuthenticator } from '../../../functions/api/auth.ts'
import { alarmsHere, type QueueUrls } from '../../../functions/api/operations.ts'
import { explain } from '../../../functions/upkeep/explain.ts'
import { Upkeep } from '../../../functions/upkeep/upkeep.ts'
import { QUEUE_NAMES } from '../../../shared/aws/dead-letters.ts'
import { sendMessage } from '../../../shared/aws/queues.ts'
import { ApiLimits } from '../../../shared/config/deployment.ts'
import { type EcgId, fileEcgId } from '../../../shared/domain/ecg-id.ts'
import type { Result } from '../../../shared/domain/result.ts'
import { SHIPPED_BUNDLE } from '../../../shared/inference/active-bundle.ts'
import { readBundle } from '../../../shared/inference/bundle.ts'
import { Screener } from '../../../shared/inference/screener.ts'
import { RecordingIntake } from '../../../shared/intake/recording-intake.ts'
import { type Origin, parseMessage, UpkeepMessage } from '../../../shared/messages.ts'
import { describeError } from '../../../shared/observe/logging.ts'
import { CARDIACNETS_V1 } from '../../../shared/signal/profile.ts'
import { AssociationStore } from '../../../shared/store/associations.ts'
import { AttributionStore } from '../../../shared/store/attributions.ts'
import { AuditStore } from '../../../shared/store/audit.ts'
import { CmrJobStore } from '../../../shared/store/cmr-jobs.ts'
import { DriftStore } from '../../../shared/store/drift.ts'
import { QuotaStore } from '../../../shared/store/quotas.ts'
import { ResultList } from '../../../shared/store/result-list.ts'
import { ResultStore } from '../../../shared/store/results.ts'
import { AUDIT_TABLE, BUCKET, startTestAws, TABLE } from '../../helpers/aws.ts'
import { makeResult } from '../../helpers/results.ts'

export const ISSUER = 'https://id.example/'
export const AUDIENCE = 'cardiacnets'

/** Of the ECG that `makeResult` makes eleven leads are left. */
export const SYNTHESIS_RULES = {
  bundleSha256: 'c'.repeat(64),
  samplers: ['full', 'distilled'],
  default: 'distilled',
  minimumLeads: 8,
}

const NO_QUEUES = Object.fromEntries(QUEUE_NAMES.map((name) => [name, undefined])) as QueueUrls // each has its place

/** More than tests open. */
const MANY = { tenant: 1000, subject: 1000 }

/** `undefined` removes a claim. */
export type Claims = Readonly<Record<string, unknown>>

export type TestApi = Awaited<ReturnType<typeof startTestApi>>

export async function startTestApi(overrides: Partial<ApiOptions> = {}) {
  const aws = await startTestAws()
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const keys = createLocalJWKSet({ keys: [{ ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256' }] })
  const results = new ResultStore(aws.dynamo, TABLE)
  const associations = new AssociationStore(aws.dynamo, TABLE)
  const attributions = new AttributionStore(aws.dynamo, TABLE, results)
  const drift = new DriftStore(aws.dynamo, TABLE)
  const list = new ResultList(aws.dynamo, TABLE)
  const jobs = new CmrJobStore(aws.dynamo, TABLE)
  const reported: unknown[] = []
  const audit = new AuditStore(aws.dynamo, AUDIT_TABLE, 2192)
  const strangers: unknown[] = []
  /** The caller that a test uses. */
  const tenants = new Set(['clinic'])
  const store = new QuotaStore(aws.dynamo, TABLE)
  const places = new Set<Promise<void>>()
  let isStopped = false
  /** What a stream gives back when the emulators are gone is not asked of them. */
  const hold: QuotaStore['hold'] = async (...of) => {
    const giveBack = await store.hold(...of)
    return (
      giveBack &&
      (async () => {
        if (isStopped) return
        const giving = giveBack().finally(() => places.delete(giving))
        places.add(giving)
        await giving
      })
    )
  }
  const take: QuotaStore['take'] = (...of) => store.take(...of)
  const quota = { quotas: { take, hold }, apiLimits: ApiLimits.parse({ streams: MANY }) }
  const app = createApi({
    audit,
    onStranger: (action, outcome) => strangers.push({ action, outcome }),
    onLost: (error, action) => reported.push({ action, ...describeError(error) }),
    authenticate: tokenAuthenticator({ issuer: ISSUER, audience: AUDIENCE, tenantClaim: 'tenant', tenants, keys }),
    results,
    associations,
    attributions,
    list,
    jobs,
    synthesis: { queueUrl: aws.synthesisUrl, rules: SYNTHESIS_RULES },
    intake: new RecordingIntake({ sqs: aws.sqs, queueUrl: aws.intakeUrl, s3: aws.s3, bucket: BUCKET, results }),
    limits: { maxBytes: 1024 * 1024, timeoutMs: 5_000 },
    s3: aws.s3,
    bucket: BUCKET,
    sqs: aws.sqs,
    upkeepQueueUrl: aws.upkeepUrl,
    ...quota,
    drift,
    queueUrls: { ...NO_QUEUES, intake: { queueUrl: aws.intakeUrl, dlqUrl: aws.intakeDlqUrl } },
    alarms: alarmsHere,
    bundle: { name: 'test@1', sha256: 'b'.repeat(64) },
    stream: { pollMs: 5, heartbeatMs: 50, maxMs: 20_000 },
    onError: (description) => reported.push(description),
    ...overrides,
  })

  /** A token signed by the provider; `claims` replaces its claims, and `undefined` removes one. */
  function token(
    claims: Claims = {},
    { key = privateKey, ...header }: { key?: typeof privateKey; alg?: string; typ?: string } = {},
  ): Promise<string> {
    const now = Math.floor(Date.now() / 1000)
    const payload: JWTPayload = Object.fromEntries(
      Object.entries({
        iss: ISSUER,
        aud: AUDIENCE,
        sub: 'jane',
        exp: now + 600,
        tenant: 'clinic',
        scope: SCOPES.join(' '),
        ...claims,
      }).filter(([, value]) => value !== undefined),
    )
    return new SignJWT(payload).setProtectedHeader({ alg: 'ES256', kid: 'k1', ...header }).sign(key)
  }

  let loading: Promise<Screener> | undefined
  const screener = () => (loading ??= readBundle(SHIPPED_BUNDLE, CARDIACNETS_V1.name).then((b) => Screener.load(b)))

  const upkeep = new Upkeep({
    associations,
    deletion: {
      results,
      associations,
      jobs,
      s3: aws.s3,
      bucket: BUCKET,
      sqs: aws.sqs,
      synthesisQueueUrl: aws.synthesisUrl,
    },
    explain: (tenant, ecgId) => explain({ results, s3: aws.s3, bucket: BUCKET, attributions, screener }, tenant, ecgId),
    report: (message) => sendMessage(aws.sqs, aws.reportUrl, JSON.stringify(message)),
    publish: async () => {},
    goOn: (message) => sendMessage(aws.sqs, aws.upkeepUrl, JSON.stringify(message)),
  })

  return {
    ...aws,
    ...quota,
    app,
    async stop(): Promise<void> {
      isStopped = true
      await Promise.allSettled(places)
      await aws.stop()
    },
    /** Does what requests have set off, as the function does. @returns how many messages there were */
    async upkeep(): Promise<number> {
      let count = 0
      for (let messages = await aws.receive(aws.upkeepUrl); messages.length > 0; ) {
        for (const { Body } of messages) await upkeep.handle(parseMessage(UpkeepMessage, Body!))
        count += messages.length
        messages = await aws.receive(aws.upkeepUrl)
      }
      return count
    },
    results,
    associations,
    attributions,
    drift,
    list,
    jobs,
    audit,
    strangers,
    reported,
    token,
    /** As a caller of a tenant, with every scope unless said otherwise. */
    async as(tenant: string, path: string, init: RequestInit = {}, claims: Claims = {}): Promise<Response> {
      tenants.add(tenant)
      const headers = new Headers(init.headers)
      headers.set('authorization', `Bearer ${await token({ tenant, ...claims })}`)
      return app.request(path, { ...init, headers })
    },
    /** Stores a result as the screening function would. */
    async screened(
      tenant: string,
      overrides: Partial<Result> = {},
      origin: Origin = { kind: 'upload' },
      at = new Date(),
    ) {
      const result = makeResult({ ecgId: fileEcgId({ tenant, sha256: randomUUID() }), ...overrides })
      const stored = await results.putOnce(tenant, origin, result, at)
      return { result, stored, ecgId: result.ecgId }
    },
  }
}

/** The parts of an answer that tests read; absent parts are `undefined` despite the type. */
export interface Answer {
  readonly ecgId: EcgId
  readonly items: readonly { readonly ecgId: EcgId }[]
  readonly next: string
  readonly rateHz: number
  readonly firstSample: number
  readonly leads: readonly { readonly samples: readonly (number | null)[] }[]
}

// A test looks at a part of it and fails where that is not as it should be.
export const answerOf = async (response: Response): Promise<Answer> => (await response.json()) as Answer

/** The first `count` events of a stream; then the reader disconnects. */
export async function readEvents(
  response: Response,
  count: number,
): Promise<{ event: string; id: string; data: { ecgId: string } }[]> {
  const events: { event: string; id: string; data: { ecgId: string } }[] = []
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of response.body!) {
    text += decoder.decode(chunk, { stream: true })
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const fields = new Map(
        text
          .slice(0, end)
          .split('\n')
          .map((line) => line.split(/: (.*)/s, 2) as [string, string]),
      )
      text = text.slice(end + 2)
      if (fields.has('data')) {
        events.push({
          event: fields.get('event')!,
          id: fields.get('id')!,
          data: JSON.parse(fields.get('data')!),
        })
      }
      if (events.length === count) return events
    }
  }
  return events
}
