/**
 * The HTTP API: one Lambda (Hono routes inside) behind API Gateway, and one for events, whose function URL can stream.
 * @module
 */
import { ArnFormat, Duration, Stack } from 'aws-cdk-lib'
import { AccessLogFormat } from 'aws-cdk-lib/aws-apigateway'
import * as apigateway from 'aws-cdk-lib/aws-apigatewayv2'
import { HttpJwtAuthorizer } from 'aws-cdk-lib/aws-apigatewayv2-authorizers'
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations'
import * as iam from 'aws-cdk-lib/aws-iam'
import * as lambda from 'aws-cdk-lib/aws-lambda'
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager'
import type * as sqs from 'aws-cdk-lib/aws-sqs'
import { Construct } from 'constructs'
import type { QueueName } from '../../shared/aws/dead-letters.ts'
import type { Deployment, IdentityProvider } from '../../shared/config/deployment.ts'
import { SIGN_IN_VARIABLE, type SignIn } from '../../shared/config/sign-in.ts'
import type { SiteConfig } from '../../shared/config/site.ts'
import type { Bundle } from '../../shared/inference/bundle.ts'
import { siteVariable } from '../site.ts'
import type { Audit } from './audit.ts'
import { type FunctionDefaults, lambdaFunction } from './lambda-function.ts'
import { logGroup } from './log-group.ts'
import { acknowledge, acknowledgeWildcards } from './nag.ts'
import { grantReceive, grantSend, type QueueWithDlq } from './queue.ts'
import { grantSecret } from './secrets.ts'
import type { Storage } from './storage.ts'
import type { Synthesis } from './synthesis.ts'

export interface ApiProps {
  readonly defaults: FunctionDefaults
  readonly storage: Storage
  readonly audit: Audit
  readonly intakeQueue: sqs.IQueue
  /** Where the EHR's notifications go. */
  readonly inboundQueue: sqs.IQueue
  readonly site: SiteConfig
  /** Where it goes what no caller waits for. */
  readonly upkeepQueue: sqs.IQueue
  /** Absent where nothing can be drawn. */
  readonly synthesis: Synthesis | undefined
  /** Every queue, for operators of the stack. */
  readonly queues: Readonly<Partial<Record<QueueName, QueueWithDlq>>>
  /** The bundle that screens. */
  readonly bundle: Bundle
  /** Who signs tokens: the site's own provider, or the stack's user pool. */
  readonly identity: IdentityProvider | undefined
  /** The console's client, where people sign in. */
  readonly signIn: Pick<SignIn, 'clientId' | 'scope' | 'idleMinutes'> | undefined
}

/** Requests that are answered at the same time: parsing a file takes a second, all else some milliseconds. */
const API_CONCURRENCY = 50

/** People who watch results as they come; each keeps one for five minutes. */
const STREAMS = 50

/** Who signed a token says the identity provider. */
const KEYS_OUTSIDE = { outside: 'the identity provider, for its keys' }

/**
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html
 * Not who asked: a subject may be somebody's name. The audit trail says so, by time and route.
 */
const ACCESS_LOG = {
  time: '$context.requestTime',
  requestId: '$context.requestId',
  ip: '$context.identity.sourceIp',
  route: '$context.routeKey',
  status: '$context.status',
  bytes: '$context.responseLength',
  ms: '$context.responseLatency',
}

export class Api extends Construct {
  readonly url: string
  readonly eventsUrl: string
  /** What CloudFront sends with each request, where there is one: without it neither address answers. */
  readonly front: string | undefined

