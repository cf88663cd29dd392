/**
 * The HTTP API. Its dependencies are passed in, so that tests and every host run the same app.
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
  /** Secret header that CloudFront adds to each request. A request without it bypassed CloudFront. */
  readonly front?: string | undefined
  readonly onError?: ReportError
  /** Called with every response. */
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
  /** Sign-in settings of the console; absent if no sign-in is required. */
  readonly signIn?: SignIn | undefined
  /** Routes for the EHR, mounted under `/fhir`: they check their own secret instead of our tokens, and serve our public keys. */
  readonly fhir?: Hono
}

/**
 * Makes the app.
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
  // Available without a token: what the console needs for the sign-in. Nothing in it is secret.
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
    description: `Scopes: ${SCOPES.join(', ')}. A claim of the token names the tenant.`,
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

/** Only the events, for a host that streams. */
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
  // A slash at the end of a path is ignored.
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
    // No cache on the way may keep ECGs; a client may keep one and revalidate it.
    c.res.headers.set('cache-control', 'private, no-cache')
  })
  app.use('/v1/*', auditing(audit))
  app.use('/v1/*', authentication(authenticate))
  app.use('/v1/*', notingFirst(audit))
  app.notFound(notFound)
  app.onError(problemHandler(onError))
  return app
}
