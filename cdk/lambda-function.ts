/**
 * What every Lambda of the stack has in common.
 * @module
 */
import { Duration, RemovalPolicy } from 'aws-cdk-lib'
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch'
import * as iam from 'aws-cdk-lib/aws-iam'
import * as lambda from 'aws-cdk-lib/aws-lambda'
import * as logs from 'aws-cdk-lib/aws-logs'
import type { Construct } from 'constructs'
import { METRICS, METRICS_NAMESPACE } from '../shared/metrics.ts'
import type { FunctionName } from './lambda-bundle.ts'
import { Upgrades } from './upgrades.ts'

/** What the functions of one stack share. */
export interface FunctionDefaults {
  readonly architecture: lambda.Architecture
  /** Built folder of each function (`lambda-bundle.ts`). */
  readonly bundles: Readonly<Record<FunctionName, string>>
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
  /** What it does badly without an error of Lambda's, by which an upgrade is judged; messages that failed, by default. */
  readonly failures?: cloudwatch.IMetric
}

/** What all that calls a function calls: never the function itself, which changes at once when it is deployed. */
const LIVE = 'live'

/**
 * A function from its built folder, with a log group of its own that forgets after three months; its alias `live`, to which it is known and
 * which moves to a new version by way of a canary (`upgrades.ts`).
 *
 * A version is made of whatever differs in code, layers and settings, and of nothing else: a variable that changes with each commit would
 * replace every function at each deployment.
 */
export function lambdaFunction(scope: Construct, defaults: FunctionDefaults, props: FunctionProps): lambda.Alias {
  const logGroup = new logs.LogGroup(scope, `${props.name}-log`, {
    retention: logs.RetentionDays.THREE_MONTHS,
    removalPolicy: RemovalPolicy.DESTROY,
  })
  // Not the role that CDK would make: its managed policy may write to every log group of the account.
  const role = new iam.Role(scope, `${props.name}-role`, {
    assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com'),
  })
  logGroup.grantWrite(role)
  const fn = new lambda.Function(scope, props.name, {
    runtime: lambda.Runtime.NODEJS_24_X,
    architecture: defaults.architecture,
    handler: props.handler ?? 'handler.handler',
    code: lambda.Code.fromAsset(defaults.bundles[props.bundle]),
    memorySize: props.memoryMb,
    ...(props.layers && { layers: props.layers }),
    timeout: props.timeout,
    logGroup,
    role,
    environment: {
      POWERTOOLS_SERVICE_NAME: props.name,
      POWERTOOLS_METRICS_NAMESPACE: 'CardiacNets',
      LOG_LEVEL: 'INFO',
      ...props.environment,
    },
    // The alias can go back to one at once (docs/operator-runbook.md); they go with the function.
    currentVersionOptions: { removalPolicy: RemovalPolicy.RETAIN },
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