  constructor(scope: Construct, id: string, props: ApiProps) {
    super(scope, id)
    const { defaults, storage, audit, site, intakeQueue, inboundQueue, upkeepQueue, synthesis } = props
    if (site.deployment.console !== undefined) this.front = frontSecret(this)
    const environment = {
      RESULTS_TABLE: storage.table.tableName,
      RAW_BUCKET: storage.bucket.bucketName,
      ...audit.environment,
      SITE_CONFIG: siteVariable(site),
      ...synthesisEnvironment(synthesis),
      API_LIMITS: JSON.stringify(site.deployment.api.limits),
      ...queueEnvironment(props.queues),
      MODEL_NAME: `${props.bundle.manifest.name}@${props.bundle.manifest.version}`,
      MODEL_SHA256: props.bundle.sha256,
      ALARMS_OF_STACK: Stack.of(this).stackName,
      ...(this.front === undefined ? {} : { FRONT_SECRET: this.front }),
      ...tokenEnvironment(props.identity, site.deployment.tenants),
      ...signInEnvironment(props),
    }
    const http = new apigateway.HttpApi(this, 'http', { apiName: 'cardiacnets', createDefaultStage: false })
    const api = lambdaFunction(this, defaults, {
      name: 'api',
      bundle: 'api',
      // To parse a large file takes a whole vCPU for seconds, and several times its size.
      memoryMb: 1769,
      timeout: Duration.seconds(29),
      concurrency: API_CONCURRENCY,
      network: KEYS_OUTSIDE,
      environment,
      failures: http.metricServerError({ period: Duration.minutes(1), statistic: 'Sum' }),
    })
    storage.grantRows(api, 'DeleteItem', 'GetItem', 'PutItem', 'Query', 'UpdateItem')
    audit.grantAppend(api)
    storage.grantGet(api, 'raw/')
    storage.grantPut(api, 'raw/')
    storage.grantGet(api, 'artifacts/')
    if (synthesis !== undefined) grantSend(synthesis.queues.queue, api)
    for (const queue of [intakeQueue, upkeepQueue, inboundQueue]) grantSend(queue, api)
    grantOperations(api, Object.values(props.queues))
    // To know the EHR's notifications, and to publish our public key, which is kept with the private one.
    if (site.ehr?.subscription !== undefined) grantSecret(api, site.ehr.subscription.secret)
    if (site.ehr?.auth.kind === 'smart-backend') grantSecret(api, site.ehr.auth.key)

    // CDK's own classes and interfaces differ in `undefined`.
    this.#open(http, api as lambda.IFunction, props)
    this.url = http.apiEndpoint

    const events = lambdaFunction(this, defaults, {
      name: 'events',
      bundle: 'api',
      handler: 'handler.stream',
      memoryMb: 256,
      // A stream ends after five minutes.
      timeout: Duration.minutes(6),
      concurrency: STREAMS,
      network: KEYS_OUTSIDE,
      environment,
    })
    // A place for each stream, and marks of what was deleted.
    storage.grantRows(events, 'DeleteItem', 'GetItem', 'PutItem', 'Query')
    audit.grantAppend(events)
    const { url } = events.addFunctionUrl({
      authType: lambda.FunctionUrlAuthType.NONE,
      invokeMode: lambda.InvokeMode.RESPONSE_STREAM,
    })
    acknowledge(events, {
      'HIPAA.Security-LambdaFunctionPublicAccessProhibited':
        'A browser streams from it; the app refuses requests without a valid token',
    })
    this.eventsUrl = url
  }

  /** The app checks tokens itself, here and everywhere; the gateway spares it those who have none. */
  #open(http: apigateway.HttpApi, api: lambda.IFunction, { site, identity, defaults }: ApiProps): void {
    const { deployment } = site
    const { requestsPerSecond, burst, openRequestsPerSecond } = deployment.api
    const integration = new HttpLambdaIntegration('api', api)
    // Its health, its description and our public keys; the EHR's notifications, which bring a secret of their own; and what needs a token.
    const [open, notifications, v1] = ['/{proxy+}', '/fhir/{proxy+}', '/v1/{proxy+}'] as const
    // The root is no part of the first: it says where to go.
    http.addRoutes({ path: '/', methods: [apigateway.HttpMethod.GET], integration })
    const authorizer = identity?.isCheckedAtGateway
      ? { authorizer: new HttpJwtAuthorizer('jwt', identity.issuer, { jwtAudience: [identity.audience] }) }
      : {}
    const routes = [
      ...http.addRoutes({ path: open, integration }),
      ...http.addRoutes({ path: notifications, integration }),
      ...http.addRoutes({ path: v1, integration, ...authorizer }),
    ]
    acknowledge(http, {
      'AwsSolutions-APIG4':
        'What needs a token is checked by the app, and below /v1 by the gateway too; health, description, public keys and notifications need none',
    })
    const stage = http.addStage('stage', {
      stageName: '$default',
      autoDeploy: true,
      throttle: { rateLimit: requestsPerSecond, burstLimit: burst },
      accessLogSettings: {
        destination: new apigateway.LogGroupLogDestination(
          logGroup(this, 'access-log', { ...defaults.log, days: deployment.retentionDays.accessLogs }),
        ),
        // The route's pattern, not the path: that one may say whose ECG is asked for.
        format: AccessLogFormat.custom(JSON.stringify(ACCESS_LOG)),
      },
    })
    // A throttle for each: what anybody may ask takes nothing from those who have a token.
    const rates = [
      [open, openRequestsPerSecond, 2 * openRequestsPerSecond],
      [notifications, requestsPerSecond, burst],
      [v1, requestsPerSecond, burst],
    ] as const
    const resource = stage.node.defaultChild as apigateway.CfnStage // what a stage is made of
    resource.routeSettings = Object.fromEntries(
      rates.map(([path, ThrottlingRateLimit, ThrottlingBurstLimit]) => [
        `ANY ${path}`,
        { ThrottlingRateLimit, ThrottlingBurstLimit },
      ]),
    )
    stage.node.addDependency(...routes)
  }
}

