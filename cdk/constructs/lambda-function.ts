/**
 * What every Lambda of the stack has in common.
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

/** How the functions of one stack were built. */
export interface FunctionBuild {
  readonly architecture: lambda.Architecture
  /** Built folder of each function (`lambda-bundle.ts`). */
  readonly bundles: Readonly<Record<FunctionName, string>>
}

/** What the functions of one stack share. */
export interface FunctionDefaults extends FunctionBuild {
  readonly log: LogDefaults
  /** Of functions: their logs are part of the audit trail. */
  readonly trail: LogDefaults
}

export interface FunctionProps {
  readonly name: string
  /** Built from this folder of `functions`. */
  readonly bundle: FunctionName
  /** `file.export` in the bundle; `handler.handler` by default. */
  readonly handler?: string
  readonly memoryMb: number
  readonly timeout: Duration
  readonly environment: Readonly<Record<string, string>>
  readonly layers?: lambda.ILayerVersion[]
  /** At most so many at a time; set aside for it, out of the 1,000 that an account has unless it asks for more. */
  readonly concurrency: number
  /** Where it runs, or whom it calls that no endpoint leads to. */
  readonly network: Network | { readonly outside: string }
  /** What it does badly without an error of Lambda's, by which an upgrade is judged; messages that failed, by default. */
  readonly failures?: cloudwatch.IMetric
}

/** What all that calls a function calls: never the function itself, which changes at once when it is deployed. */
const LIVE = 'live'

/**
 * A function from its built folder, with a role and a log group of its own; its alias `live`, to which it is known and
 * which moves to a new version by way of a canary (`upgrades.ts`).
 *
 * A version is made of whatever differs in code, layers and settings, and of nothing else: a variable that changes with each commit would
 * replace every function at each deployment.
 */
export function lambdaFunction(scope: Construct, defaults: FunctionDefaults, props: FunctionProps): lambda.Alias {
  const network = 'outside' in props.network ? undefined : props.network
  const group = logGroup(scope, `${props.name}-log`, defaults.trail)
  // Not the role that CDK would make: its managed policies may write to every log group of the account.
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
    // The alias can go back to one at once (docs/operator-runbook.md); they go with the function.
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
  // CDK's own classes and interfaces differ in `undefined`.
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

/** What Lambda does with a function's role to plug it into a network. Lambda asks for `*`; the function itself may do none of it. */
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
