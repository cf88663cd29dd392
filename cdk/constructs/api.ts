/**
 * The HTTP API: one Lambda (with Hono routes) behind API Gateway, and one for events, whose function URL can stream.
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
  /** Queue of the EHR's notifications. */
  readonly inboundQueue: sqs.IQueue
  readonly site: SiteConfig
  /** Queue for work that no caller waits for. */
  readonly upkeepQueue: sqs.IQueue
  /** Absent where nothing can be drawn. */
  readonly synthesis: Synthesis | undefined
  /** Every queue, for operators of the stack. */
  readonly queues: Readonly<Partial<Record<QueueName, QueueWithDlq>>>
  /** The bundle that screens. */
  readonly bundle: Bundle
  /** The identity provider that signs tokens: the site's own, or the stack's user pool. */
  readonly identity: IdentityProvider | undefined
  /** The console's client at the identity provider. */
  readonly signIn: Pick<SignIn, 'clientId' | 'scope' | 'idleMinutes'> | undefined
}

/** Concurrent requests: parsing a file takes a second, everything else some milliseconds. */
const API_CONCURRENCY = 50

/** Concurrent event streams; each takes one execution for five minutes. */
const STREAMS = 50

/** Reason for internet access: tokens are verified with the identity provider's keys. */
const KEYS_OUTSIDE = { outside: 'the identity provider, for its keys' }

/**
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html The caller is not logged, because a subject
 * may be a person's name. The audit trail has it, by time and route.
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
  /** Secret that CloudFront sends with each request, if there is one. Without it neither address answers. */
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
      // Parsing a large file needs a whole vCPU for seconds, and several times the file's size in memory.
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
    // The API verifies the EHR's notifications, and publishes our public key, which is stored with the private one.
    if (site.ehr?.subscription !== undefined) grantSecret(api, site.ehr.subscription.secret)
    if (site.ehr?.auth.kind === 'smart-backend') grantSecret(api, site.ehr.auth.key)

    // CDK's classes and interfaces differ in `undefined`.
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
    // Slots of streams, and marks of deleted ECGs.
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

  /** Adds the routes. The app checks tokens itself, in every host; API Gateway only keeps requests without one away from it. */
  #open(http: apigateway.HttpApi, api: lambda.IFunction, { site, identity, defaults }: ApiProps): void {
    const { deployment } = site
    const { requestsPerSecond, burst, openRequestsPerSecond } = deployment.api
    const integration = new HttpLambdaIntegration('api', api)
    // Three groups: health, description and public keys without a token; the EHR's notifications with their own secret; and all that needs
    // a token.
    const [open, notifications, v1] = ['/{proxy+}', '/fhir/{proxy+}', '/v1/{proxy+}'] as const
    // The first pattern does not include the root, which lists the addresses.
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
        // Logs the pattern of the route and not the path, which may contain the id of an ECG.
        format: AccessLogFormat.custom(JSON.stringify(ACCESS_LOG)),
      },
    })
    // A throttle for each group, so that requests without a token use up nothing of the others.
    const rates = [
      [open, openRequestsPerSecond, 2 * openRequestsPerSecond],
      [notifications, requestsPerSecond, burst],
      [v1, requestsPerSecond, burst],
    ] as const
    const resource = stage.node.defaultChild as apigateway.CfnStage // the resource that a stage is made of
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
 * Secret shared by CloudFront and the API. It protects no ECG by itself: it proves that a request came through CloudFront and its web ACL.
 * It is visible in the settings of CloudFront and of the functions.
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

/** Permissions to read and redrive dead-lettered messages, and to read the alarms. */
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

/** Sign-in settings for the console, which are public. */
function signInEnvironment({ identity, signIn }: ApiProps): Readonly<Record<string, string>> {
  if (signIn === undefined || identity === undefined) return {}
  const { issuer, audience } = identity
  const told: SignIn = { issuer, audience, ...signIn }
  return { [SIGN_IN_VARIABLE]: JSON.stringify(told) }
}

/** Without a provider, the API refuses every caller. */
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