/**
 * Shared by CloudFront and the API. It keeps nobody's ECG: it tells who came by the front, and so by its web ACL. CloudFront's settings show it, and so
 * may the functions'.
 */
function frontSecret(scope: Construct): string {
  const secret = new secretsmanager.Secret(scope, 'front-secret', {
    description: 'What CloudFront sends to the API with each request',
    generateSecretString: { passwordLength: 48, excludePunctuation: true },
  })
  const isNoCredential =
    'It opens nothing by itself: who comes by the front still needs a token. A new one needs a deployment'
  acknowledge(secret, {
    'AwsSolutions-SMG4': isNoCredential,
    'HIPAA.Security-SecretsManagerRotationEnabled': isNoCredential,
    'HIPAA.Security-SecretsManagerUsingKMSKey': isNoCredential,
  })
  return secret.secretValue.unsafeUnwrap()
}

function queueEnvironment(queues: ApiProps['queues']): Readonly<Record<string, string>> {
  const urls = Object.entries(queues).flatMap(([name, { queue, dlq }]) => {
    const prefix = name.toUpperCase().replace('-', '_')
    return [
      [`${prefix}_QUEUE_URL`, queue.queueUrl],
      [`${prefix}_DLQ_URL`, dlq.queueUrl],
    ]
  })
  return Object.fromEntries(urls)
}

/** To say what was given up and why, to put it back, and to say which alarms are raised. */
function grantOperations(api: lambda.Alias, queues: readonly QueueWithDlq[]): void {
  for (const { queue, dlq } of queues) {
    queue.grant(api, 'sqs:GetQueueAttributes')
    grantSend(queue, api)
    dlq.grant(api, 'sqs:GetQueueAttributes', 'sqs:ChangeMessageVisibility')
    grantReceive(dlq, api)
  }
  const resource = Stack.of(api).formatArn({
    service: 'cloudwatch',
    resource: 'alarm',
    resourceName: '*',
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  })
  iam.Grant.addToPrincipal({ grantee: api, actions: ['cloudwatch:DescribeAlarms'], resourceArns: [resource] })
  acknowledgeWildcards(
    api,
    ['arn:<AWS::Partition>:cloudwatch:<AWS::Region>:<AWS::AccountId>:alarm:*'],
    'CloudWatch lists alarms by a prefix, and asks for all of them',
  )
}

function synthesisEnvironment(synthesis: Synthesis | undefined): Readonly<Record<string, string>> {
  if (synthesis === undefined) return {}
  const { queues, rules } = synthesis
  return { SYNTHESIS_QUEUE_URL: queues.queue.queueUrl, SYNTHESIS_RULES: JSON.stringify(rules) }
}

/** What the console needs to know before anybody is signed in. */
function signInEnvironment({ identity, signIn }: ApiProps): Readonly<Record<string, string>> {
  if (signIn === undefined || identity === undefined) return {}
  const { issuer, audience } = identity
  const told: SignIn = { issuer, audience, ...signIn }
  return { [SIGN_IN_VARIABLE]: JSON.stringify(told) }
}

/** Without a provider, the API answers nobody. */
function tokenEnvironment(
  identity: IdentityProvider | undefined,
  tenants: Deployment['tenants'],
): Readonly<Record<string, string>> {
  if (identity === undefined) return {}
  const { issuer, audience, jwksUrl, tenantClaim } = identity
  return {
    AUTH_ISSUER: issuer,
    AUTH_AUDIENCE: audience,
    AUTH_JWKS_URL: jwksUrl,
    AUTH_TENANT_CLAIM: tenantClaim,
    AUTH_TENANTS: tenants.join(),
  }
}
