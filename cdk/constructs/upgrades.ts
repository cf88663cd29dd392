/**
 * Canary deployment of functions: a new version gets a tenth of the traffic for five minutes, then all of it. Failures in that time roll
 * back the alias, and with it the whole deployment.
 * @module
 */
import { Duration, Stack } from 'aws-cdk-lib'
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch'
import * as codedeploy from 'aws-cdk-lib/aws-codedeploy'
import * as iam from 'aws-cdk-lib/aws-iam'
import type * as lambda from 'aws-cdk-lib/aws-lambda'
import { Construct } from 'constructs'

const CANARY = 'CodeDeployDefault.LambdaCanary10Percent5Minutes'

const PERIOD = Duration.minutes(1)

/** A single unreadable message is not a fault of the version that received it; a version that cannot read fails for all messages. */
const FAILURES_A_MINUTE = 3

/** Shared by the upgrades of a stack's functions: the CodeDeploy application and its role. */
export class Upgrades extends Construct {
  readonly #application: string
  readonly #role: iam.Role

  /** The instance of the stack that contains `scope`. */
  static of(scope: Construct): Upgrades {
    const stack = Stack.of(scope)
    const made = stack.node.tryFindChild('Upgrades')
    return made instanceof Upgrades ? made : new Upgrades(stack, 'Upgrades')
  }

  private constructor(scope: Construct, id: string) {
    super(scope, id)
    this.#application = new codedeploy.CfnApplication(this, 'functions', { computePlatform: 'Lambda' }).ref
    // Replaces CDK's default role, whose managed policy can change every alias of the account.
    this.#role = new iam.Role(this, 'codedeploy-role', {
      assumedBy: new iam.ServicePrincipal('codedeploy.amazonaws.com'),
    })
  }

  /**
   * Makes `alias` move to another version by a canary deployment.
   * @param id name of the function
   * @param failures metric of failures beside Lambda's own errors
   */
  canary(scope: Construct, id: string, alias: lambda.Alias, failures: cloudwatch.IMetric): void {
    const group = new Construct(scope, `${id}-upgrade`)
    const alarm = new cloudwatch.Alarm(group, 'canary-errors', {
      alarmDescription: `canary-errors of ${id}: a deployment in progress is rolled back. See docs/operator-runbook.md#canary-errors`,
      metric: new cloudwatch.MathExpression({
        expression: 'FILL(errors, 0) + FILL(failures, 0)',
        label: 'errors and failures',
        usingMetrics: { errors: alias.metricErrors({ period: PERIOD, statistic: 'Sum' }), failures },
        period: PERIOD,
      }),
      threshold: FAILURES_A_MINUTE,
      evaluationPeriods: 1,
      comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
    })
    const { functionArn } = alias.lambda
    const mayChange = iam.Grant.addToPrincipal({
      grantee: this.#role,
      actions: ['lambda:GetAlias', 'lambda:GetProvisionedConcurrencyConfig', 'lambda:UpdateAlias'],
      resourceArns: [functionArn, `${functionArn}:${alias.aliasName}`],
    })
    const mayWatch = iam.Grant.addToPrincipal({
      grantee: this.#role,
      actions: ['cloudwatch:DescribeAlarms'],
      resourceArns: [alarm.alarmArn],
    })
    const deployments = new codedeploy.CfnDeploymentGroup(group, 'deployments', {
      applicationName: this.#application,
      serviceRoleArn: this.#role.roleArn,
      deploymentConfigName: CANARY,
      deploymentStyle: { deploymentType: 'BLUE_GREEN', deploymentOption: 'WITH_TRAFFIC_CONTROL' },
      alarmConfiguration: { enabled: true, alarms: [{ name: alarm.alarmName }] },
      autoRollbackConfiguration: { enabled: true, events: ['DEPLOYMENT_FAILURE', 'DEPLOYMENT_STOP_ON_ALARM'] },
    })
    for (const grant of [mayChange, mayWatch]) grant.applyBefore(deployments)
    const { cfnOptions } = alias.node.defaultChild as lambda.CfnAlias // the resource that an alias is made of
    cfnOptions.updatePolicy = {
      codeDeployLambdaAliasUpdate: { applicationName: this.#application, deploymentGroupName: deployments.ref },
    }
  }
}
