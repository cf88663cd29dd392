/**
 * Common settings of every Lambda in the stack.
 * @module
 */
import { Duration, RemovalPolicy, Stack } from 'aws-cdk-lib'
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch'
import * as iam from 'aws-cdk-lib/aws-iam'
import * as lambda from 'aws-cdk-lib/aws-lambda'
import type { Construct } from 'constructs'
import { METRICS, METRICS_NAMESPACE } from '../../shared/observe/metrics.ts'
import type { FunctionName } from '../build/lambda-bundle.ts'
import { type LogDefaults, logGroup } from './log-group.ts'
import { acknowledge, acknowledgeWildcards } from './nag.ts'
import type { Network } from './network.ts'
import { Upgrades } from './upgrades.ts'

/** How the functions of a stack were built. */
export interface FunctionBuild {
  readonly architecture: lambda.Architecture
  /** Built folder of each function (`lambda-bundle.ts`). */
  readonly bundles: Readonly<Record<FunctionName, string>>
}

/** Settings that the functions of a stack share. */
export interface FunctionDefaults extends FunctionBuild {
  readonly log: LogDefaults
  /** Log settings of functions, whose logs are part of the audit trail. */
  readonly trail: LogDefaults
}

export interface FunctionProps {
  readonly name: string
  /** Folder below `functions` that it is built from. */
  readonly bundle: FunctionName
  /** `file.export` in the bundle; `handler.handler` by default. */
  readonly handler?: string
  readonly memoryMb: number
  readonly timeout: Duration
  readonly environment: Readonly<Record<string, string>>
  readonly layers?: lambda.ILayerVersion[]
  /** Most concurrent executions. They are reserved from the 1,000 of an account, unless it has requested more. */
  readonly concurrency: number
  /** The private network, or the external service that it calls for which there is no endpoint. */
  readonly network: Network | { readonly outside: string }
  /** Metric of failures that are not Lambda errors, by which an upgrade is judged; by default, failed messages. */
  readonly failures?: cloudwatch.IMetric
}

/** Alias that all callers use. They never call the function itself, which changes immediately when it is deployed. */
const LIVE = 'live'

/**
 * Makes a function from its built folder, with its own role and log group. Returns its alias `live`, which all callers use and which moves
 * to a new version by a canary deployment (`upgrades.ts`).
 *
 * A version changes only with code, layers and settings. A variable that changes with each commit would replace every function at each
 * deployment.
 */
export function lambdaFunction(scope: Construct, defaults: FunctionDefaults, props: FunctionProps): lambda.Alias {
  const network = 'outside' in props.network ? undefined : props.network
  const group = logGroup(scope, `${props.name}-log`, defaults.trail)
  // Replaces CDK's default role, whose managed policies can write to every log group of the account.
  const role = new iam.Role(scope, `${props.name}-role`, {
    assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com'),
  })
  group.grantWrite(role)
  if (network !== undefined) grantInterfaces(role)
  const fn = new lambda.Function(scope, props.name, {
    runtime: lambda.Runtime.NODEJS_24_X,
    architecture: defaults.architecture,
    handler: props.handler ?? 'handler.handler',
    code: lambda.Code.fromAsset(defaults.bundles[props.bundle]),
    memorySize: props.memoryMb,
    ...(props.layers && { layers: props.layers }),
    timeout: props.timeout,
    reservedConcurrentExecutions: props.concurrency,
    logGroup: group,
    role,
    ...(network === undefined ? {} : network.forFunctions),
    environment: {
      POWERTOOLS_SERVICE_NAME: props.name,
      POWERTOOLS_METRICS_NAMESPACE: 'CardiacNets',
      LOG_LEVEL: 'INFO',
      ...props.environment,
    },
    // The alias can be moved back to an older version at once (docs/operator-runbook.md). Versions are removed with the function.
    currentVersionOptions: { removalPolicy: RemovalPolicy.RETAIN },
  })
  const isAsked =
    'It is never invoked asynchronously: a queue with a DLQ of its own feeds it, or a caller waits for its answer'
  acknowledge(fn, {
    'HIPAA.Security-LambdaDLQ': isAsked,
    'Serverless-LambdaDLQ': isAsked,
    'Serverless-LambdaTracing':
      'Traces go by traceparent through messages and logs (shared/observe/tracing.ts), which costs nothing a window',
    ...('outside' in props.network ? { 'HIPAA.Security-LambdaInsideVPC': `It calls ${props.network.outside}` } : {}),
  })
  // CDK's classes and interfaces differ in `undefined`.
  const version = fn.currentVersion as lambda.IVersion
  const live = new lambda.Alias(scope, `${props.name}-live`, { aliasName: LIVE, version })
  Upgrades.of(scope).canary(scope, props.name, live, props.failures ?? messagesFailed(props.name))
  return live
}

function messagesFailed(service: string): cloudwatch.IMetric {
  return new cloudwatch.Metric({
    namespace: METRICS_NAMESPACE,
    metricName: METRICS.messagesFailed.name,
    dimensionsMap: { service },
    statistic: 'Sum',
    period: Duration.minutes(1),
  })
}

/**
 * Permissions that Lambda needs in a function's role to attach it to a network. Lambda requires `*`; the function itself is denied them.
 */
const INTERFACES = [
  'ec2:AssignPrivateIpAddresses',
  'ec2:CreateNetworkInterface',
  'ec2:DeleteNetworkInterface',
  'ec2:DescribeNetworkInterfaces',
  'ec2:DescribeSubnets',
  'ec2:UnassignPrivateIpAddresses',
]

/** https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html */
function grantInterfaces(role: iam.Role): void {
  role.addToPolicy(new iam.PolicyStatement({ actions: INTERFACES, resources: ['*'] }))
  acknowledgeWildcards(
    role,
    ['*'],
    'Lambda asks for it to plug functions into a network; the function itself is denied it',
  )
  const code = Stack.of(role).formatArn({ service: 'lambda', resource: 'function:*' })
  role.addToPolicy(
    new iam.PolicyStatement({
      effect: iam.Effect.DENY,
      actions: INTERFACES,
      resources: ['*'],
      conditions: { ArnLike: { 'lambda:SourceFunctionArn': code } },
    }),
  )
}
