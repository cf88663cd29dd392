/**
 * Checks every deployment against the rules of AWS Solutions, HIPAA and serverless stacks. An exception is acknowledged beside the
 * construct, with its reason.
 * @module
 */
import { type App, Validations } from 'aws-cdk-lib'
import type { IGrantable } from 'aws-cdk-lib/aws-iam'
import { AwsSolutionsChecks, HIPAASecurityChecks, ServerlessChecks } from 'cdk-nag'
import { Construct, type IConstruct } from 'constructs'

/** Adds the checks. A violated rule fails the synthesis with its name and construct. */
export function checkRules(app: App): App {
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app), new HIPAASecurityChecks(app), new ServerlessChecks(app))
  return app
}

/** Acknowledges exceptions: rule (pack and name) → why it does not apply to this construct and its children. */
export function acknowledge(scope: IConstruct, reasons: Readonly<Record<string, string>>): void {
  for (const [rule, reason] of Object.entries(reasons)) {
    const [pack] = rule.split('-')
    Validations.of(scope).acknowledge({ id: `${pack}::${rule}`, reason })
  }
}

/** Acknowledges that a role's policy has `*` in some resources (as the rule prints them), and why. */
export function acknowledgeWildcards(grantee: IGrantable, resources: readonly string[], reason: string): void {
  const role = grantee.grantPrincipal
  if (!Construct.isConstruct(role)) return
  acknowledge(role, Object.fromEntries(resources.map((each) => [`AwsSolutions-IAM5[Resource::${each}]`, reason])))
}

/** An ARN in the form that the rule prints. */
export const printedArn = (service: string, resource: string): string =>
  `arn:<AWS::Partition>:${service}:<AWS::Region>:<AWS::AccountId>:${resource}`
