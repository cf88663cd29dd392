/**
 * The HTTP API. What it needs is passed in, so that tests and every host run the same app.
 * @module
 */
import { OpenAPIHono } from '@hono/zod-openapi'
import type { Hono } from 'hono'
import { secureHeaders } from 'hono/secure-headers'
import type { SignIn } from '../../shared/config/sign-in.ts'
import { NOTICE } from '../../shared/domain/result.ts'
import type { ErrorCode } from '../../shared/errors.ts'
import { childOf, formatTraceparent, inTrace, TRACEPARENT } from '../../shared/observe/tracing.ts'
import { type AuditOptions, auditing, notingFirst } from './audit.ts'
import { type Authenticate, type AuthVariables, authentication, SCOPES } from './auth.ts'
import { described, LICENCE } from './description.ts'
import { fromFront } from './front.ts'
import { notFound, problemHandler, type ReportError, refusalOf } from './problem.ts'
import { type CmrOptions, cmrRoutes } from './routes/cmr.ts'
import { type DeviceOptions, deviceRoutes } from './routes/devices.ts'
import { type EcgOptions, ecgRoutes } from './routes/ecgs.ts'
import { type EventOptions, eventRoutes } from './routes/events.ts'
import { type ExplanationOptions, explanationRoutes } from './routes/explanations.ts'
import { type OperationsOptions, operationsRoutes } from './routes/operations.ts'
import { type UploadOptions, uploadRoutes } from './routes/upload.ts'

interface Common extends AuditOptions {
  readonly authenticate: Authenticate
  /** A secret header that the front adds to each request; a request without it bypassed the front. */
  readonly front?: string | undefined
  readonly onError?: ReportError
  /** Told of every answer. */
  readonly onAnswer?: (status: number, refusal: ErrorCode | undefined) => void
}

export interface ApiOptions
  extends Common,
    EcgOptions,
    DeviceOptions,
    UploadOptions,
    CmrOptions,
    ExplanationOptions,
    OperationsOptions {
  readonly results: EcgOptions['results']
  readonly stream?: EventOptions['stream']
  /** Where people sign in to the console; absent where nobody has to. */
  readonly signIn?: SignIn | undefined
  /** What the EHR calls, mounted under `/fhir`: has a secret of its own instead of our tokens, and our public keys. */
  readonly fhir?: Hono
}

/**
 * @example
 * const response = await createApi(options).request('/v1/ecgs?limit=5', { headers: { authorization: `Bearer ${token}` } })
 */
export function createApi({ fhir, ...options }: ApiOptions) {
  const onError = options.onError ?? (() => {})
  const app = base({ ...options, onError })

  app.get('/', (c) =>
    c.json({
      name: 'CardiacNets Edge',
      notice: NOTICE,
      description: '/openapi.json',
      ecgs: '/v1/ecgs',
      health: '/healthz',
    }),
  )
  app.get('/healthz', (c) => c.json({ status: 'ok', notice: NOTICE }))
  // Before anybody is signed in: what the console needs for it, and nothing secret.
  app.get('/console.json', (c) => c.json({ identity: options.signIn ?? null }))
  if (fhir !== undefined) app.route('/fhir', fhir)

  app.route('/', uploadRoutes(options))
  app.route('/', ecgRoutes(options))
  app.route('/', explanationRoutes(options))
  app.route('/', cmrRoutes(options))
  app.route('/', deviceRoutes(options))
  app.route('/', operationsRoutes(options))
  app.route('/', eventRoutes({ ...options, onError }))

  app.openAPIRegistry.registerComponent('securitySchemes', 'bearer', {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description: `Scopes: ${SCOPES.join(', ')}. The tenant is in a claim.`,
  })
  app.get('/openapi.json', (c) =>
    c.json(
      described(
        app.getOpenAPI31Document({
          openapi: '3.1.0',
          info: { title: 'CardiacNets Edge', version: '1', description: NOTICE, license: LICENCE },
          servers: [{ url: '/' }],
        }),
      ),
    ),
  )
  return app
}

/** Events alone, for a front that streams. */
export function createEventsApi({
  onError = () => {},
  ...options
}: Common &
  Pick<Required<ApiOptions>, 'list' | 'jobs' | 'results' | 'stream' | 'quotas' | 'apiLimits'> &
  Pick<ApiOptions, 'onLimit'>) {
  const app = base({ ...options, onError })
  app.route('/', eventRoutes({ ...options, onError }))
  return app
}

function base({ authenticate, front, onError, onAnswer, ...audit }: Common & Required<Pick<Common, 'onError'>>) {
  // A slash at the end of an address means nothing.
  const app = new OpenAPIHono<AuthVariables>({ strict: false })
  app.use(async (c, next) => {
    const trace = childOf(c.req.header(TRACEPARENT), true)
    await inTrace(trace, next)
    c.res.headers.set(TRACEPARENT, formatTraceparent(trace))
  })
  app.use(async (c, next) => {
    await next()
    onAnswer?.(c.res.status, refusalOf(c))
  })
  app.use(
    secureHeaders({
      contentSecurityPolicy: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
      referrerPolicy: 'no-referrer',
    }),
  )
  if (front !== undefined) app.use(fromFront(front))
  app.use('/v1/*', async (c, next) => {
    await next()
    // ECGs are kept by nobody on the way; a client may keep one to compare.
    c.res.headers.set('cache-control', 'private, no-cache')
  })
  app.use('/v1/*', auditing(audit))
  app.use('/v1/*', authentication(authenticate))
  app.use('/v1/*', notingFirst(audit))
  app.notFound(notFound)
  app.onError(problemHandler(onError))
  return app
}
