/**
 * What every Lambda of the stack has in common.
 * @module
 */
import { type Duration, RemovalPolicy } from 'aws-cdk-lib'
import * as iam from 'aws-cdk-lib/aws-iam'
import * as lambda from 'aws-cdk-lib/aws-lambda'
import * as logs from 'aws-cdk-lib/aws-logs'
import type { Construct } from 'constructs'
import type { FunctionName } from './lambda-bundle.ts'

/** What the functions of one stack share. */
export interface FunctionDefaults {
  readonly architecture: lambda.Architecture
  /** Built folder of each function (`lambda-bundle.ts`). */
  readonly bundles: Readonly<Record<FunctionName, string>>
  /** Goes into every result's provenance. */
  readonly codeVersion: string
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
}

/** A function from its built folder, with a log group of its own that forgets after three months. */
export function lambdaFunction(scope: Construct, defaults: FunctionDefaults, props: FunctionProps): lambda.Function {
  const logGroup = new logs.LogGroup(scope, `${props.name}-log`, {
    retention: logs.RetentionDays.THREE_MONTHS,
    removalPolicy: RemovalPolicy.DESTROY,
  })
  // Not the role that CDK would make: its managed policy may write to every log group of the account.
  const role = new iam.Role(scope, `${props.name}-role`, {
    assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com'),
  })
  logGroup.grantWrite(role)
  return new lambda.Function(scope, props.name, {
    runtime: lambda.Runtime.NODEJS_24_X,
    architecture: defaults.architecture,
    handler: props.handler ?? 'handler.handler',
    code: lambda.Code.fromAsset(defaults.bundles[props.bundle]),
    memorySize: props.memoryMb,
    timeout: props.timeout,
    logGroup,
    role,
    environment: {
      POWERTOOLS_SERVICE_NAME: props.name,
      POWERTOOLS_METRICS_NAMESPACE: 'CardiacNets',
      LOG_LEVEL: 'INFO',
      CODE_VERSION: defaults.codeVersion,
      ...props.environment,
    },
  })
}
